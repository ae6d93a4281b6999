// The worked example of docs/formats/hints.md, and hints that are not believed.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { crc32 } from 'node:zlib';
import { seededRandom } from '../testing/seeded-random.ts';
import type { SeededRandom } from '../testing/seeded-random.ts';
import { pageSays, workedBlocks } from '../testing/worked-example.ts';
import { HintBuilder, hintEntryOf, hintEntryWords } from './hint-format.ts';
import type { HintEntry, HintedSegment } from './hint-format.ts';
import { decodeHint } from './hint.ts';
import type { Hint } from './hint.ts';
import { KeyWords, blobTag, valueTag } from './key-words.ts';
import { RecordScan } from './record-scan.ts';
import { nonceCrc, segmentHeaderBytes } from './segment-format.ts';

const page = 'hints.md';
const [example, ...more] = workedBlocks(page);
assert.ok(example !== undefined);
const exampleSegment: HintedSegment = { id: 7, stream: 'blob', nonce: Buffer.from('0102030405060708', 'hex'), segmentBytes: 2 ** 20 };

interface Told {
  readonly entry: HintEntry;
  readonly key: string;
  readonly tag: number;
}

function told(hint: Hint): readonly Told[] {
  const key = new KeyWords();
  const all = hint.blocks.flatMap(({ from, count }) => Array.from({ length: count }, (_, index) => {
    const entry = hint.entryAt(from + index * hintEntryWords, key);
    return { entry, key: key.hex(), tag: key.tag };
  }));
  assert.equal(hint.count, all.length);
  return all;
}

/** As they stand in the hint. */
function putAll(builder: HintBuilder, hint: Hint, { from, count }: Hint['blocks'][number]): void {
  const key = new KeyWords();
  for (let at = from; at < from + count * hintEntryWords; at += hintEntryWords) {
    const entry = hint.entryAt(at, key);
    builder.add(key, entry);
  }
}

function right(bytes: Buffer, segment: HintedSegment): Hint {
  const decoded = decodeHint(bytes, segment);
  assert.ok(decoded.kind === 'hint', decoded.kind === 'wrong' ? decoded.reason : '');
  return decoded.hint;
}

/** Entries in order, with gaps as damage leaves them. */
function someEntries(random: SeededRandom, stream: HintedSegment['stream'], count: number): readonly HintEntry[] {
  let offset = segmentHeaderBytes;
  return Array.from({ length: count }, () => {
    const kinds = stream === 'blob' ? (['blob', 'intent', 'commit'] as const) : (['actionResult', 'opaque'] as const);
    const isTombstone = random.integer(0, 3) === 0;
    const kind = random.pick(kinds);
    offset += random.pick([0, 0, 0, 8, 800]);
    const bytes = 56 + 8 * random.integer(0, 20);
    const entry: HintEntry = {
      kind: isTombstone ? 'tombstone' : kind, target: isTombstone ? kind : undefined, isGone: isTombstone && random.integer(0, 1) === 1, isPointer: random.integer(0, 1) === 1, isCopy: random.integer(0, 1) === 1,
      functionNumber: random.pick([1, 2, 9]), offset, bytes, logicalBytes: random.integer(0, 2 ** 42), sequence: random.integer(0, 2 ** 50), usedAtS: random.integer(0, 2 ** 32 - 1),
    };
    offset += bytes;
    return entry;
  });
}

/** Writes the checksums of a block again, as one that is wrong but whole would have them. */
function summed(bytes: Buffer): Buffer {
  bytes.writeUInt32LE(crc32(bytes.subarray(64)), 52);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 60)), 60);
  return bytes;
}

