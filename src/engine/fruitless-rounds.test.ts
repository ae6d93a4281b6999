// When going around is given up, and when it is tried again.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FruitlessRounds } from './fruitless-rounds.ts';

function lose(rounds: FruitlessRounds, times: number): FruitlessRounds {
  for (let count = 0; count < times; count += 1) rounds.lost();
  return rounds;
}

describe('FruitlessRounds', () => {
  it('is over when all segments, and one more, won nothing in a row', () => {
    const rounds = lose(new FruitlessRounds(), 5);
    assert.equal(rounds.isFruitless(5, 1_000), false);
    rounds.lost();
    assert.equal(rounds.isFruitless(5, 1_000), true);
    rounds.won();
    assert.equal(rounds.isFruitless(5, 1_000), false);
    assert.equal(lose(rounds, 5).isFruitless(5, 1_000), false);
  });

  it('begins anew when a minute of leases has ended', () => {
    const rounds = lose(new FruitlessRounds(), 6);
    assert.deepEqual([1_000, 1_030, 1_059].map((floorS) => rounds.isFruitless(5, floorS)), [true, true, true]);
    assert.equal(rounds.isFruitless(5, 1_060), false);
    assert.equal(lose(rounds, 5).isFruitless(5, 1_060), false);
    assert.equal(lose(rounds, 1).isFruitless(5, 1_060), true);
  });
});
