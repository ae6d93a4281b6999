// Whether the bundle of a clone is ever taken for that of a source that it is not of, or from somebody who may not say what runs.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, realpathSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';
import { KeptBundles } from '../scripts/kept-bundles.ts';

const tree = resolve(import.meta.dirname, '..');

function cloneOf(t: TestContext, files: Readonly<Record<string, string>> = { 'a.ts': 'a', 'b.ts': 'b' }): string {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'kiln-clone-')));
  t.after(() => rmSync(root, { recursive: true }));
  for (const [path, text] of Object.entries({ 'package.json': '{"type":"module"}', ...files })) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

/** A bundle of a.ts and b.ts, which is what they say. */
function maker(root: string): (directory: string) => readonly string[] {
  return (directory) => {
    mkdirSync(join(directory, 'cli'), { recursive: true });
    writeFileSync(join(directory, 'cli', 'main.mjs'), ['a.ts', 'b.ts'].map((path) => readFileSync(join(root, path), 'utf8')).join(''));
    return ['a.ts', 'b.ts'];
  };
}

/** Until what was written before counts as older than what is made now. */
async function laterThan(path: string): Promise<void> {
  const { promise, resolve: done } = Promise.withResolvers<void>();
  const { ctimeMs } = statSync(path);
  const look = (): void => void (Date.now() > ctimeMs + 100 ? done() : setTimeout(look, 5));
  look();
  await promise;
}

async function kept(root: string): Promise<string> {
  await laterThan(join(root, 'b.ts'));
  const path = new KeptBundles(root).make(maker(root));
  assert.ok(path !== undefined);
  assert.equal(new KeptBundles(root).current(), path);
  return path;
}

