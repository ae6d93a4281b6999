// bin/kiln with stand-ins for Node: shell scripts that answer --version and print how they were called.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmod, copyFile, mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { arch, platform, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';

const binDirectory = fileURLToPath(new URL('../../bin', import.meta.url));
const bundledPackage = `node-${platform()}-${arch()}`;
/** What the launcher itself runs: sh, dirname, readlink, uname, cat. */
const systemPath = '/usr/bin:/bin';

/** A directory whose name has a space, removed at the end of the test. */
async function temporaryDirectory(t: TestContext): Promise<string> {
  const directory = await realpath(await mkdtemp(join(tmpdir(), 'kiln launcher ')));
  t.after(() => rm(directory, { recursive: true }));
  return directory;
}

/** What a clone and a package start from. */
const source = join('scripts', 'run-source.ts');
const compiled = join('dist', 'cli', 'main.js');

/** The launcher at `root` with `programs`, which are empty files; without dependencies. */
async function installPackage(root: string, programs: readonly string[] = [source]): Promise<void> {
  await mkdir(join(root, 'bin'), { recursive: true });
  await copyFile(join(binDirectory, 'kiln'), join(root, 'bin', 'kiln'));
  for (const program of programs) {
    await mkdir(dirname(join(root, program)), { recursive: true });
    await writeFile(join(root, program), '');
  }
}

async function installNode(path: string, version: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const script = `#!/bin/sh\nif [ "$1" = --version ]; then echo ${version}; exit; fi\necho "$0"\nfor a; do echo "$a"; done\n`;
  await writeFile(path, script);
  await chmod(path, 0o755);
}

interface Outcome {
  readonly code: number;
  readonly lines: readonly string[];
  readonly errors: string;
}

function run(command: string, args: readonly string[], path: string): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    execFile(command, args, { env: { PATH: path } }, (error, stdout, stderr) => {
      if (error !== null && typeof error.code !== 'number') reject(error);
      else resolve({ code: Number(error?.code ?? 0), lines: stdout.trimEnd().split('\n'), errors: stderr });
    });
  });
}

/** A PATH without the Node of this machine: only what the launcher runs. */
async function pathWithoutNode(directory: string): Promise<string> {
  const tools = join(directory, 'tools');
  await mkdir(tools);
  for (const tool of ['sh', 'dirname', 'readlink', 'uname', 'cat']) {
    await symlink(await firstExisting(systemPath.split(':').map((part) => join(part, tool))), join(tools, tool));
  }
  return tools;
}

async function firstExisting(paths: readonly string[]): Promise<string> {
  for (const path of paths) {
    const real = await realpath(path).catch(() => undefined);
    if (real !== undefined) return real;
  }
  throw new Error(`none of ${paths.join(', ')}`);
}

describe('bin/kiln', () => {
  it('runs the bundled Node of a clone, with the arguments as given', async (t) => {
    const root = await temporaryDirectory(t);
    await installPackage(root);
    const node = join(root, 'node_modules', bundledPackage, 'bin', 'node');
    await installNode(node, 'v26.10.0');
    const { code, lines } = await run(join(root, 'bin', 'kiln'), ['serve', '--data', 'a b', ''], systemPath);
    assert.equal(code, 0);
    assert.deepEqual(lines, [node, '--disable-sigusr1', '--min-semi-space-size=16', join(root, source), 'serve', '--data', 'a b']);
  });

  it('finds itself through the links npm and people make', async (t) => {
    const root = await temporaryDirectory(t);
    const packageRoot = join(root, 'node_modules', 'kiln-build-cache');
    await installPackage(packageRoot, [compiled]);
    const node = join(root, 'node_modules', bundledPackage, 'bin', 'node');
    await installNode(node, 'v26.10.0');
    await mkdir(join(root, 'node_modules', '.bin'));
    await symlink('../kiln-build-cache/bin/kiln', join(root, 'node_modules', '.bin', 'kiln'));
    await symlink(join(root, 'node_modules', '.bin', 'kiln'), join(root, 'kiln'));
    const { lines } = await run(join(root, 'kiln'), ['version'], systemPath);
    assert.deepEqual(lines, [node, '--disable-sigusr1', '--min-semi-space-size=16', join(packageRoot, compiled), 'version']);
  });

  it('falls back to the Node on PATH when none is bundled or the bundled one does not run', async (t) => {
    const root = await temporaryDirectory(t);
    await installPackage(root);
    const node = join(root, 'path', 'node');
    await installNode(node, 'v27.0.1');
    const path = `${dirname(node)}:${systemPath}`;
    assert.equal((await run(join(root, 'bin', 'kiln'), [], path)).lines[0], node);
    const bundled = join(root, 'node_modules', bundledPackage, 'bin', 'node');
    await installNode(bundled, 'v26.10.0');
    await writeFile(bundled, '#!/nonexistent\n');
    assert.equal((await run(join(root, 'bin', 'kiln'), [], path)).lines[0], node);
  });

  it('says what it found and what to do when no Node is new enough', async (t) => {
    const root = await temporaryDirectory(t);
    await installPackage(root);
    const tools = await pathWithoutNode(root);
    const none = await run(join(root, 'bin', 'kiln'), [], tools);
    assert.equal(none.code, 1);
    assert.match(none.errors, /^kiln: needs Node 26 or newer\.\n {2}bundled Node: not installed.*\n {2}node on PATH: none found\n/);
    assert.match(none.errors, /run "npm ci" in .*kiln launcher /);
    const node = join(root, 'old', 'node');
    await installNode(node, 'v20.20.2');
    const old = await run(join(root, 'bin', 'kiln'), [], `${dirname(node)}:${tools}`);
    assert.equal(old.code, 1);
    assert.match(old.errors, /node on PATH: .*old\/node: v20\.20\.2\n/);
  });

  it('runs the source of a clone, whatever a build has left beside it, and compiled code below node_modules', async (t) => {
    const root = await temporaryDirectory(t);
    const node = join(root, 'node_modules', bundledPackage, 'bin', 'node');
    await installNode(node, 'v26.10.0');
    await installPackage(root, [source, compiled]);
    assert.equal((await run(join(root, 'bin', 'kiln'), [], systemPath)).lines[3], join(root, source));
    const below = join(root, 'node_modules', 'kiln');
    await installPackage(below, [source, compiled]);
    assert.equal((await run(join(below, 'bin', 'kiln'), [], systemPath)).lines[3], join(below, compiled));
    const unpacked = join(root, 'package');
    await installPackage(unpacked, [compiled]);
    assert.equal((await run(join(unpacked, 'bin', 'kiln'), [], systemPath)).lines[3], join(unpacked, compiled));
  });

  it('says that an installation without a program is incomplete', async (t) => {
    const root = join(await temporaryDirectory(t), 'node_modules', 'kiln');
    await installPackage(root, []);
    await installNode(join(root, 'node_modules', bundledPackage, 'bin', 'node'), 'v26.10.0');
    const { code, errors } = await run(join(root, 'bin', 'kiln'), [], systemPath);
    assert.equal(code, 1);
    assert.match(errors, /^kiln: the installation in .* is incomplete: there is no .*dist\/cli\/main\.js\.\nInstall the package again/);
  });
});
