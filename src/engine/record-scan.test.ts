// A scan against an oracle that has the whole segment before it, on segments that were torn, damaged and cut.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { crc32 } from 'node:zlib';
import { seededRandom } from '../testing/seeded-random.ts';
import type { SeededRandom } from '../testing/seeded-random.ts';
import { decodeHead, payloadIsRight, recordBytes, recordKinds, writeHead } from './record-codec.ts';
import type { RecordHead, RecordKind } from './record-codec.ts';
import { RecordScan } from './record-scan.ts';
import type { ScanEvent, ScanStart } from './record-scan.ts';
import { segmentHeaderBytes } from './segment-format.ts';

const nonce = 0x1234_5678;
const oldNonce = 0x8765_4321;
const begin = segmentHeaderBytes;
const kinds = Object.keys(recordKinds) as RecordKind[];
const sectorBytes = 512;

interface Written {
  readonly head: RecordHead;
  readonly payload: Buffer;
  readonly bytes: number;
}

/** A segment as a writer leaves it. */
interface Segment {
  readonly bytes: Buffer;
  readonly written: readonly Written[];
  /** What had been synced at the end; marks may tell of less. */
  readonly durableTo: number;
  readonly end: number;
}

interface Shape {
  readonly roomBytes: number;
  readonly nonceCrc: number;
  readonly sealed: boolean;
}

/** Fills what is before it with records, synced now and then, over the bytes of `bytes`. */
function fill(random: SeededRandom, bytes: Buffer, { roomBytes, nonceCrc, sealed }: Shape): Segment {
  const written: Written[] = [];
  let [at, durable] = [begin, begin];
  const append = (kind: RecordKind, payload: Buffer, logicalBytes: number): void => {
    const hash = kind === 'seal' || kind === 'touches' ? Buffer.alloc(0) : Buffer.from(random.bytes(random.pick([16, 20, 32, 48, 64])));
    const instance = hash.byteLength === 0 ? '' : random.pick(['', '', 'ci', 'x'.repeat(random.integer(1, 40)), 'größe']);
    const head: RecordHead = {
      kind, functionNumber: hash.byteLength === 0 ? 0 : 1, isPointer: random.integer(0, 1) === 1, isCopy: random.integer(0, 1) === 1, hash, instance, logicalBytes,
      sequence: random.integer(0, 2 ** 40), offset: at, durableMark: durable, usedAtS: random.integer(0, 2 ** 32 - 1), payloadBytes: payload.byteLength, payloadCrc: crc32(payload),
    };
    const length = recordBytes(hash.byteLength, Buffer.byteLength(instance), payload.byteLength);
    const payloadAt = writeHead(bytes, at, head, nonceCrc);
    bytes.fill(0, payloadAt + payload.copy(bytes, payloadAt), at + length);
    written.push({ head, payload, bytes: length });
    at += length;
  };
  while (at + 1500 < begin + roomBytes) {
    const payload = Buffer.from(random.bytes(random.pick([0, 1, 5, 8, 8, 100, random.integer(0, 900)])));
    append(random.pick(kinds.filter((kind) => kind !== 'seal')), payload, random.integer(0, 2 ** 42));
    if (random.integer(0, 3) === 0) durable = at;
  }
  if (sealed) {
    durable = at;
    append('seal', Buffer.alloc(0), written.length);
    durable = at;
  }
  return { bytes, written, durableTo: durable, end: at };
}

/** A segment in a file that is new, was one before, or holds anything. */
function someSegment(random: SeededRandom, roomBytes: number, sealed: boolean): Segment {
  const bytes = Buffer.alloc(begin + roomBytes);
  const before = random.pick(['zeros', 'records', 'anything'] as const);
  if (before === 'records') fill(random, bytes, { roomBytes: bytes.byteLength - begin, nonceCrc: oldNonce, sealed: true });
  if (before === 'anything') bytes.set(random.bytes(roomBytes), begin);
  return fill(random, bytes, { roomBytes: random.integer(Math.floor(roomBytes / 3), roomBytes), nonceCrc: nonce, sealed });
}

