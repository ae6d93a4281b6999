// Received bytes come out as they went in, and cost memory in proportion, however small the pieces are.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { seededRandom } from '../testing/seeded-random.ts';
import { ReceivedChunks } from './received-chunks.ts';

/** All that waits, and how much memory stands behind it. */
function drain(chunks: ReceivedChunks): { bytes: Buffer; chunkCount: number; memoryBytes: number } {
  const taken: Uint8Array[] = [];
  for (let chunk = chunks.shift(); chunk !== undefined; chunk = chunks.shift()) taken.push(chunk);
  const buffers = new Set(taken.map(({ buffer }) => buffer));
  return { bytes: Buffer.concat(taken), chunkCount: taken.length, memoryBytes: [...buffers].reduce((sum, { byteLength }) => sum + byteLength, 0) };
}

describe('ReceivedChunks', () => {
  it('gives back what was put in, in order, whatever the sizes', (t) => {
    const random = seededRandom(t);
    const chunks = new ReceivedChunks();
    const put: Buffer[] = [];
    const taken: Uint8Array[] = [];
    for (let round = 0; round < 3_000; round++) {
      const bytes = random.bytes(random.pick([0, 1, 1, 7, 300, 1_023, 1_024, 5_000]));
      chunks.push(bytes);
      put.push(Buffer.from(bytes));
      bytes.fill(0); // the transport uses its buffer again
      while (random.integer(0, 3) === 0) {
        const chunk = chunks.shift();
        if (chunk === undefined) break;
        assert.ok(chunk.length > 0);
        taken.push(chunk);
      }
      assert.equal(chunks.bytes, put.reduce((sum, { length }) => sum + length, 0) - taken.reduce((sum, { length }) => sum + length, 0));
    }
    taken.push(drain(chunks).bytes);
    assert.ok(Buffer.concat(taken).equals(Buffer.concat(put)));
    assert.equal(chunks.bytes, 0);
  });

  it('keeps single bytes in a few buffers', () => {
    const chunks = new ReceivedChunks();
    for (let count = 0; count < 100_000; count++) chunks.push(new Uint8Array([count & 0xff]));
    const { bytes, chunkCount, memoryBytes } = drain(chunks);
    assert.equal(bytes.length, 100_000);
    assert.ok(chunkCount < 20, `${chunkCount} chunks`);
    assert.ok(memoryBytes < 2 * 100_000, `${memoryBytes} bytes of memory`);
  });

  it('wastes little when small pieces come between large ones', () => {
    const chunks = new ReceivedChunks();
    for (let count = 0; count < 200; count++) {
      chunks.push(new Uint8Array(1));
      chunks.push(new Uint8Array(1_024));
    }
    const { bytes, memoryBytes } = drain(chunks);
    assert.equal(bytes.length, 200 * 1_025);
    assert.ok(memoryBytes < 1.2 * bytes.length, `${memoryBytes} bytes of memory`);
  });

  it('never writes again what it gave out, and forgets what it is told to', () => {
    const chunks = new ReceivedChunks();
    chunks.push(Buffer.from('ab'));
    const first = chunks.shift();
    chunks.push(Buffer.from('cd'));
    assert.deepEqual([String(first), String(chunks.shift()), chunks.shift()], ['97,98', '99,100', undefined]);
    chunks.push(Buffer.from('ef'));
    chunks.clear();
    assert.deepEqual([chunks.bytes, chunks.shift()], [0, undefined]);
  });
});
