// One record of a segment: its head to bytes and back. What the kinds carry is in record-payloads.ts; telling damage
// from a torn tail needs more than one record: record-scan.ts. docs/formats/segments.md
import { crc32 } from 'node:zlib';
import { assert } from '../base/assert.ts';
import { shortCrc32 } from './short-crc.ts';
import { writeWide } from './wide-integers.ts';

/** On disk for ever. */
export const recordKinds = { blob: 1, actionResult: 2, opaque: 3, intent: 4, commit: 5, touches: 6, tombstone: 7, seal: 8 } as const;
export type RecordKind = keyof typeof recordKinds;

const kindOfNumber: readonly (RecordKind | undefined)[] = (() => {
  const kinds: (RecordKind | undefined)[] = [];
  for (const [kind, number] of Object.entries(recordKinds)) kinds[number] = kind as RecordKind;
  return kinds;
})();

/** The kind with that number on disk, if it is one of this version. */
export function recordKindOf(number: number): RecordKind | undefined {
  return kindOfNumber[number];
}

/** What a record says before its payload. */
export interface RecordHead {
  readonly kind: RecordKind;
  /** REAPI's `DigestFunction.Value`; 0 where there is no hash. */
  readonly functionNumber: number;
  readonly isPointer: boolean;
  readonly isCopy: boolean;
  /** At most 64 bytes. Of a decoded head: a view of what it was decoded from. */
  readonly hash: Uint8Array;
  readonly instance: string;
  /** Of the blob, file or value; of a seal and of touches a count. Below 2^53, as `sequence` is. */
  readonly logicalBytes: number;
  readonly sequence: number;
  /** Where the record stands in its segment: a multiple of 8. */
  readonly offset: number;
  /** Everything before this offset had been synced when the record was written. At most `offset`. */
  readonly durableMark: number;
  readonly usedAtS: number;
  readonly payloadBytes: number;
  readonly payloadCrc: number;
}

export type DecodedRecord =
  /** `bytes`: of the whole record, padding included. Nothing is said about its payload. */
  | { readonly kind: 'record'; readonly head: RecordHead; readonly bytes: number }
  /** No record of this segment's present life begins here. */
  | { readonly kind: 'none' }
  /** A record that only a newer Kiln writes; `what` of it is not known: "version 2". */
  | { readonly kind: 'newer'; readonly what: string };

/** Before hash and instance name. */
export const recordFixedBytes = 56;
export const recordAlignment = 8;
/** The magic as `readUInt32LE` gives it. */
export const recordMagic = Buffer.from('KREC', 'latin1').readUInt32LE(0);
const version = 1;
const flagBits = { pointer: 1, copy: 2 } as const;
const knownFlags = flagBits.pointer | flagBits.copy;
const hashBytesMax = 64;
/** With the longest instance name. */
const recordHeadBytesMax = recordFixedBytes + hashBytesMax + 0xffff;
/** The upper halves of numbers below 2^53 are. */
const upperHalfRange = 2 ** 21;
const none: DecodedRecord = { kind: 'none' };

/** Bytes with the zeros behind them. */
export function aligned(bytes: number): number {
  return Math.ceil(bytes / recordAlignment) * recordAlignment;
}

/** Of the payload, from the beginning of the record. */
export function payloadOffset(hashBytes: number, instanceBytes: number): number {
  return aligned(recordFixedBytes + hashBytes + instanceBytes);
}

/** Of the whole record, padding included. */
export function recordBytes(hashBytes: number, instanceBytes: number, payloadBytes: number): number {
  return payloadOffset(hashBytes, instanceBytes) + aligned(payloadBytes);
}

/**
 * Writes everything before the payload, zeros included, at `at` of `into`. The payload is a slice of its own in a
 * gathered write, and the zeros behind it are its writer's.
 * @param nonceCrc CRC-32 of the nonce of the segment.
 * @returns where the payload goes in `into`.
 */
