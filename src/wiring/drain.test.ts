// The end of a server step by step, with clients and stores that end when the test says so.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Supervisor } from '../base/supervisor.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { RecordedLog } from '../testing/recorded-log.ts';
import { drain, logOutcome } from './drain.ts';
import type { DrainProgress } from './drain.ts';

const limits = { listenerTimeoutMs: 30_000, timeoutMs: 35_000, flushTimeoutMs: 30_000 };

/** A drain that has begun. Its clients end with `clientsEnd`, its stores with `storesEnd`. */
function begun(progress: DrainProgress = { calls: 3, connections: 2, handlers: 1 }) {
  const clock = new ManualClock();
  const log = new RecordedLog();
  const told: string[] = [];
  const supervisor: Supervisor = {
    ready: () => told.push('ready'),
    reloading: () => told.push('reloading'),
    status: (text) => told.push(text),
    stopping: (text) => told.push(`stopping=1 ${text}`),
    extendTimeout: (ms) => told.push(`extend ${ms}`),
  };
  const clients = Promise.withResolvers<{ finishedCalls: number; cutOffCalls: number; lateHandlers: number }>();
  const stores = Promise.withResolvers<void>();
  const now = { progress, storesAsked: false };
  const outcome = drain(
    {
      clients: {
        get progress() {
          return now.progress;
        },
        drain: () => clients.promise,
      },
      stores: {
        [Symbol.asyncDispose]() {
          now.storesAsked = true;
          return stores.promise;
        },
      },
    },
    limits,
    { clock, timers: clock, log, supervisor },
  );
  return { clock, log, told, now, outcome, clients, stores };
}

async function settle(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

describe('drain', () => {
  it('K10-01: ends the clients before the stores, and tells both to log and supervisor', async () => {
    const { clock, log, told, now, outcome, clients, stores } = begun();
    assert.deepEqual(told, ['stopping=1 stopping: 3 calls are running on 2 connections', 'extend 15000']);
    clock.advance(5_000);
    assert.deepEqual(told.slice(2), ['extend 15000', 'stopping: 3 calls are running on 2 connections']);
    assert.equal(log.lines.at(-1), 'info still stopping {"calls":3,"connections":2,"handlers":1,"elapsedMs":5000}');
    now.progress = { calls: 0, connections: 0, handlers: 2 };
    clock.advance(5_000);
    assert.equal(told.at(-1), 'stopping: 2 calls that were cut off are cleaning up');
    assert.equal(now.storesAsked, false, 'not under calls that run');
    clients.resolve({ finishedCalls: 4, cutOffCalls: 0, lateHandlers: 0 });
    await settle();
    assert.equal(now.storesAsked, true);
    now.progress = { calls: 0, connections: 0, handlers: 0 };
    clock.advance(5_000);
    assert.equal(told.at(-1), 'stopping: the stores are being closed');
    stores.resolve();
    assert.deepEqual(await outcome, { finishedCalls: 4, cutOffCalls: 0, lateHandlers: 0, flushed: true, tookMs: 15_000 });
    assert.equal(clock.pendingTimers, 0);
  });

  it('K10-01: does not wait for stores whose disk does not answer', async () => {
    const { clock, outcome, clients } = begun();
    clients.resolve({ finishedCalls: 1, cutOffCalls: 2, lateHandlers: 1 });
    await settle();
    clock.advance(29_999);
    await settle();
    clock.advance(1);
    assert.deepEqual(await outcome, { finishedCalls: 1, cutOffCalls: 2, lateHandlers: 1, flushed: false, tookMs: 30_000 });
    assert.equal(clock.pendingTimers, 0);
  });

  it('says why the stores did not close', async () => {
    const { log, outcome, clients, stores } = begun();
    clients.resolve({ finishedCalls: 0, cutOffCalls: 0, lateHandlers: 0 });
    stores.reject(new Error('no space'));
    assert.equal((await outcome).flushed, false);
    assert.match(log.errors[0]?.message ?? '', /the stores did not close/);
    assert.match(String(log.errors[0]?.cause), /no space/);
  });

  it('has a last word for each outcome', () => {
    const log = new RecordedLog();
    const outcome = { finishedCalls: 2, cutOffCalls: 0, lateHandlers: 0, flushed: true, tookMs: 7 };
    logOutcome(outcome, log);
    logOutcome({ ...outcome, cutOffCalls: 1 }, log);
    logOutcome({ ...outcome, cutOffCalls: 1, lateHandlers: 1 }, log);
    logOutcome({ ...outcome, cutOffCalls: 1, flushed: false }, log);
    assert.deepEqual(log.lines.map((line) => line.split(' ', 1)[0]), ['info', 'warn', 'error', 'error']);
  });
});