interface Told {
  readonly events: readonly ScanEvent[];
  readonly endOffset: number;
  readonly records: number;
  readonly sealedRecords: number | undefined;
  readonly tornBytes: number;
}

/** As a caller scans: again where it is told to. Events are copied, since their views do not last. */
function scanned(segment: Buffer, pieceBytes: () => number): Told {
  let start: ScanStart = { offset: begin, endOffset: segment.byteLength, nonceCrc: nonce, recordsBefore: 0 };
  const events: ScanEvent[] = [];
  for (let pass = 0; pass < 2; pass += 1) {
    const scan = new RecordScan(start);
    for (let at = start.offset; at < segment.byteLength && !scan.isEnded; ) {
      // The buffer of a piece is used again, as a reader of a file does.
      const piece = Buffer.from(segment.subarray(at, at + pieceBytes()));
      for (const event of scan.push(piece)) events.push(copied(event));
      at += piece.byteLength;
      piece.fill(0xee);
    }
    const end = scan.end();
    if (end.kind === 'ended') return { events, endOffset: end.endOffset, records: end.records, sealedRecords: end.sealedRecords, tornBytes: end.tornBytes };
    start = end.start;
  }
  return assert.fail('a second scan knows all marks');
}

function copied(event: ScanEvent): ScanEvent {
  if (event.kind === 'newer' || event.head === undefined) return event;
  const head = { ...event.head, hash: Buffer.from(event.head.hash) };
  return event.kind === 'record' ? { ...event, head, payload: Buffer.from(event.payload) } : { ...event, head };
}

/** The rules of the page, word for word, on a whole segment. */
function expected(segment: Buffer): Told {
  const found: { readonly at: number; readonly bytes: number; readonly head: RecordHead; readonly payload: Buffer; readonly isRight: boolean }[] = [];
  for (let at = begin; at + 56 <= segment.byteLength; ) {
    const decoded = decodeHead(segment, at, at, nonce);
    assert.notEqual(decoded.kind, 'newer');
    if (decoded.kind !== 'record' || at + decoded.bytes > segment.byteLength) {
      at += 8;
      continue;
    }
    const payloadAt = at + decoded.bytes - Math.ceil(decoded.head.payloadBytes / 8) * 8;
    const payload = segment.subarray(payloadAt, payloadAt + decoded.head.payloadBytes);
    found.push({ at, bytes: decoded.bytes, head: decoded.head, payload, isRight: payloadIsRight(decoded.head, payload) });
    at += decoded.bytes;
    if (decoded.head.kind === 'seal') break;
  }
  const mark = Math.max(begin, ...found.map(({ head }) => head.durableMark));
  const headsEnd = Math.max(begin, ...found.map(({ at, bytes }) => at + bytes));
  const events: ScanEvent[] = [];
  let [end, records] = [begin, 0];
  const ended = (sealedRecords?: number): Told => ({ events, endOffset: end, records, sealedRecords, tornBytes: headsEnd - end });
  for (const { at, bytes, head, payload, isRight } of found) {
    if (at > end) {
      if (end >= mark) return ended();
      events.push({ kind: 'damage', from: end, to: Math.min(at, mark) });
      end = Math.min(at, mark);
      if (at > end) return ended();
    }
    if (!isRight && at >= mark) return ended();
    end = at + bytes;
    if (!isRight) events.push({ kind: 'damage', from: at, to: end, head });
    else if (head.kind === 'seal') return ended(head.logicalBytes);
    else {
      records += 1;
      events.push({ kind: 'record', head, bytes, payload });
    }
  }
  return ended();
}

function flipBit(random: SeededRandom, bytes: Buffer, from: number, to: number): void {
  const at = random.integer(from, to - 1);
  bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << random.integer(0, 7)), at);
}

/** Sectors that were not synced keep what was there before, become zeros, or anything. */
function loseSectors(random: SeededRandom, { bytes, end }: Segment, from: number): void {
  for (let at = from; at < end; at = Math.floor(at / sectorBytes + 1) * sectorBytes) {
    const to = Math.min(end, Math.floor(at / sectorBytes + 1) * sectorBytes);
    if (random.integer(0, 1) === 0) bytes.fill(random.pick([0, 0, 0xff, 0x4b]), at, to);
  }
}

