// What counts as progress, and how soon it is missed.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { lookIntervalMs, ProgressWatch } from './progress-watch.ts';

const limits = { stallMs: 100, bytesMin: 10 };

describe('a progress watch', () => {
  it('finds who moves nothing for the whole time, and not before', () => {
    const watch = new ProgressWatch();
    assert.equal(watch.isStalled(true, 5, { nowMs: 1_000, ...limits }), false);
    assert.equal(watch.isStalled(true, 5, { nowMs: 1_099, ...limits }), false);
    assert.equal(watch.isStalled(true, 5, { nowMs: 1_100, ...limits }), true);
  });

  it('takes a byte now and then for nothing, and enough bytes for a new start', () => {
    const watch = new ProgressWatch();
    watch.isStalled(true, 0, { nowMs: 0, ...limits });
    assert.equal(watch.isStalled(true, 9, { nowMs: 100, ...limits }), true);
    const other = new ProgressWatch();
    other.isStalled(true, 0, { nowMs: 0, ...limits });
    assert.equal(other.isStalled(true, 10, { nowMs: 100, ...limits }), false);
    assert.equal(other.isStalled(true, 19, { nowMs: 199, ...limits }), false);
    assert.equal(other.isStalled(true, 19, { nowMs: 200, ...limits }), true);
  });

  it('blames nobody who is not waited for', () => {
    const watch = new ProgressWatch();
    watch.isStalled(true, 0, { nowMs: 0, ...limits });
    assert.equal(watch.isStalled(false, 0, { nowMs: 99, ...limits }), false);
    assert.equal(watch.isStalled(true, 0, { nowMs: 150, ...limits }), false);
    assert.equal(watch.isStalled(true, 0, { nowMs: 250, ...limits }), true);
  });

  it('is stricter as soon as the time is shorter', () => {
    const watch = new ProgressWatch();
    watch.isStalled(true, 0, { nowMs: 0, ...limits });
    assert.equal(watch.isStalled(true, 0, { nowMs: 50, ...limits }), false);
    assert.equal(watch.isStalled(true, 0, { nowMs: 50, stallMs: 50, bytesMin: 10 }), true);
  });
});

it('looks four times per timeout, within bounds, and heeds no timeout that is off', () => {
  assert.equal(lookIntervalMs(400, 8_000, 0), 100);
  assert.equal(lookIntervalMs(1), 20);
  assert.equal(lookIntervalMs(120_000), 5_000);
  assert.equal(lookIntervalMs(0), 5_000);
});
