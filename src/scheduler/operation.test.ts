// Every step of one operation, and random walks through them.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { seededRandom } from '../testing/seeded-random.ts';
import { step } from './operation.ts';
import type { Operation, OperationEvent, WorkerId } from './operation.ts';

const limits = { leaseTimeoutMs: 1_000, attemptsMax: 2 };
const anna = 'anna' as WorkerId;
const bert = 'bert' as WorkerId;
const queued: Operation = { state: 'queued', attempt: 1 };
const leased: Operation = { state: 'leased', attempt: 1, worker: anna, untilMs: 1_000 };
const finished = (worker: WorkerId): OperationEvent => ({ kind: 'finished', worker, outcome: { kind: 'finished', exitCode: 0 } });

describe('operation step', () => {
  it('leases a queued operation to the worker it is assigned to, and starts it there', () => {
    assert.deepEqual(step(queued, { kind: 'assigned', worker: anna }, 0, limits), [leased, { kind: 'start', worker: anna }]);
  });

  it('renews the lease with each heartbeat', () => {
    assert.deepEqual(step(leased, { kind: 'heartbeat', worker: anna }, 500, limits), [{ ...leased, untilMs: 1_500 }]);
  });

  it('keeps the lease up to its last moment and ends it at that moment', () => {
    assert.deepEqual(step(leased, { kind: 'tick' }, 999, limits), [leased]);
    assert.deepEqual(step(leased, { kind: 'tick' }, 1_000, limits), [{ state: 'queued', attempt: 2 }, { kind: 'stop', worker: anna }]);
  });

  it('gives up when the last attempt is lost, and publishes that', () => {
    const last: Operation = { ...leased, attempt: 2 };
    assert.deepEqual(step(last, { kind: 'tick' }, 1_000, limits), [
      { state: 'done', outcome: { kind: 'worker_lost', attempts: 2 } },
      { kind: 'stop', worker: anna },
      { kind: 'publish' },
    ]);
  });

  it('publishes the outcome of the worker that holds the lease', () => {
    assert.deepEqual(step(leased, finished(anna), 10, limits), [{ state: 'done', outcome: { kind: 'finished', exitCode: 0 } }, { kind: 'publish' }]);
  });

  it('does not hear a worker whose lease has passed to another', () => {
    for (const event of [finished(bert), { kind: 'heartbeat', worker: bert }, { kind: 'assigned', worker: bert }] as const) {
      assert.deepEqual(step(leased, event, 10, limits), [leased]);
    }
  });

  it('changes nothing on an event that does not fit the state', () => {
    const done: Operation = { state: 'done', outcome: { kind: 'finished', exitCode: 1 } };
    for (const event of [finished(anna), { kind: 'heartbeat', worker: anna }, { kind: 'tick' }] as const) {
      assert.deepEqual(step(queued, event, 5_000, limits), [queued]);
      assert.deepEqual(step(done, event, 5_000, limits), [done]);
    }
    assert.deepEqual(step(leased, { kind: 'assigned', worker: anna }, 10, limits), [leased]);
  });

  it('publishes exactly once, whatever happens in whatever order', (t) => {
    const random = seededRandom(t);
    for (let round = 0; round < 200; round += 1) {
      let operation = queued as Operation;
      let published = 0;
      for (let nowMs = 0; nowMs < 20_000; nowMs += random.integer(1, 700)) {
        const worker = random.pick([anna, bert]);
        const event = random.pick<OperationEvent>([{ kind: 'assigned', worker }, { kind: 'heartbeat', worker }, { kind: 'tick' }, finished(worker)]);
        const before = operation.state;
        const [next, ...effects] = step(operation, event, nowMs, limits);
        published += effects.filter(({ kind }) => kind === 'publish').length;
        assert.equal(before === 'done' && next.state !== 'done', false, 'done is final');
        operation = next;
      }
      assert.equal(published, operation.state === 'done' ? 1 : 0);
    }
  });
});
