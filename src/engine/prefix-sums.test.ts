// Prefix sums beside a plain array.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AssertionError } from '../base/assert.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import { PrefixSums } from './prefix-sums.ts';

function sumOf(amounts: readonly number[]): number {
  return amounts.reduce((sum, amount) => sum + amount, 0);
}

function lastBelow(amounts: readonly number[], sum: number): number {
  let last = 0;
  for (let place = 0; place <= amounts.length; place += 1) if (sumOf(amounts.slice(0, place)) < sum) last = place;
  return last;
}

describe('PrefixSums', () => {
  for (const length of [1, 2, 3, 7, 8, 9, 31, 32, 100]) {
    it(`sums as an array of ${length} does`, (t) => {
      const random = seededRandom(t);
      const sums = new PrefixSums(length);
      const amounts = Array.from({ length }, () => 0);
      for (let step = 0; step < 200; step += 1) {
        const place = random.integer(0, length - 1);
        const change = random.fraction() < 0.4 ? -(amounts[place] ?? 0) : random.integer(0, 50);
        sums.add(place, change);
        amounts[place] = (amounts[place] ?? 0) + change;
        const end = random.integer(0, length);
        assert.equal(sums.before(end), sumOf(amounts.slice(0, end)));
        assert.equal(sums.at(place), amounts[place]);
        assert.equal(sums.total, sumOf(amounts));
        const sum = random.pick([0.5, 1, random.integer(1, 1_000), sums.total + 1, Math.max(1, sums.total)]);
        assert.equal(sums.lastBelow(sum), lastBelow(amounts, sum), `less than ${sum} before it`);
      }
      sums.clear();
      assert.equal(sums.total, 0);
    });
  }

  it('has the places that it was made with', () => {
    const sums = new PrefixSums(3);
    assert.throws(() => sums.add(3, 1), AssertionError);
    assert.throws(() => sums.add(-1, 1), AssertionError);
    assert.throws(() => new PrefixSums(0), AssertionError);
  });
});
