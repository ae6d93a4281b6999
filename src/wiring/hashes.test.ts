// The digests of the pool are those of the functions, for any size and any cut; and nothing leaks or hangs when a body is
// given up, a thread dies or the pool is closed.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { digestFunctions, sha256 } from '../digest/digest-function.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import { openHashes } from './hashes.ts';

const mib = 1_048_576;
const piece = 262_144;

/** Bytes that differ from each other everywhere, quickly. */
function bytesOf(length: number, salt: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  for (let at = 0; at + 4 <= length; at += 4) bytes.writeUInt32LE((Math.imul(at + salt, 0x9e3779b1) ^ (at >>> 7)) >>> 0, at);
  for (let at = length - (length % 4); at < length; at += 1) bytes[at] = at & 0xff;
  return bytes;
}

describe('openHashes', () => {
  for (const row of digestFunctions) {
    it(`${row.name} of bodies of all sizes is what one thread gives`, async () => {
      await using pool = openHashes({ threadsMax: 2, ringsMax: 8 });
      for (const size of [0, 1, 1023, 1024, 1025, piece - 1, piece, piece + 1, mib - 1, mib, mib + 1, 5 * mib + 3, 16 * mib + 1]) {
        const bytes = bytesOf(size, size);
        for (const expected of size <= mib ? [size, Infinity] : [size]) {
          using body = pool.begin(row.name, expected);
          for (let at = 0; at < size; at += 65_536) await body.update(bytes.subarray(at, at + 65_536));
          assert.equal(await body.hex(), row.hashHex(bytes), `${size} bytes, ${expected} announced`);
        }
      }
      assert.equal(pool.lentRings, 0);
    });
  }

  it('hashes many bodies at once, in pieces of any length, whose memory is used again', async (t) => {
    const random = seededRandom(t);
    await using pool = openHashes({ threadsMax: 2, ringsMax: 4 });
    const hashOne = async (salt: number): Promise<void> => {
      const bytes = bytesOf(random.integer(mib, 4 * mib), salt);
      using body = pool.begin('sha256', bytes.byteLength);
      assert.ok(pool.lentRings <= 4);
      const input = Buffer.alloc(800_000);
      for (let at = 0; at < bytes.byteLength; ) {
        const length = bytes.copy(input, 0, at, at + random.integer(0, random.pick([10, 70_000, 800_000])));
        const waits = body.update(input.subarray(0, length));
        if (waits !== undefined) await waits;
        input.fill(0xee);
        at += length;
      }
      assert.equal(await body.hex(), sha256.hashHex(bytes));
    };
    await Promise.all(Array.from({ length: 12 }, (_, salt) => hashOne(salt)));
    assert.equal(pool.lentRings, 0);
  });
});
