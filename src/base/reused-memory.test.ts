// Memory comes back as it was lent, is never lent to two, and is kept within its bound.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { seededRandom } from '../testing/seeded-random.ts';
import { ReusedMemory, lentBytesMax } from './reused-memory.ts';
import type { LentMemory } from './reused-memory.ts';

describe('ReusedMemory', () => {
  it('has room for what is asked, and leaves a quarter unused at most', () => {
    const memory = new ReusedMemory(0);
    for (let bytes = 8_193; bytes <= lentBytesMax; bytes += 977) {
      const { length } = memory.take(bytes).bytes;
      assert.ok(length >= bytes && length <= bytes * 1.25 + 1, `${length} for ${bytes}`);
    }
    for (const bytes of [0, 1, 8_192]) assert.equal(memory.take(bytes).bytes.length, 8_192);
    assert.equal(memory.take(lentBytesMax).bytes.length, lentBytesMax);
    assert.equal(memory.take(lentBytesMax + 1).bytes.length, lentBytesMax + 1);
  });

  it('lends what was given back again, to one at a time', (t) => {
    const random = seededRandom(t);
    const memory = new ReusedMemory(10_000_000);
    const lent: LentMemory[] = [];
    const known = new Set<Buffer>();
    let again = 0;
    for (let round = 0; round < 2_000; round += 1) {
      if (lent.length > 0 && random.integer(0, 1) === 0) {
        lent.splice(random.integer(0, lent.length - 1), 1)[0]?.giveBack();
        continue;
      }
      const taken = memory.take(random.integer(0, 60_000));
      assert.ok(lent.every(({ bytes }) => bytes !== taken.bytes));
      assert.equal(taken.view.buffer, taken.bytes.buffer);
      if (known.has(taken.bytes)) again += 1;
      known.add(taken.bytes);
      lent.push(taken);
    }
    assert.ok(again > 100, `${again}`);
  });

  it('keeps no more than its bound, and nothing that is longer than the longest', () => {
    const memory = new ReusedMemory(20_000);
    const lent = Array.from({ length: 5 }, () => memory.take(8_000));
    const long = memory.take(lentBytesMax + 1);
    for (const one of lent) one.giveBack();
    assert.equal(memory.keptBytes, 16_384);
    long.giveBack();
    assert.equal(memory.keptBytes, 16_384);
    memory.take(1);
    assert.equal(memory.keptBytes, 8_192);
  });

  it('refuses to take the same memory back twice', () => {
    const lent = new ReusedMemory(100_000).take(1);
    lent.giveBack();
    assert.throws(() => lent.giveBack(), { name: 'AssertionError' });
  });
});
