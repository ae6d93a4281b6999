// Against zlib's, of any bytes from any place on.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { crc32 } from 'node:zlib';
import { seededRandom } from '../testing/seeded-random.ts';
import { shortCrc32 } from './short-crc.ts';

it('is the checksum that zlib makes, whatever the length, the place and what was before', (t) => {
  const random = seededRandom(t);
  const bytes = random.bytes(2_000);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let round = 0; round < 3_000; round += 1) {
    const from = random.integer(0, 1_000);
    const to = from + random.integer(0, round < 100 ? round : 1_000);
    const before = random.pick([0, 1, 0xffff_ffff, crc32(bytes.subarray(0, from))]);
    assert.equal(shortCrc32(view, from, to, before), crc32(bytes.subarray(from, to), before));
  }
  assert.equal(shortCrc32(view, 0, 9), crc32(bytes.subarray(0, 9)));
});