describe('the bundle of a clone', () => {
  it('is found again as long as nothing has changed', async (t) => {
    const root = cloneOf(t);
    assert.equal(new KeptBundles(root).current(), undefined);
    assert.equal(readFileSync(await kept(root), 'utf8'), 'ab');
  });

  it('is not that of a file that was edited, removed or replaced, whatever its size and time', async (t) => {
    const changes: readonly ((path: string) => void)[] = [
      (path) => writeFileSync(path, 'A longer one'),
      (path) => {
        const { atime, mtime } = statSync(path);
        writeFileSync(path, 'B');
        utimesSync(path, atime, mtime);
      },
      (path) => rmSync(path),
    ];
    for (const change of changes) {
      const root = cloneOf(t);
      await kept(root);
      change(join(root, 'b.ts'));
      assert.equal(new KeptBundles(root).current(), undefined);
    }
  });

  it('is not kept when its source was edited while it was made', async (t) => {
    const root = cloneOf(t);
    await laterThan(join(root, 'b.ts'));
    const made = new KeptBundles(root).make((directory) => {
      const inputs = maker(root)(directory);
      writeFileSync(join(root, 'b.ts'), 'B');
      return inputs;
    });
    assert.equal(readFileSync(made ?? '', 'utf8'), 'ab');
    assert.equal(new KeptBundles(root).current(), undefined);
  });

  it('stays where it is when another start has made one meanwhile', async (t) => {
    const root = cloneOf(t);
    await laterThan(join(root, 'b.ts'));
    let first: string | undefined;
    const second = new KeptBundles(root).make((directory) => {
      first = new KeptBundles(root).make(maker(root));
      writeFileSync(join(dirname(first ?? ''), 'late.mjs'), 'loaded late');
      return maker(root)(directory);
    });
    assert.ok(second !== undefined && second !== first);
    assert.deepEqual(readdirSync(dirname(first ?? '')).toSorted(), ['late.mjs', 'main.mjs']);
    assert.equal(new KeptBundles(root).current(), second);
  });

  it('counts as absent where it cannot be looked at', async (t) => {
    const root = cloneOf(t);
    await kept(root);
    const cache = join(root, 'node_modules', '.cache');
    rmSync(cache, { recursive: true });
    symlinkSync(cache, cache); // as where somebody else may not enter, the administrator included
    assert.equal(new KeptBundles(root).current(), undefined);
  });

  it('is marked for as long as a process uses it', async (t) => {
    const root = cloneOf(t);
    const bundles = new KeptBundles(root);
    await laterThan(join(root, 'b.ts'));
    const place = dirname(dirname(bundles.make(maker(root)) ?? ''));
    const mark = join(place, `${process.pid}.pid`);
    assert.ok(existsSync(mark));
    bundles.leave();
    assert.ok(!existsSync(mark));
    assert.ok(new KeptBundles(root).current() !== undefined);
    assert.ok(existsSync(mark));
  });

  it('is not taken from a directory that others may write to, or that is a link', async (t) => {
    const root = cloneOf(t);
    const place = dirname(dirname(await kept(root)));
    for (const directory of [dirname(place), dirname(dirname(place))]) {
      chmodSync(directory, 0o777);
      assert.equal(new KeptBundles(root).current(), undefined);
      assert.equal(new KeptBundles(root).make(maker(root)), undefined);
      chmodSync(directory, 0o755);
    }
    assert.ok(new KeptBundles(root).current() !== undefined);
    const linked = cloneOf(t);
    mkdirSync(join(linked, 'node_modules', '.cache'), { recursive: true });
    symlinkSync(dirname(dirname(place)), join(linked, 'node_modules', '.cache', 'kiln-bundle'));
    assert.equal(new KeptBundles(linked).make(maker(linked)), undefined);
  });

  it('counts as absent when its list is half written or it is gone', async (t) => {
    const root = cloneOf(t);
    const place = dirname(dirname(await kept(root)));
    const list = join(dirname(place), 'list.json');
    const whole = readFileSync(list, 'utf8');
    writeFileSync(list, whole.slice(0, -10));
    assert.equal(new KeptBundles(root).current(), undefined);
    writeFileSync(list, whole);
    rmSync(join(place, 'cli'), { recursive: true });
    assert.equal(new KeptBundles(root).current(), undefined);
  });

  it('leaves those that are in use, and has no more than it may', async (t) => {
    const root = cloneOf(t);
    const first = await kept(root); // in use by this process
    const directory = dirname(dirname(dirname(first)));
    const ended = '999999999.pid'; // beyond any process
    for (let made = 1; made < 20; made += 1) {
      const path = new KeptBundles(root).make(maker(root));
      assert.ok(path !== undefined);
      const place = dirname(dirname(path));
      rmSync(join(place, `${process.pid}.pid`));
      writeFileSync(join(place, ended), '');
    }
    assert.ok(existsSync(first));
    assert.equal(readdirSync(directory).filter((name) => /^\d+$/.test(name)).length, 16);
    for (const name of readdirSync(directory)) if (/^\d+$/.test(name)) writeFileSync(join(directory, name, `${process.pid}.pid`), '');
    assert.equal(new KeptBundles(root).make(maker(root)), undefined);
  });

  it('is what a clone runs, and what was edited since runs at the next start', async (t) => {
    const root = cloneOf(t, {
      'src/cli/main.ts': "import { word } from './word.ts';\nconst said: string = word;\nconsole.log(said, import.meta.url.endsWith('.mjs') ? 'bundled' : 'from source');\n",
      'src/cli/word.ts': "export const word = 'one';\n",
      'package-lock.json': '{}',
      'tsconfig.json': '{}',
      ...Object.fromEntries(['bundle.ts', 'kept-bundles.ts', 'run-source.ts'].map((name) => [`scripts/${name}`, readFileSync(join(tree, 'scripts', name), 'utf8')])),
    });
    mkdirSync(join(root, 'node_modules'));
    for (const name of ['esbuild', '@esbuild']) symlinkSync(join(tree, 'node_modules', name), join(root, 'node_modules', name));
    const run = async (environment: Readonly<Record<string, string>> = {}): Promise<string> => {
      const { NODE_COMPILE_CACHE: _, ...own } = process.env;
      return (await promisify(execFile)(process.execPath, [join(root, 'scripts', 'run-source.ts')], { env: { ...own, ...environment } })).stdout.trim();
    };
    await laterThan(join(root, 'scripts', 'run-source.ts'));
    assert.equal(await run(), 'one bundled');
    assert.equal(await run({ NODE_DISABLE_COMPILE_CACHE: '1' }), 'one from source');
    writeFileSync(join(root, 'src', 'cli', 'word.ts'), "export const word = 'two';\n");
    await laterThan(join(root, 'src', 'cli', 'word.ts'));
    assert.deepEqual([await run(), await run()], ['two bundled', 'two bundled']);
    rmSync(join(root, 'node_modules', 'esbuild'));
    writeFileSync(join(root, 'src', 'cli', 'word.ts'), "export const word = 'three';\n");
    assert.equal(await run(), 'three from source');
  });
});
