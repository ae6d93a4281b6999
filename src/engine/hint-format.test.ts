// The worked example of docs/formats/hints.md, and hints that are not believed.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { crc32 } from 'node:zlib';
import { seededRandom } from '../testing/seeded-random.ts';
import type { SeededRandom } from '../testing/seeded-random.ts';
import { pageSays, workedBlocks } from '../testing/worked-example.ts';
import { HintBuilder, decodeHint, hintEntryOf } from './hint-format.ts';
import type { Hint, HintEntry, HintedSegment } from './hint-format.ts';
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
  return Array.from({ length: hint.count }, (_, index) => {
    const entry = hint.entryAt(index, key);
    return { entry, key: key.hex(), tag: key.tag };
  });
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

/** Writes the checksums of a hint again, as one that is wrong but whole would have them. */
function sealed(bytes: Buffer): Buffer {
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
    const builder = new HintBuilder(exampleSegment);
    const key = new KeyWords();
    for (let index = 0; index < hint.count; index += 1) {
      const entry = hint.entryAt(index, key);
      builder.add(key, entry);
    }
    assert.ok(builder.encode({ endOffset: hint.endOffset, sealSequence: 1005 }).equals(example.bytes));
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
    assert.ok(builder.encode({ endOffset: end.endOffset, sealSequence: 1005 }).equals(example.bytes));
  });
});

describe('hints', () => {
  it('give back what was put in, also one that is not finished yet', (t) => {
    const random = seededRandom(t);
    for (const stream of ['blob', 'value'] as const) {
      const segment: HintedSegment = { id: random.integer(0, 2 ** 50), stream, nonce: random.bytes(8), segmentBytes: 2 ** 24 };
      const builder = new HintBuilder(segment);
      const key = new KeyWords();
      const expected: Told[] = [];
      // More than the builder has room for at first.
      for (const entry of someEntries(random, stream, 1500)) {
        if (expected.length % 700 === 0) {
          const last = expected.at(-1);
          const hint = right(builder.encode({ endOffset: last === undefined ? segmentHeaderBytes : last.entry.offset + last.entry.bytes }), segment);
          assert.deepEqual(told(hint), expected);
          assert.ok(!hint.isSealed);
        }
        const { target } = entry;
        const kind = target ?? entry.kind;
        key.setBytes(stream === 'blob' ? blobTag(entry.functionNumber) : valueTag(kind === 'opaque' ? 'opaque' : 'action_result', entry.functionNumber), random.bytes(32));
        builder.add(key, entry);
        expected.push({ entry, key: key.hex(), tag: key.tag });
      }
      const last = expected.at(-1);
      assert.ok(last);
      const hint = right(builder.encode({ endOffset: last.entry.offset + last.entry.bytes + 56, sealSequence: 7 }), segment);
      assert.deepEqual(told(hint), expected);
      assert.equal(hint.sequenceMax, Math.max(...expected.map(({ entry }) => entry.sequence)));
    }
  });

  it('are wrong with any bit flipped, any byte cut or added, or for any other segment', () => {
    for (let bit = 0; bit < example.bytes.byteLength * 8; bit += 1) {
      const changed: Buffer = Buffer.from(example.bytes);
      changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      assert.equal(decodeHint(changed, exampleSegment).kind, 'wrong', `bit ${bit}`);
    }
    for (let length = 0; length < example.bytes.byteLength; length += 1) assert.equal(decodeHint(example.bytes.subarray(0, length), exampleSegment).kind, 'wrong');
    assert.equal(decodeHint(Buffer.concat([example.bytes, Buffer.alloc(64)]), exampleSegment).kind, 'wrong');
    const others: readonly Partial<HintedSegment>[] = [{ id: 8 }, { stream: 'value' }, { nonce: Buffer.from('0102030405060709', 'hex') }, { segmentBytes: 4096 }];
    for (const other of others) assert.equal(decodeHint(example.bytes, { ...exampleSegment, ...other }).kind, 'wrong', JSON.stringify(other));
  });

  it('are wrong where they contradict themselves, whatever their checksums say', () => {
    const changes: readonly [string, (bytes: Buffer) => void][] = [
      ['version', (bytes) => bytes.writeUInt16LE(2, 8)],
      ['flags', (bytes) => bytes.writeUInt32LE(2, 36)],
      ['end that no record has', (bytes) => bytes.writeUInt32LE(4612, 32)],
      ['end in front of the seal', (bytes) => bytes.writeUInt32LE(4608, 32)],
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
      const bytes: Buffer = Buffer.from(example.bytes);
      change(bytes);
      assert.equal(decodeHint(sealed(bytes), exampleSegment).kind, 'wrong', name);
    }
    assert.equal(decodeHint(sealed(Buffer.from(example.bytes)), exampleSegment).kind, 'hint');
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