function toldRecords(told: Told): readonly Written[] {
  return told.events.flatMap((event) => (event.kind === 'record' ? [{ head: event.head, payload: Buffer.from(event.payload), bytes: event.bytes }] : []));
}

function plain({ head, payload, bytes }: Written): unknown {
  return { ...head, hash: Buffer.from(head.hash).toString('hex'), payload: payload.toString('hex'), bytes };
}

describe('RecordScan', () => {
  it('tells all of an untouched segment, whatever stood in the file before', (t) => {
    const random = seededRandom(t);
    for (let round = 0; round < 60; round += 1) {
      const sealed = random.integer(0, 1) === 1;
      const { bytes, written, end } = someSegment(random, 12_000, sealed);
      const told = scanned(bytes, () => random.integer(1, 5000));
      assert.deepEqual(toldRecords(told).map(plain), written.filter(({ head }) => head.kind !== 'seal').map(plain));
      assert.deepEqual([told.endOffset, told.tornBytes, told.sealedRecords], [end, 0, sealed ? written.length - 1 : undefined]);
    }
  });

  it('tells what an oracle tells that sees all, with pieces of every size, of torn and damaged segments', (t) => {
    const random = seededRandom(t);
    for (let round = 0; round < 150; round += 1) {
      const segment = someSegment(random, 6000, random.integer(0, 2) === 0);
      const harm = random.integer(0, 3);
      if (harm % 2 === 1) loseSectors(random, segment, random.integer(begin, segment.end));
      if (harm >= 2) for (let flips = random.integer(1, 4); flips > 0; flips -= 1) flipBit(random, segment.bytes, begin, segment.end);
      if (random.integer(0, 3) === 0) segment.bytes.fill(0, random.integer(begin, segment.end), segment.end);
      const bytes = random.integer(0, 3) === 0 ? segment.bytes.subarray(0, random.integer(begin, segment.end)) : segment.bytes;
      const oracle = expected(bytes);
      const sizes = [1 + (round % 97), random.integer(1, 64), random.integer(64, 4096), 8192];
      for (const size of sizes) assert.deepEqual(scanned(bytes, () => size), oracle, `pieces of ${size}`);
      assert.deepEqual(scanned(bytes, () => random.integer(0, 700)), oracle, 'pieces of any size');
    }
  });

  it('K1-03: keeps everything that was synced, and cuts without a word what was not, at the first hole', (t) => {
    const random = seededRandom(t);
    for (let round = 0; round < 200; round += 1) {
      const segment = someSegment(random, 8000, false);
      loseSectors(random, segment, segment.durableTo);
      const told = scanned(segment.bytes, () => 1000);
      assert.ok(told.endOffset >= segment.durableTo, 'nothing synced is cut');
      assert.deepEqual(told.events.filter(({ kind }) => kind !== 'record'), []);
      const records = toldRecords(told).map(plain);
      assert.deepEqual(records, segment.written.slice(0, records.length).map(plain), 'a prefix of what was appended');
    }
  });

  it('K1-10: no flipped bit makes a record of other content, and one in front of a mark is damage', (t) => {
    const random = seededRandom(t);
    const { bytes, written, end } = someSegment(random, 2500, true);
    const right = new Map(written.map((one) => [one.head.offset, plain(one)]));
    const recordsMax = written.length - 1;
    for (let bit = begin * 8; bit < end * 8; bit += 1) {
      const changed = Buffer.from(bytes);
      changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      const told = scanned(changed, () => changed.byteLength);
      for (const one of toldRecords(told)) assert.deepEqual(plain(one), right.get(one.head.offset), `bit ${bit}`);
      const damaged = told.events.filter((event) => event.kind === 'damage');
      const hit = written.find(({ head, bytes: length }) => bit >> 3 < head.offset + length);
      assert.ok(hit);
      if (hit.head.kind === 'seal') assert.deepEqual([told.records, told.endOffset, told.sealedRecords], [recordsMax, hit.head.offset, undefined]);
      // Only zeros behind a head or a payload are not looked at.
      else if (told.records === recordsMax) assert.deepEqual(damaged, []);
      else assert.deepEqual(damaged.map(({ from, to }) => [from, to]), [[hit.head.offset, hit.head.offset + hit.bytes]], `bit ${bit}`);
    }
  });

  it('ends damage at the mark: a hole behind it is a torn tail, even if a record follows', () => {
    const bytes = Buffer.alloc(begin + 1000);
    const ends: number[] = [];
    let at = begin;
    for (const durableMark of [begin, begin, begin, begin + 192]) {
      const head: RecordHead = {
        kind: 'blob', functionNumber: 1, isPointer: false, isCopy: false, hash: Buffer.alloc(32, at), instance: '', logicalBytes: 5, sequence: 1,
        offset: at, durableMark, usedAtS: 1, payloadBytes: 5, payloadCrc: crc32(Buffer.from('hello')),
      };
      bytes.write('hello', writeHead(bytes, at, head, nonce));
      ends.push((at += 96));
    }
    bytes.fill(0, begin + 96, begin + 288);
    const told = scanned(bytes, () => 100);
    assert.deepEqual(told.events.map((event) => (event.kind === 'record' ? event.head.offset : event)), [begin, { kind: 'damage', from: begin + 96, to: begin + 192 }]);
    assert.deepEqual([told.endOffset, told.tornBytes], [begin + 192, 192]);
    assert.deepEqual(told, expected(bytes));
  });

  it('stops at what only a newer Kiln writes, also behind a gap, and does not take it for damage', (t) => {
    const random = seededRandom(t);
    const changes: readonly [number, number, string][] = [[8, 2, 'version 2'], [9, 9, 'kind 9'], [13, 1, 'encoding 1'], [11, 0x84, 'flags 132'], [52, 1, 'something at byte 52']];
    for (const [byte, value, what] of changes) {
      for (const gap of [false, true]) {
        const { bytes, written } = someSegment(random, 8000, true);
        const hit = written[written.length >> 1];
        assert.ok(hit);
        const { offset } = hit.head;
        bytes.writeUInt8(value, offset + byte);
        const headEnd = offset + 56 + hit.head.hash.byteLength + Buffer.byteLength(hit.head.instance);
        bytes.writeUInt32LE(crc32(bytes.subarray(offset + 4, headEnd), nonce), offset);
        if (gap) bytes.fill(0, begin, begin + 56);
        const scan = new RecordScan({ offset: begin, endOffset: bytes.byteLength, nonceCrc: nonce, recordsBefore: 0 });
        const events = scan.push(bytes.subarray(begin));
        assert.deepEqual(events.at(-1), { kind: 'newer', offset, what });
        assert.ok(scan.isEnded);
      }
    }
  });

  it('goes on from where a hint ends, and counts what is in front of it', (t) => {
    const random = seededRandom(t);
    const { bytes, written, end } = someSegment(random, 8000, true);
    const half = written.length >> 1;
    const from = written[half]?.head.offset;
    assert.ok(from !== undefined);
    const scan = new RecordScan({ offset: from, endOffset: bytes.byteLength, nonceCrc: nonce, recordsBefore: half });
    const events = scan.push(bytes.subarray(from));
    assert.equal(events.length, written.length - 1 - half);
    assert.deepEqual(scan.end(), { kind: 'ended', endOffset: end, records: written.length - 1, sealedRecords: written.length - 1, tornBytes: 0 });
  });

  it('takes no record for one that stands in another place of its segment', (t) => {
    const random = seededRandom(t);
    const { bytes, written, end } = someSegment(random, 8000, false);
    const [first] = written;
    assert.ok(first);
    bytes.copyWithin(end, first.head.offset, first.head.offset + first.bytes);
    const told = scanned(bytes, () => 512);
    assert.deepEqual([told.records, told.endOffset, told.tornBytes], [written.length, end, 0]);
  });

  it('takes nothing in that ends behind the end of a short file', (t) => {
    const random = seededRandom(t);
    const { bytes, written } = someSegment(random, 8000, true);
    for (const { head, bytes: length } of written) {
      const cut = bytes.subarray(0, head.offset + length - 1);
      assert.equal(scanned(cut, () => 333).endOffset, head.offset);
    }
  });
});
