// Room for writes: who waits is served or refused, at whatever moment it comes.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SpaceBudget, defaultMaxBytes } from './space-budget.ts';

const blockBytes = 4096;
/** More turns of the microtask queue than a round of eviction takes. */
const turnsMax = 16;

/** A full budget over `filesCount` files of one block that may go. */
function fullBudget(filesCount: number): SpaceBudget {
  let placedBytes = filesCount * blockBytes;
  const evictOne = () => {
    if (placedBytes === 0) return undefined;
    placedBytes -= blockBytes;
    return { bytes: blockBytes, done: Promise.resolve() };
  };
  return new SpaceBudget({ placedBytes: () => placedBytes, fixedBytes: () => 0, evictOne }, { maxBytes: filesCount * blockBytes, headroomBytes: blockBytes, waitersMax: 1 });
}

describe('SpaceBudget', () => {
  for (let turns = 0; turns <= turnsMax; turns += 1) {
    it(`gives room to who comes ${turns} turns after the background began to make some`, async () => {
      const budget = fullBudget(4);
      budget.trim();
      for (let turn = 0; turn < turns; turn += 1) await Promise.resolve();
      let served = false;
      const room = budget.reserve(3 * blockBytes).then(() => (served = true));
      await new Promise(setImmediate); // every promise that can settle without help from outside has done so
      assert.ok(served, 'nothing else will wake it');
      await room;
    });
  }

  it('derives the same bound from the same disk, however full the store is', () => {
    const gib = 1024 ** 3;
    assert.equal(defaultMaxBytes(200 * gib, 0), 20 * gib);
    assert.equal(defaultMaxBytes(180 * gib, 20 * gib), 20 * gib);
    assert.equal(defaultMaxBytes(gib, 0), gib, 'enough for one large build');
  });
});