describe('docs/formats/hints.md', () => {
  it('has no example that is not read here', () => {
    assert.equal(more.length, 0);
  });

  it('the example decodes, and is written byte for byte', () => {
    const hint = right(example.bytes, exampleSegment);
    assert.ok(pageSays(page, `sealed at offset ${hint.endOffset}`));
    assert.deepEqual([hint.count, hint.isSealed, hint.sequenceMax], [5, true, 1005]);
    assert.deepEqual(told(hint).map(({ entry }) => [entry.kind, entry.target, entry.isGone]), [
      ['blob', undefined, false], ['intent', undefined, false], ['commit', undefined, false], ['tombstone', 'commit', false], ['tombstone', 'commit', true],
    ]);
    assert.ok(pageSays(page, `before offset ${told(hint)[2]?.entry.offset} was durable`));
    const builder = new HintBuilder(exampleSegment);
    for (const block of hint.blocks) putAll(builder, hint, block);
    const first = builder.take({ endOffset: 4280 });
    assert.ok(Buffer.concat([first, builder.take({ endOffset: hint.endOffset, sealSequence: 1005 })]).equals(example.bytes));
  });

  it('is what the segment of the other page makes', () => {
    const segment = Buffer.alloc(2 ** 20);
    for (const { offset, bytes } of workedBlocks('segments.md').slice(0, 5)) segment.set(bytes, offset);
    const scan = new RecordScan({ offset: segmentHeaderBytes, endOffset: segment.byteLength, nonceCrc: nonceCrc(exampleSegment.nonce), recordsBefore: 0 });
    const builder = new HintBuilder(exampleSegment);
    const key = new KeyWords();
    for (const event of scan.push(segment.subarray(segmentHeaderBytes))) {
      assert.ok(event.kind === 'record');
      const entry = hintEntryOf(event.head, event.bytes, event.payload);
      assert.ok(entry !== undefined && key.setRecord(event.head, entry.target));
      builder.add(key, entry);
    }
    const end = scan.end();
    assert.ok(end.kind === 'ended');
    assert.ok(Buffer.concat([builder.take({ endOffset: 4280 }), builder.take({ endOffset: end.endOffset, sealSequence: 1005 })]).equals(example.bytes));
  });
});