export function writeHead(into: Buffer, at: number, head: RecordHead, nonceCrc: number): number {
  const { hash, instance, offset, durableMark } = head;
  assert(hash.byteLength <= hashBytesMax, 'no hash has more than 64 bytes');
  assert(offset % recordAlignment === 0 && durableMark % recordAlignment === 0 && durableMark <= offset, 'a durable mark is the end of a record before this one');
  const instanceBytes = instance === '' ? 0 : into.write(instance, at + recordFixedBytes + hash.byteLength, 'utf8');
  assert(instance === '' || (instanceBytes <= 0xffff && instanceBytes === Buffer.byteLength(instance)), 'an instance name fits its field');
  into.writeUInt32LE(recordMagic, at + 4);
  into[at + 8] = version;
  into[at + 9] = recordKinds[head.kind];
  into.writeUInt8(head.functionNumber, at + 10);
  into[at + 11] = (head.isPointer ? flagBits.pointer : 0) | (head.isCopy ? flagBits.copy : 0);
  into[at + 12] = hash.byteLength;
  into[at + 13] = 0;
  into.writeUInt16LE(instanceBytes, at + 14);
  writeWide(into, head.logicalBytes, at + 16);
  writeWide(into, head.sequence, at + 24);
  into.writeUInt32LE(offset, at + 32);
  into.writeUInt32LE(durableMark, at + 36);
  into.writeUInt32LE(head.usedAtS, at + 40);
  into.writeUInt32LE(head.payloadBytes, at + 44);
  into.writeUInt32LE(head.payloadCrc, at + 48);
  into.writeUInt32LE(0, at + 52);
  into.set(hash, at + recordFixedBytes);
  const end = at + recordFixedBytes + hash.byteLength + instanceBytes;
  const payloadAt = at + payloadOffset(hash.byteLength, instanceBytes);
  if (end < payloadAt) into.fill(0, end, payloadAt);
  into.writeUInt32LE(crc32(into.subarray(at + 4, end), nonceCrc), at);
  return payloadAt;
}

/**
 * How many bytes from `at` on are needed to decode the head that seems to begin there; at least 56 must be at hand.
 * Undefined: none begins there, whatever follows.
 */
export function headBytesAt(buffer: Buffer, at: number): number | undefined {
  if (buffer.readUInt32LE(at + 4) !== recordMagic || buffer.readUInt8(at + 12) > hashBytesMax) return undefined;
  return recordFixedBytes + buffer.readUInt8(at + 12) + buffer.readUInt16LE(at + 14);
}

/**
 * The record whose bytes begin at `at` of `buffer` and that stands at `offset` of its segment. Its payload need not be
 * at hand. A buffer that ends within the head has none.
 */
export function decodeHead(buffer: Buffer, at: number, offset: number, nonceCrc: number): DecodedRecord {
  if (at + recordFixedBytes > buffer.byteLength) return none;
  const fields = new DataView(buffer.buffer, buffer.byteOffset + at, Math.min(buffer.byteLength - at, recordHeadBytesMax));
  const end = endOfHead(buffer, { fields, from: 0, at }, offset, nonceCrc);
  if (end === undefined) return none;
  const kind = kindOfNumber[fields.getUint8(9)];
  if (kind === undefined || hasUnknownPart(fields, 0)) return { kind: 'newer', what: unknownPart(fields) };
  const hashEnd = at + recordFixedBytes + fields.getUint8(12);
  const flags = fields.getUint8(11);
  const payloadBytes = fields.getUint32(44, true);
  const head: RecordHead = {
    kind,
    functionNumber: fields.getUint8(10),
    isPointer: (flags & flagBits.pointer) !== 0,
    isCopy: (flags & flagBits.copy) !== 0,
    hash: buffer.subarray(at + recordFixedBytes, hashEnd),
    instance: end === hashEnd ? '' : buffer.toString('utf8', hashEnd, end),
    logicalBytes: wideAt(fields, 16),
    sequence: wideAt(fields, 24),
    offset,
    durableMark: fields.getUint32(36, true),
    usedAtS: fields.getUint32(40, true),
    payloadBytes,
    payloadCrc: fields.getUint32(48, true),
  };
  return { kind: 'record', head, bytes: aligned(end - at) + aligned(payloadBytes) };
}

/** Where the bytes of records stand, from `from` up to `to` of the memory that `view` shows all of. */
export interface RecordMemory {
  readonly view: DataView;
  readonly from: number;
  readonly to: number;
}

/** Bytes in which many records are looked at, each at its place. */
export class RecordBytes {
  readonly #memory: Buffer;
  readonly #offset: number;
  readonly #nonceCrc: number;
  /** One for all: making one costs as much as a checksum. */
  readonly #view: DataView;
  readonly #from: number;
  readonly #to: number;

