// Processes that a benchmark starts: what they say is heard, and none outlives it.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { killGroup, runToEnd, startChild } from './children.ts';

const patienceMs = 60_000;
/** Says who it and its child are, and both stay. */
const family = `
  const child = require('node:child_process').spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'inherit' });
  console.log(child.pid);
  setInterval(() => {}, 1000);`;

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe('runToEnd', () => {
  it('gives what was said and how it ended', async () => {
    const said = await runToEnd([process.execPath, '-e', 'console.log("out"); console.error("bad"); process.exitCode = 3'], patienceMs);
    assert.deepEqual(said, { status: 3, output: 'out\n', complaint: 'bad\n' });
  });
  it('ends what hangs, with what it said', async () => {
    await assert.rejects(runToEnd([process.execPath, '-e', 'console.log("begun"); setInterval(() => {}, 1000)'], 1_500), /was not done after 1.5 s/);
  });
  it('fails for a program that is not there', async () => {
    await assert.rejects(runToEnd(['/nonexistent/program'], patienceMs), /ENOENT/);
  });
});

describe('killGroup', () => {
  it('ends a child and what the child has started', async () => {
    const child = startChild([process.execPath, '-e', family], 'pipe');
    assert.ok(child.stdout !== null);
    const grandchild = Number(String(((await once(child.stdout, 'data')) as [Buffer])[0]));
    assert.ok(isThere(grandchild));
    const closed = once(child.stdout, 'close'); // both hold its other end
    killGroup(child);
    await closed;
    killGroup(child); // it is gone already
  });
});
