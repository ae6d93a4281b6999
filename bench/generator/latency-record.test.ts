// Coordinated omission: what a stall costs the calls that came due behind it is counted.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LatencyRecord } from './latency-record.ts';

/** Whole microseconds: times are sums of fractions of milliseconds. */
function microseconds(value: number): number {
  return Math.round(value);
}

describe('LatencyRecord', () => {
  it('says when each call is due, and how many are due by now', () => {
    const record = new LatencyRecord(1_000, 100, 50); // every 10 ms
    assert.equal(record.dueMs(0), 1_000);
    assert.equal(record.dueMs(3), 1_030);
    assert.equal(record.dueCount(999), 0);
    assert.equal(record.dueCount(1_000), 1);
    assert.equal(record.dueCount(1_009.9), 1);
    assert.equal(record.dueCount(1_010), 2);
    assert.equal(record.dueCount(99_999), 50);
  });

  it('counts from when a call was due, however late it was sent', () => {
    const record = new LatencyRecord(0, 1_000, 1);
    record.noticed(0, 4);
    record.answered(0, 6);
    const { p50, sendLagP99 } = record.outcome();
    assert.deepEqual([p50, sendLagP99].map(microseconds), [6_000, 4_000]);
  });

  it('charges a stall to every call that came due in it', () => {
    // 1,000 calls/s for a second at 1 ms each, but the server stands still from 500 ms to 600 ms.
    const record = new LatencyRecord(0, 1_000, 1_000);
    for (let index = 0; index < 1_000; index += 1) {
      const stalled = index >= 500 && index < 600;
      record.noticed(index, index);
      record.answered(index, stalled ? 601 : index + 1);
    }
    assert.ok(record.complete);
    const { p50, p90, p99, p999, worst } = record.outcome();
    // A tenth of the calls waited, from 101 ms down to 2 ms. A closed loop would have seen one slow call of a thousand,
    // and a 99th percentile of 1 ms.
    assert.deepEqual([p50, p90, p99, p999, worst].map(microseconds), [1_000, 1_000, 91_000, 100_000, 101_000]);
  });

  it('charges calls that are never answered with all the time they waited', () => {
    const record = new LatencyRecord(0, 1_000, 3);
    record.answered(1, 2);
    record.giveUp(5_000);
    assert.ok(record.complete);
    const { p50, worst } = record.outcome();
    assert.deepEqual([p50, worst].map(microseconds), [4_998_000, 5_000_000]);
  });

  it('is complete only when every call was answered', () => {
    const record = new LatencyRecord(0, 1_000, 2);
    record.answered(1, 5);
    assert.ok(!record.complete);
    record.answered(0, 5);
    assert.ok(record.complete);
  });
});
