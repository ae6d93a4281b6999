// Blocks at the beginning of segments that are damaged or newer, and the names in `segments/`.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { crc32 } from 'node:zlib';
import { seededRandom } from '../testing/seeded-random.ts';
import {
  classifySegmentFile, decodeSegmentHeader, encodeSegmentHeader, freeFileName, hintFileName, isSegmentLength, partialFreeFileName, partialHintFileName, segmentFileName, segmentHeaderBytes, streamNames,
} from './segment-format.ts';
import type { SegmentHeader } from './segment-format.ts';

const header: SegmentHeader = { stream: 'value', segmentBytes: 2 ** 24, id: 2 ** 40 + 3, nonce: Buffer.from('f0e1d2c3b4a59687', 'hex'), firstSequence: 2 ** 52 + 1, begunMs: 1_763_000_000_000 };

/** With its checksum written again. */
function changed(change: (block: Buffer) => void): Buffer {
  const block = encodeSegmentHeader(header);
  change(block);
  block.writeUInt32LE(crc32(block.subarray(0, 60)), 60);
  return block;
}

describe('the block at the beginning of a segment', () => {
  it('gives back what was put in', (t) => {
    const random = seededRandom(t);
    for (let round = 0; round < 100; round += 1) {
      const one: SegmentHeader = { stream: random.pick(streamNames), segmentBytes: 2 ** random.integer(20, 26), id: random.integer(0, 2 ** 52), nonce: Buffer.from(random.bytes(8)), firstSequence: random.integer(0, 2 ** 52), begunMs: random.integer(0, 2 ** 52) };
      assert.deepEqual(decodeSegmentHeader(encodeSegmentHeader(one)), { kind: 'segment', header: one });
    }
  });

  it('is damaged with any bit of its 64 bytes flipped or any byte cut, and whole with any behind them', () => {
    const block = encodeSegmentHeader(header);
    for (let bit = 0; bit < 64 * 8; bit += 1) {
      const flipped = Buffer.from(block);
      flipped.writeUInt8(flipped.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      assert.equal(decodeSegmentHeader(flipped).kind, 'damaged', `bit ${bit}`);
    }
    for (let length = 0; length < 64; length += 1) assert.equal(decodeSegmentHeader(block.subarray(0, length)).kind, 'damaged');
    block.fill(0xff, 64);
    assert.equal(decodeSegmentHeader(block).kind, 'segment');
    assert.equal(decodeSegmentHeader(Buffer.alloc(segmentHeaderBytes)).kind, 'damaged');
  });

  it('of another version or stream is newer, not damaged, if its checksum is right', () => {
    assert.deepEqual(decodeSegmentHeader(changed((block) => block.writeUInt16LE(2, 8))), { kind: 'newer', what: 'version 2' });
    assert.deepEqual(decodeSegmentHeader(changed((block) => block.writeUInt16LE(4, 10))), { kind: 'newer', what: 'stream 4' });
    for (const bytes of [0, 4096, 2 ** 15, 2 ** 20 + 1, 2 ** 27]) {
      assert.ok(!isSegmentLength(bytes));
      assert.equal(decodeSegmentHeader(changed((block) => block.writeUInt32LE(bytes, 12))).kind, 'damaged');
    }
    for (const at of [20, 36, 44]) assert.equal(decodeSegmentHeader(changed((block) => block.writeUInt32LE(2 ** 21, at))).kind, 'damaged');
  });
});

describe('names in segments/', () => {
  it('are made and understood in one way', () => {
    for (const id of [0, 7, 2 ** 53 - 1]) {
      for (const stream of streamNames) assert.deepEqual(classifySegmentFile(segmentFileName(id, stream)), { kind: 'segment', id, stream });
      assert.deepEqual(classifySegmentFile(hintFileName(id)), { kind: 'hint', id });
      assert.deepEqual(classifySegmentFile(partialHintFileName(id)), { kind: 'hint_partial', id });
    }
    for (const number of [0, 1, 999_999_999_999_999]) {
      assert.deepEqual(classifySegmentFile(freeFileName(number)), { kind: 'free', number });
      assert.deepEqual(classifySegmentFile(partialFreeFileName(number)), { kind: 'free_partial', number });
    }
    assert.equal(segmentFileName(7, 'blob'), '0000000000000007.blob');
  });

  it('are foreign in any other form', () => {
    const foreign = [
      '', 'x', '0000000000000007', '0000000000000007.', '000000000000007.blob', '00000000000000007.blob', '0000000000000007.blobs', '0000000000000007.BLOB', '000000000000000A.blob',
      '0020000000000000.blob', '0000000000000007.partial', '0000000000000007.free', '01.free', '-1.free', '1.5.free', '1e3.free', '1.hint', '.free', ' 1.free', '1.free\n', '1.partial.free',
    ];
    for (const name of foreign) assert.deepEqual(classifySegmentFile(name), { kind: 'foreign' }, JSON.stringify(name));
  });
});
