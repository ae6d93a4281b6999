// When profiles and snapshots come by themselves.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CacheError } from '../base/cache-error.ts';
import type { DiagnosticFile, Diagnostics } from '../base/diagnostics.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { RecordedLog } from '../testing/recorded-log.ts';
import { ProfileTriggers } from './profile-triggers.ts';
import type { TriggerOptions } from './profile-triggers.ts';

const file: DiagnosticFile = { kind: 'cpu-profile', path: '/d/x', sizeBytes: 1, takenAt: '2026-11-21T00:00:00.000Z' };
const usual: TriggerOptions = { profileCpuShare: 0.95, profileIntervalMs: 3_600_000, profileDurationMs: 10_000, heapSnapshotBytes: undefined };

/** A machine whose main thread computes for `share` of the time. */
function open(options: Partial<TriggerOptions> = {}, fails?: CacheError) {
  const clock = new ManualClock();
  const log = new RecordedLog();
  const taken: string[] = [];
  const load = { share: 0, cpuMs: 0, heapBytes: 0 };
  const take = async (what: string): Promise<DiagnosticFile> => {
    taken.push(what);
    if (fails !== undefined) throw fails;
    return file;
  };
  const diagnostics: Diagnostics = { takeCpuProfile: (durationMs) => take(`profile ${durationMs}`), takeHeapSnapshot: () => take('snapshot'), list: async () => [] };
  const triggers = new ProfileTriggers({ ...usual, ...options }, {
    diagnostics,
    load: { mainThreadCpuMs: () => load.cpuMs, heapUsedBytes: () => load.heapBytes },
    clock,
    timers: clock,
    log,
  });
  const pass = (seconds: number): void => {
    for (let left = seconds; left > 0; left -= 1) {
      load.cpuMs += 1_000 * load.share;
      clock.advance(1_000);
    }
  };
  return { log, load, taken, pass, clock, triggers };
}

describe('profiles that nobody asked for', () => {
  it('K11-03: come when the main thread was busy for half a minute, once per interval', () => {
    const { load, taken, pass } = open();
    load.share = 0.97;
    pass(28);
    assert.deepEqual(taken, []);
    pass(10);
    assert.deepEqual(taken, ['profile 10000']);
    pass(3_500);
    assert.equal(taken.length, 1);
    pass(200);
    assert.equal(taken.length, 2);
  });

  it('K11-03: do not come for a short peak, nor for less load than configured', () => {
    const { load, taken, pass } = open();
    for (let count = 0; count < 20; count += 1) {
      load.share = 1;
      pass(20);
      load.share = 0;
      pass(20);
    }
    load.share = 0.9;
    pass(600);
    assert.deepEqual(taken, []);
  });

  it('K11-03: come in a shorter window when the interval is shorter', () => {
    const { load, taken, pass } = open({ profileIntervalMs: 6_000 });
    load.share = 1;
    pass(30);
    assert.ok(taken.length >= 4 && taken.length <= 5, String(taken.length));
  });

  it('are heap snapshots above a size, once per interval', () => {
    const { load, taken, pass } = open({ profileCpuShare: 0, heapSnapshotBytes: 1_000 });
    load.heapBytes = 999;
    pass(100);
    assert.deepEqual(taken, []);
    load.heapBytes = 1_000;
    pass(100);
    assert.deepEqual(taken, ['snapshot']);
    pass(3_600);
    assert.equal(taken.length, 2);
  });

  it('are told of when they could not be taken', async () => {
    const { log, load, pass } = open({ heapSnapshotBytes: 1 }, new CacheError('resource_exhausted', 'too little memory'));
    load.heapBytes = 2;
    pass(6);
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(log.lines.slice(-1), ['warn no heap snapshot was taken {"reason":"too little memory"}']);
  });

  it('cost no timer when they are off, nor after the end', () => {
    assert.equal(open({ profileCpuShare: 0 }).clock.pendingTimers, 0);
    const { clock, triggers } = open();
    assert.equal(clock.pendingTimers, 1);
    triggers[Symbol.dispose]();
    assert.equal(clock.pendingTimers, 0);
  });
});
