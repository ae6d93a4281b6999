// Servers of tests end with the tests, whatever ends these.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { temporaryDirectory } from './kiln-process.ts';

/** Starts a server for a test that would go on for long, and says its pid. */
const program = `
  import { serveKiln, temporaryDirectory } from ${JSON.stringify(fileURLToPath(new URL('./kiln-process.ts', import.meta.url)))};
  const test = { after() {} };
  const { ready } = await serveKiln(test, ['--listen', '127.0.0.1:0', '--data', process.argv[1]]);
  console.log(ready.pid);
  setInterval(() => {}, 1_000);`;

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

it('a test that is cut off leaves no server behind', async (t) => {
  const test = spawn(process.execPath, ['--input-type=module', '--eval', program, await temporaryDirectory(t)], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => test.kill('SIGKILL'));
  const server = Number(String(((await once(test.stdout, 'data')) as [Buffer])[0]));
  assert.ok(isThere(server));
  const ended = once(test, 'exit');
  test.kill('SIGTERM');
  await ended;
  while (isThere(server)) await new Promise((resolve) => setImmediate(resolve)); // killed, and soon gone
});
