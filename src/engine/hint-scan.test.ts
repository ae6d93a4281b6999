// A hint made from a segment tells of every right record that is durable, and of nothing else.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { crc32 } from 'node:zlib';
import { seededRandom } from '../testing/seeded-random.ts';
import type { SeededRandom } from '../testing/seeded-random.ts';
import { hintEntryWords } from './hint-format.ts';
import type { HintEntry, HintedSegment } from './hint-format.ts';
import { decodeHint } from './hint.ts';
import { hintOf } from './hint-scan.ts';
import type { ReadNow } from './hint-scan.ts';
import { KeyWords } from './key-words.ts';
import { recordBytes, writeHead } from './record-codec.ts';
import type { RecordHead, RecordKind } from './record-codec.ts';
import { encodeTombstone } from './record-payloads.ts';
import { nonceCrc, segmentHeaderBytes } from './segment-format.ts';

const segment: HintedSegment = { id: 9, stream: 'blob', nonce: Buffer.from('a1b2c3d4e5f60718', 'hex'), segmentBytes: 2 ** 22 };
const crc = nonceCrc(segment.nonce);

interface Log {
  readonly bytes: Buffer;
  readonly heads: readonly { readonly head: RecordHead; readonly bytes: number }[];
  readonly end: number;
  readonly sealSequence: number;
}

/** A sealed segment of blobs, intents, commits and tombstones, synced record by record. */
function logOf(random: SeededRandom, roomBytes: number): Log {
  const bytes = Buffer.alloc(segment.segmentBytes);
  const heads: { head: RecordHead; bytes: number }[] = [];
  let at = segmentHeaderBytes;
  let sequence = 100;
  const append = (kind: RecordKind, hash: Uint8Array, payload: Buffer, logicalBytes: number): void => {
    sequence += 1;
    const head: RecordHead = {
      kind, functionNumber: hash.byteLength === 0 ? 0 : 1, isPointer: false, isCopy: random.integer(0, 1) === 1, hash, instance: '', logicalBytes, sequence,
      offset: at, durableMark: at, usedAtS: random.integer(0, 2 ** 32 - 1), payloadBytes: payload.byteLength, payloadCrc: crc32(payload),
    };
    payload.copy(bytes, writeHead(bytes, at, head, crc));
    heads.push({ head, bytes: recordBytes(hash.byteLength, 0, payload.byteLength) });
    at += recordBytes(hash.byteLength, 0, payload.byteLength);
  };
  while (at < segmentHeaderBytes + roomBytes) {
    const kind = random.pick(['blob', 'blob', 'intent', 'commit', 'tombstone'] as const);
    const payload = kind === 'blob' ? Buffer.alloc(random.integer(0, random.pick([100, 60_000])), sequence) : kind === 'tombstone' ? encodeTombstone({ removed: 'blob', isGone: false }) : Buffer.alloc(0);
    append(kind, random.bytes(32), payload, kind === 'blob' ? payload.byteLength : random.integer(0, 2 ** 42));
  }
  const sealed = heads.length;
  append('seal', new Uint8Array(0), Buffer.alloc(0), sealed);
  return { bytes, heads, end: at, sealSequence: sequence };
}

function readerOf(bytes: Buffer): ReadNow {
  return (into, position) => bytes.copy(into, 0, position, Math.min(bytes.byteLength, position + into.byteLength));
}

function entriesOf(hint: Buffer | undefined): readonly HintEntry[] {
  assert.ok(hint);
  const decoded = decodeHint(hint, segment);
  assert.ok(decoded.kind === 'hint', decoded.kind === 'wrong' ? decoded.reason : '');
  const [key, expected] = [new KeyWords(), decoded.hint];
  return expected.blocks.flatMap(({ from, count }) => Array.from({ length: count }, (_, index) => expected.entryAt(from + index * hintEntryWords, key)));
}

describe('hintOf', () => {
  it('tells of every record of a sealed segment, and of those before the durable end of an open one', (t) => {
    const random = seededRandom(t);
    for (const roomBytes of [0, 500, 100_000, 3_500_000]) {
      const { bytes, heads, end, sealSequence } = logOf(random, roomBytes);
      const told = entriesOf(hintOf(readerOf(bytes), { segment, endOffset: end, sealSequence }));
      const expected = heads.slice(0, -1).map(({ head, bytes: length }) => [head.kind, head.offset, length, head.sequence, head.logicalBytes, head.usedAtS, head.isCopy]);
      assert.deepEqual(told.map((entry) => [entry.kind, entry.offset, entry.bytes, entry.sequence, entry.logicalBytes, entry.usedAtS, entry.isCopy]), expected);
      const cut = random.integer(0, heads.length - 1);
      const endOffset = heads[cut]?.head.offset ?? 0;
      assert.deepEqual(entriesOf(hintOf(readerOf(bytes), { segment, endOffset })).map(({ offset }) => offset), heads.slice(0, cut).map(({ head }) => head.offset));
    }
  });

  it('leaves out what is damaged and keeps what stands behind', (t) => {
    const random = seededRandom(t);
    const { bytes, heads, end, sealSequence } = logOf(random, 300_000);
    const broken = heads[random.integer(0, heads.length - 2)];
    assert.ok(broken);
    bytes[broken.head.offset + 30] = (bytes[broken.head.offset + 30] ?? 0) ^ 1;
    const told = entriesOf(hintOf(readerOf(bytes), { segment, endOffset: end, sealSequence }));
    assert.deepEqual(told.map(({ offset }) => offset), heads.slice(0, -1).filter((one) => one !== broken).map(({ head }) => head.offset));
  });

  it('gives none for a seal that is not there or not expected, a file that is too short, or records of a newer Kiln', (t) => {
    const { bytes, heads, end, sealSequence } = logOf(seededRandom(t), 2_000);
    assert.equal(hintOf(readerOf(bytes), { segment, endOffset: end }), undefined);
    const beforeSeal = heads.at(-1)?.head.offset ?? 0;
    assert.equal(hintOf(readerOf(bytes), { segment, endOffset: beforeSeal, sealSequence }), undefined);
    assert.equal(hintOf(readerOf(bytes.subarray(0, end - 8)), { segment, endOffset: end, sealSequence }), undefined);
    const first = heads[0];
    assert.ok(first);
    bytes[segmentHeaderBytes + 8] = 2; // its version
    bytes.writeUInt32LE(crc32(bytes.subarray(segmentHeaderBytes + 4, segmentHeaderBytes + 56 + first.head.hash.byteLength), crc), segmentHeaderBytes);
    assert.equal(hintOf(readerOf(bytes), { segment, endOffset: end, sealSequence }), undefined);
  });
});