  /**
   * @param offset where the bytes begin in their segment.
   * @param part the bytes, if they are not all of `memory`.
   */
  constructor(memory: Buffer, offset: number, nonceCrc: number, part?: RecordMemory) {
    this.#memory = memory;
    this.#offset = offset;
    this.#nonceCrc = nonceCrc;
    this.#view = part?.view ?? new DataView(memory.buffer, memory.byteOffset, memory.byteLength);
    this.#from = part?.from ?? 0;
    this.#to = part?.to ?? memory.byteLength;
  }

  /** See `decodeHead`. */
  headAt(offset: number): DecodedRecord {
    return decodeHead(this.#memory.subarray(0, this.#to), this.#from + offset - this.#offset, offset, this.#nonceCrc);
  }

  /** The payload of the record of `bytes` at `offset`, a view, if all of the record is right: half the time of decoding its head too. */
  payloadAt(offset: number, bytes: number): Buffer | undefined {
    const [memory, fields, at] = [this.#memory, this.#view, this.#from + offset - this.#offset];
    if (at + bytes > this.#to || bytes < recordFixedBytes) return undefined;
    const end = endOfHead(memory, { fields, from: at, at }, offset, this.#nonceCrc);
    const payloadBytes = fields.getUint32(at + 44, true);
    if (end === undefined || hasUnknownPart(fields, at) || aligned(end - at) + aligned(payloadBytes) !== bytes) return undefined;
    const payloadAt = at + aligned(end - at);
    const payload = memory.subarray(payloadAt, payloadAt + payloadBytes);
    return crc32(payload) === fields.getUint32(at + 48, true) ? payload : undefined;
  }
}

/** True when the payload is what the record was written with. */
export function payloadIsRight(head: RecordHead, payload: Uint8Array): boolean {
  return payload.byteLength === head.payloadBytes && crc32(payload) === head.payloadCrc;
}

// A DataView takes half the time of a Buffer, and heads are read by the million. The fields of a head begin at `from` of it.

/** Where hash and instance name end in `buffer`. Undefined: no head with a right checksum begins at `at`. */
function endOfHead(buffer: Buffer, { fields, from, at }: { readonly fields: DataView; readonly from: number; readonly at: number }, offset: number, nonceCrc: number): number | undefined {
  if (fields.getUint32(from + 4, true) !== recordMagic || fields.getUint8(from + 12) > hashBytesMax || fields.getUint32(from + 32, true) !== offset) return undefined;
  const end = at + recordFixedBytes + fields.getUint8(from + 12) + fields.getUint16(from + 14, true);
  if (end > buffer.byteLength) return undefined;
  // What no writer of this version makes is told without its checksum: bytes that only look like records are cheap.
  if (fields.getUint8(from + 8) === version && !isPlausible(fields, from, offset)) return undefined;
  return shortCrc32(fields, from + 4, from + (end - at), nonceCrc) === fields.getUint32(from, true) ? end : undefined;
}

function isPlausible(fields: DataView, from: number, offset: number): boolean {
  const mark = fields.getUint32(from + 36, true);
  return mark <= offset && mark % recordAlignment === 0 && fields.getUint32(from + 20, true) < upperHalfRange && fields.getUint32(from + 28, true) < upperHalfRange;
}

function hasUnknownPart(fields: DataView, from: number): boolean {
  return (
    fields.getUint8(from + 8) !== version || kindOfNumber[fields.getUint8(from + 9)] === undefined || fields.getUint8(from + 13) !== 0 ||
    (fields.getUint8(from + 11) & ~knownFlags) !== 0 || fields.getUint32(from + 52, true) !== 0
  );
}

/** In words. */
function unknownPart(fields: DataView): string {
  const [found, kind, encoding, flags] = [fields.getUint8(8), fields.getUint8(9), fields.getUint8(13), fields.getUint8(11)];
  if (found !== version) return `version ${found}`;
  if (recordKindOf(kind) === undefined) return `kind ${kind}`;
  if (encoding !== 0) return `encoding ${encoding}`;
  return (flags & ~knownFlags) === 0 ? 'something at byte 52' : `flags ${flags}`;
}

/** As `readWide`. */
function wideAt(fields: DataView, at: number): number {
  return fields.getUint32(at, true) + fields.getUint32(at + 4, true) * 2 ** 32;
}
