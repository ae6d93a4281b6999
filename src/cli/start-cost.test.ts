// What a start must not load, since each of it takes about a tenth of a second: as Node says what it has loaded of its own.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const source = fileURLToPath(new URL('..', import.meta.url));
/** Written last, to standard output. */
const say = (pattern: string): string => `process.on('exit', () => console.log('loaded', JSON.stringify(process.moduleLoadList.filter((name) => /${pattern}/.test(name)))))`;

async function loadedBy(args: readonly string[], environment: Readonly<Record<string, string>>): Promise<readonly string[]> {
  const { NODE_COMPILE_CACHE: _, ...own } = process.env;
  const { stdout } = await promisify(execFile)(process.execPath, args, { env: { ...own, ...environment } });
  const words = /^loaded (.*)$/m.exec(stdout)?.[1];
  assert.ok(words !== undefined, stdout);
  return JSON.parse(words) as readonly string[];
}

async function temporaryDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'kiln-start-cost-'));
  t.after(() => rm(directory, { recursive: true }));
  return directory;
}

describe('what a start loads', () => {
  it('of the server: no web clients, which an import of node:http would bring along', async () => {
    const program = `${say('undici|http2')}; await import(${JSON.stringify(join(source, 'wiring', 'start-server.ts'))});`;
    assert.deepEqual(await loadedBy(['--input-type=module', '-e', program], {}), []);
  });

  it('the second time: not the compiler that takes types away, in a thread neither', async (t) => {
    const cache = await temporaryDirectory(t);
    const inThread = `import { Worker } from 'node:worker_threads'; import { cacheCompiledCode } from ${JSON.stringify(join(source, 'platform', 'process.ts'))};
      cacheCompiledCode(${JSON.stringify(cache)});
      new Worker(${JSON.stringify(`${say('amaro')}; await import(${JSON.stringify(join(source, 'wiring', 'hash-thread.ts'))}); process.exit();`)}, { eval: true });`;
    const main = ['--import', `data:text/javascript,${encodeURIComponent(say('amaro'))}`, join(source, 'cli', 'main.ts'), 'version'];
    assert.equal((await loadedBy(main, { NODE_COMPILE_CACHE: cache })).length, 1);
    assert.deepEqual(await loadedBy(main, { NODE_COMPILE_CACHE: cache }), []);
    assert.equal((await loadedBy(['--input-type=module', '-e', inThread], {})).length, 1);
    assert.deepEqual(await loadedBy(['--input-type=module', '-e', inThread], {}), []);
  });
});
