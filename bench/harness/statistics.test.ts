// The arithmetic of the figures: medians, spreads, percentiles, slopes.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { meanWithin, median, percentile, slope, spread } from './statistics.ts';

describe('median', () => {
  it('is the middle of an odd count, in whatever order the values come', () => {
    assert.equal(median([9, 1, 5]), 5);
    assert.equal(median([4]), 4);
  });
  it('is the mean of the two middle ones of an even count', () => {
    assert.equal(median([10, 1, 3, 2]), 2.5);
  });
  it('sorts by value, not by text', () => {
    assert.equal(median([100, 9, 20]), 20);
  });
  it('does not move when one round was disturbed', () => {
    assert.equal(median([10, 11, 12, 13, 5_000]), 12);
  });
});

describe('spread', () => {
  it('has median, extremes, and the samples in their order', () => {
    assert.deepEqual(spread([3, 1, 2]), { median: 2, min: 1, max: 3, samples: [3, 1, 2] });
  });
  it('refuses to make something of nothing', () => {
    assert.throws(() => spread([]), RangeError);
  });
});

describe('percentile', () => {
  const hundred = Array.from({ length: 100 }, (_, index) => index + 1);
  it('is the nearest rank', () => {
    assert.equal(percentile(hundred, 0.5), 50);
    assert.equal(percentile(hundred, 0.9), 90);
    assert.equal(percentile(hundred, 0.99), 99);
    assert.equal(percentile(hundred, 0.999), 100);
    assert.equal(percentile(hundred, 1), 100);
  });
  it('is the least value for a share of nothing, and the only one of one', () => {
    assert.equal(percentile(hundred, 0), 1);
    assert.equal(percentile([7], 0.999), 7);
  });
  it('is not a number of nothing', () => {
    assert.ok(Number.isNaN(percentile([], 0.5)));
  });
});

describe('meanWithin', () => {
  it('is the mean with the half width of its 95 % interval', () => {
    // Standard deviation 1, five values: 2.78 / sqrt(5).
    const { mean, within } = meanWithin([9, 9.5, 10, 10.5, 11].map((value) => 10 + (value - 10) / Math.sqrt(0.625)));
    assert.ok(Math.abs(mean - 10) < 1e-9);
    assert.ok(Math.abs(within - 2.78 / Math.sqrt(5)) < 1e-9, String(within));
  });
  it('is nothing that could be trusted for a single value', () => {
    assert.deepEqual(meanWithin([7]), { mean: 7, within: NaN });
  });
});

describe('slope', () => {
  it('is that of the line the points are on', () => {
    assert.equal(slope([{ x: 0, y: 1 }, { x: 1, y: 3 }, { x: 2, y: 5 }]), 2);
  });
});
