// The bucket of a value, against its definition written plainly.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { seededRandom } from '../testing/seeded-random.ts';
import { bucketsPerDoubling, bytesRange, LogBuckets, secondsRange } from './log-buckets.ts';

/** The first bucket whose upper bound is above the value. */
function plainIndexOf(buckets: LogBuckets, value: number): number {
  for (let index = 0; index < buckets.count; index += 1) if (value < buckets.upperBound(index)) return index;
  return buckets.count - 1;
}

for (const [name, range] of [['seconds', secondsRange], ['bytes', bytesRange]] as const) {
  describe(`buckets of ${name}`, () => {
    const buckets = new LogBuckets(range);

    it('puts every value into the bucket that reaches to just above it', (t) => {
      const random = seededRandom(t);
      const smallest = buckets.upperBound(0);
      for (let round = 0; round < 20_000; round += 1) {
        const value = (smallest / 4) * 2 ** (random.integer(0, 40_000_000) / 1_000_000);
        assert.equal(buckets.indexOf(value), plainIndexOf(buckets, value), `${value}`);
      }
    });

    it('has bounds that rise by an eighth of each doubling, without a gap', () => {
      for (let index = 1; index < buckets.count - 1; index += 1) {
        const [lower, upper] = [buckets.upperBound(index - 1), buckets.upperBound(index)];
        assert.ok(upper > lower && upper / lower <= 1 + 1 / bucketsPerDoubling + 1e-12, `${lower} to ${upper}`);
        const scaled = (lower + upper) / 2;
        assert.equal(buckets.indexOf(scaled), index);
      }
      assert.equal(buckets.upperBound(buckets.count - 1), Infinity);
    });

    it('puts what is out of range, and what is no number, at either end', () => {
      for (const value of [0, -0, -1, -Infinity, NaN, Number.MIN_VALUE]) assert.equal(buckets.indexOf(value), 0, String(value));
      for (const value of [1e300, Infinity, Number.MAX_VALUE]) assert.equal(buckets.indexOf(value), buckets.count - 1, String(value));
    });
  });
}

it('reaches from tens of microseconds to a minute, and from 64 bytes to 64 GiB', () => {
  const seconds = new LogBuckets(secondsRange);
  assert.deepEqual([seconds.upperBound(0), seconds.upperBound(seconds.count - 2)], [32e-6, 67.108864]);
  const bytes = new LogBuckets(bytesRange);
  assert.deepEqual([bytes.upperBound(0), bytes.upperBound(bytes.count - 2)], [64, 64 * 2 ** 30]);
});
