// What waits of a request: order, copies, and memory.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { seededRandom } from '../testing/seeded-random.ts';
import { KeptPieces } from './kept-pieces.ts';

describe('kept pieces', () => {
  it('share memory when they are small, so that a flood of them takes little more than its bytes', () => {
    const kept = new KeptPieces();
    for (let count = 0; count < 10_000; count += 1) kept.add(Uint8Array.of(count & 0xff));
    assert.equal([...kept].length, 5);
    assert.deepEqual([...Buffer.concat([...kept]).subarray(0, 300)], Array.from({ length: 300 }, (_, index) => index & 0xff));
    let memoryBytes = 0;
    for (const { buffer } of kept) memoryBytes += buffer.byteLength;
    assert.equal(memoryBytes, 10_240);
  });

  it('give what was added in order, whatever is taken meanwhile, and are copies', (t) => {
    const random = seededRandom(t);
    const beginning = random.bytes(50);
    const kept = new KeptPieces(beginning);
    const sent: Uint8Array[] = [beginning.slice()];
    const taken: Uint8Array[] = [];
    for (let round = 0; round < 2_000; round += 1) {
      const piece = random.bytes(random.integer(0, [3, 300, 3_000][random.integer(0, 2)] ?? 0));
      sent.push(piece.slice());
      kept.add(piece);
      piece.fill(0xee);
      while (kept.first !== undefined && random.integer(0, 2) > 0) {
        const bytes = random.integer(0, kept.first.byteLength);
        taken.push(kept.first.slice(0, bytes));
        kept.take(bytes);
      }
    }
    assert.deepEqual(Buffer.concat([...taken, ...kept]), Buffer.concat(sent));
  });
});