describe('hints', () => {
  it('give back what was put in, in blocks of what stands before some offset', (t) => {
    const random = seededRandom(t);
    for (const stream of ['blob', 'value'] as const) {
      const segment: HintedSegment = { id: random.integer(0, 2 ** 50), stream, nonce: random.bytes(8), segmentBytes: 2 ** 24 };
      const builder = new HintBuilder(segment);
      const key = new KeyWords();
      const expected: Told[] = [];
      const blocks: Buffer[] = [];
      // More than the builder has room for at first.
      for (const entry of someEntries(random, stream, 3_500)) {
        const { target } = entry;
        const kind = target ?? entry.kind;
        key.setBytes(stream === 'blob' ? blobTag(entry.functionNumber) : valueTag(kind === 'opaque' ? 'opaque' : 'action_result', entry.functionNumber), random.bytes(32));
        builder.add(key, entry);
        expected.push({ entry, key: key.hex(), tag: key.tag });
        if (expected.length % 900 !== 1) continue;
        // Some of those before are told of now, the others in the next block.
        const kept = random.integer(0, Math.min(expected.length, 100));
        const last = expected[expected.length - kept - 1];
        const endOffset = last === undefined ? segmentHeaderBytes : last.entry.offset + last.entry.bytes;
        blocks.push(builder.take({ endOffset }));
        assert.equal(builder.takenEnd, endOffset);
        const hint = right(Buffer.concat(blocks), segment);
        assert.deepEqual(told(hint), expected.slice(0, expected.length - kept));
        assert.deepEqual([hint.isSealed, hint.endOffset], [false, endOffset]);
      }
      const last = expected.at(-1);
      assert.ok(last);
      blocks.push(builder.take({ endOffset: last.entry.offset + last.entry.bytes + 56, sealSequence: 7 }));
      const hint = right(Buffer.concat(blocks), segment);
      assert.deepEqual(told(hint), expected);
      assert.ok(hint.isSealed);
      assert.equal(hint.sequenceMax, Math.max(...expected.map(({ entry }) => entry.sequence)));
      // What begins within a word of its memory is read as well.
      const shifted = Buffer.concat([Buffer.alloc(3), ...blocks]).subarray(3);
      assert.deepEqual(told(right(shifted, segment)), expected);
    }
  });

  it('count up to the first block with any bit flipped or any byte cut, and for no other segment', () => {
    const first = 64 * 3;
    const isTold = (bytes: Buffer, at: number): void => {
      const decoded = decodeHint(bytes, exampleSegment);
      if (at < first) assert.equal(decoded.kind, 'wrong', `at ${at}`);
      else assert.ok(decoded.kind === 'hint' && decoded.hint.count === 2 && !decoded.hint.isSealed && decoded.hint.endOffset === 4280 && decoded.hint.sequenceMax === 1001, `at ${at}`);
    };
    for (let bit = 0; bit < example.bytes.byteLength * 8; bit += 1) {
      const changed: Buffer = Buffer.from(example.bytes);
      changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      isTold(changed, bit >> 3);
    }
    for (let length = 0; length < example.bytes.byteLength; length += 1) isTold(example.bytes.subarray(0, length), length);
    // Nothing is looked for behind the seal.
    const longer = right(Buffer.concat([example.bytes, Buffer.alloc(64)]), exampleSegment);
    assert.deepEqual([longer.count, longer.isSealed], [5, true]);
    const others: readonly Partial<HintedSegment>[] = [{ id: 8 }, { stream: 'value' }, { nonce: Buffer.from('0102030405060709', 'hex') }, { segmentBytes: 4096 }];
    for (const other of others) assert.equal(decodeHint(example.bytes, { ...exampleSegment, ...other }).kind, 'wrong', JSON.stringify(other));
    // Blocks of one hint that are not in their order.
    assert.equal(decodeHint(example.bytes.subarray(first), exampleSegment).kind, 'wrong');
    assert.equal(right(Buffer.concat([example.bytes.subarray(0, first), example.bytes.subarray(0, first), example.bytes.subarray(first)]), exampleSegment).count, 2);
  });

  it('are wrong where they contradict themselves, whatever their checksums say', () => {
    const builder = new HintBuilder(exampleSegment);
    const whole = right(example.bytes, exampleSegment);
    for (const block of whole.blocks) putAll(builder, whole, block);
    const inOne = builder.take({ endOffset: whole.endOffset, sealSequence: 1005 });
    const changes: readonly [string, (bytes: Buffer) => void][] = [
      ['version', (bytes) => bytes.writeUInt16LE(2, 8)],
      ['flags', (bytes) => bytes.writeUInt32LE(2, 36)],
      ['end that no record has', (bytes) => bytes.writeUInt32LE(4612, 32)],
      ['end in front of the seal', (bytes) => bytes.writeUInt32LE(4608, 32)],
      ['beginning that is not that of the segment', (bytes) => bytes.writeUInt32LE(4104, 56)],
      ['end behind the segment', (bytes) => bytes.writeUInt32LE(2 ** 20 + 8, 32)],
      ['end within the first block', (bytes) => bytes.writeUInt32LE(4096, 32)],
      ['highest number below that of an entry', (bytes) => bytes.writeUInt32LE(1003, 40)],
      ['number of tombstones', (bytes) => bytes.writeUInt32LE(1, 48)],
      ['entry in front of the one before', (bytes) => bytes.writeUInt32LE(4096, 64 + 64 + 32)],
      ['first entry in the first block', (bytes) => bytes.writeUInt32LE(4088, 64 + 32)],
      ['record of no bytes', (bytes) => bytes.writeUInt32LE(0, 64 + 60)],
      ['record of an odd length', (bytes) => bytes.writeUInt32LE(90, 64 + 60)],
      ['seal as an entry', (bytes) => bytes.writeUInt8(8, 64 + 36)],
      ['value in a blob segment', (bytes) => bytes.writeUInt8(2, 64 + 36)],
      ['kind that is not known', (bytes) => bytes.writeUInt8(9, 64 + 36)],
      ['flag that is not known', (bytes) => bytes.writeUInt8(8, 64 + 38)],
      ['target of what is no tombstone', (bytes) => bytes.writeUInt8(1, 64 + 39)],
      ['tombstone without a target', (bytes) => bytes.writeUInt8(0, 64 + 3 * 64 + 39)],
      ['size beyond 2^53', (bytes) => bytes.writeUInt32LE(2 ** 21, 64 + 44)],
    ];
    for (const [name, change] of changes) {
      const bytes: Buffer = Buffer.from(inOne);
      change(bytes);
      assert.equal(decodeHint(summed(bytes), exampleSegment).kind, 'wrong', name);
    }
    assert.equal(decodeHint(summed(Buffer.from(inOne)), exampleSegment).kind, 'hint');
  });

  it('have no entry for a tombstone that only a newer Kiln knows', () => {
    const head = {
      kind: 'tombstone', functionNumber: 1, isPointer: false, isCopy: false, hash: Buffer.alloc(32), instance: '', logicalBytes: 1, sequence: 1,
      offset: 4096, durableMark: 4096, usedAtS: 1, payloadBytes: 8, payloadCrc: 0,
    } as const;
    assert.ok(hintEntryOf(head, 96, Buffer.from('0501000000000000', 'hex'))?.isGone === true);
    for (const hex of ['0601000000000000', '0901000000000000', '0502000000000000', '0500000000000001', '0101000000000000', '05']) assert.equal(hintEntryOf(head, 96, Buffer.from(hex, 'hex')), undefined, hex);
  });
});
