// Writes that waited for room are told of: the first of a minute, with how many others there were.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ManualClock } from '../testing/manual-clock.ts';
import { RecordedLog } from '../testing/recorded-log.ts';
import { SlowWaits } from './slow-waits.ts';

class Rig {
  readonly clock = new ManualClock();
  readonly log = new RecordedLog();
  readonly waits = new SlowWaits({ monotonicClock: this.clock, log: this.log });

  async wait(durationMs: number, isWaitedFor?: () => boolean): Promise<void> {
    const waiting = Promise.withResolvers<void>();
    this.waits.note('file', waiting.promise, isWaitedFor);
    this.clock.advance(durationMs);
    waiting.resolve();
    await waiting.promise;
  }
}

describe('SlowWaits', () => {
  it('K2-10: warns of a wait for room of more than 1 ms, and says for what', async () => {
    const rig = new Rig();
    await rig.wait(1);
    assert.deepEqual(rig.log.lines, []);
    await rig.wait(2);
    assert.equal(rig.log.lines.length, 1);
    assert.match(rig.log.lines[0] ?? '', /^warn a write waited for room.*"room":"file","waitedMs":2/);
  });

  it('K2-10: says it once a minute, with how many others there were', async () => {
    const rig = new Rig();
    for (let count = 0; count < 10; count += 1) await rig.wait(2);
    assert.equal(rig.log.lines.length, 1);
    rig.clock.advance(60_000);
    await rig.wait(5);
    assert.equal(rig.log.lines.length, 2);
    assert.match(rig.log.lines[1] ?? '', /"othersSince":9/);
  });

  it('says nothing of what was asked for ahead, and nobody needed, nor of what was refused', async () => {
    const rig = new Rig();
    await rig.wait(500, () => false);
    const refused = Promise.reject(new Error('no room'));
    rig.waits.note('segment', refused);
    rig.clock.advance(500);
    await assert.rejects(refused, /no room/);
    assert.deepEqual(rig.log.lines, []);
    await rig.wait(500, () => true);
    assert.equal(rig.log.lines.length, 1);
  });
});
