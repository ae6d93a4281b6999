// The exit statuses of docs/operations.md, whatever a regular end would wait for.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { endOfServe } from './end-of-serve.ts';

const clean = { finishedCalls: 3, cutOffCalls: 0, lateHandlers: 0, flushed: true, tookMs: 5 };

describe('the end of the process', () => {
  it('K10-01: is by 128 and the signal after a clean stop', () => {
    assert.deepEqual(endOfServe(clean, { signal: 'SIGTERM', wouldWait: false }), { kind: 'regular', status: 143 });
    assert.deepEqual(endOfServe(clean, { signal: 'SIGINT', wouldWait: false }), { kind: 'regular', status: 130 });
    assert.deepEqual(endOfServe(clean, { signal: 'SIGINT', wouldWait: true }), { kind: 'by-signal', signal: 'SIGINT' });
  });
  it('K10-01: is by 1 when calls were cut off, also beside a name server that does not answer', () => {
    assert.deepEqual(endOfServe({ ...clean, cutOffCalls: 1 }, { signal: 'SIGTERM', wouldWait: false }), { kind: 'regular', status: 1 });
    assert.deepEqual(endOfServe({ ...clean, cutOffCalls: 1 }, { signal: 'SIGTERM', wouldWait: true }), { kind: 'at-once', status: 1 });
  });
  it('K10-01: is by SIGKILL when the disk does not answer, or a handler', () => {
    for (const bad of [{ flushed: false }, { lateHandlers: 1 }, { flushed: false, cutOffCalls: 2 }]) {
      for (const wouldWait of [true, false]) assert.deepEqual(endOfServe({ ...clean, ...bad }, { signal: 'SIGTERM', wouldWait }), { kind: 'by-signal', signal: 'SIGKILL' });
    }
  });
});
