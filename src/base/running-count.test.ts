// Counting work that has to end before a shutdown goes on.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { RunningCount } from './running-count.ts';

it('is idle at once without work, and when the last piece of it has ended', async () => {
  const running = new RunningCount();
  await running.idle();
  running.started();
  running.started();
  let idle = false;
  const waiting = running.idle().then(() => (idle = true));
  running.ended();
  await Promise.resolve();
  assert.equal(idle, false);
  assert.equal(running.value, 1);
  running.ended();
  await waiting;
  assert.throws(() => running.ended(), { name: 'AssertionError' });
});
