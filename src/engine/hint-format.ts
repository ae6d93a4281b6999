// The hint of a segment: its records without what they carry, so that a start need not read the segment. A hint is never
// believed against its segment: whatever is wrong with it, it counts as absent. docs/formats/hints.md
import { crc32 } from 'node:zlib';
import { assert } from '../base/assert.ts';
import { blobTag, valueTag } from './key-words.ts';
import type { KeyWords } from './key-words.ts';
import { recordAlignment, recordFixedBytes, recordKindOf, recordKinds } from './record-codec.ts';
import type { RecordHead, RecordKind } from './record-codec.ts';
import { decodeTombstone, isRemovedKind } from './record-payloads.ts';
import type { RemovedKind } from './record-payloads.ts';
import { segmentHeaderBytes, streamNumbers } from './segment-format.ts';
import type { StreamName } from './segment-format.ts';
import { readWide, writeWide } from './wide-integers.ts';

/** First bytes of every hint. */
const hintMagic = 'KILNHINT';
const version = 1;
const headerBytes = 64;
const entryBytes = 64;
const sealedBit = 1;
/** The first two as in the record. */
const flagBits = { pointer: 1, copy: 2, gone: 4 } as const;
const knownFlags = flagBits.pointer | flagBits.copy | flagBits.gone;
/** The upper halves of numbers below 2^53 are. */
const upperHalfRange = 2 ** 21;
const firstRoomBytes = 64 * 1024;
const noPayload = Buffer.alloc(0);

/** The segment that a hint is of. */
export interface HintedSegment {
  readonly id: number;
  /** Touches have no hints. */
  readonly stream: Exclude<StreamName, 'touch'>;
  readonly nonce: Uint8Array;
  readonly segmentBytes: number;
}

/** What a hint tells of one record. Its key goes beside it, in `KeyWords`. */
export interface HintEntry {
  readonly kind: RecordKind;
  /** Of a tombstone: what it removes. */
  readonly target: RemovedKind | undefined;
  /** Of a tombstone: the file of the commit is gone for good. */
  readonly isGone: boolean;
  readonly isPointer: boolean;
  readonly isCopy: boolean;
  readonly functionNumber: number;
  /** Where the record stands, and its bytes with padding. */
  readonly offset: number;
  readonly bytes: number;
  readonly logicalBytes: number;
  readonly sequence: number;
  readonly usedAtS: number;
}

export type DecodedHint = { readonly kind: 'hint'; readonly hint: Hint } | { readonly kind: 'wrong'; readonly reason: string };

/** The entry of a record that was read. Undefined: a tombstone of what only a newer Kiln knows. */
export function hintEntryOf(head: RecordHead, bytes: number, payload: Buffer): HintEntry | undefined {
  const tombstone = head.kind === 'tombstone' ? decodeTombstone(payload) : undefined;
  if (head.kind === 'tombstone' && tombstone === undefined) return undefined;
  const { kind, isPointer, isCopy, functionNumber, offset, logicalBytes, sequence, usedAtS } = head;
  return { kind, target: tombstone?.removed, isGone: tombstone?.isGone ?? false, isPointer, isCopy, functionNumber, offset, bytes, logicalBytes, sequence, usedAtS };
}

/**
 * The entry of a record of which only the payload is wrong. A value counts all the same: it is the last one of its key as
 * ever, and whoever reads it finds it wrong, while an older one would be taken for it. Undefined: it counts for nothing.
 */
export function brokenEntryOf(head: RecordHead, bytes: number): HintEntry | undefined {
  return isValue(head.kind) ? hintEntryOf(head, bytes, noPayload) : undefined;
}

/** Gathers the entries of one segment, in the order of its records. Holds 64 bytes for each, and at most as much again. */
export class HintBuilder {
  readonly #segment: HintedSegment;
  #bytes = Buffer.alloc(firstRoomBytes);
  #count = 0;
  #endOffset = segmentHeaderBytes;
  #sequenceMax = 0;
  #tombstones = 0;

  constructor(segment: HintedSegment) {
    this.#segment = segment;
  }

  add(key: KeyWords, entry: HintEntry): void {
    assert(isHinted(entry.kind) && (entry.kind === 'tombstone') === (entry.target !== undefined), 'a hint tells of blobs, values, files and tombstones of them');
    assert(entry.offset >= this.#endOffset, 'entries come in the order of the segment');
    const at = headerBytes + this.#count * entryBytes;
    if (at + entryBytes > this.#bytes.byteLength) this.#bytes = Buffer.concat([this.#bytes], this.#bytes.byteLength * 2);
    const bytes = this.#bytes;
    key.writeTo(bytes, at);
    bytes.writeUInt32LE(entry.offset, at + 32);
    bytes[at + 36] = recordKinds[entry.kind];
    bytes[at + 37] = entry.functionNumber;
    bytes[at + 38] = (entry.isPointer ? flagBits.pointer : 0) | (entry.isCopy ? flagBits.copy : 0) | (entry.isGone ? flagBits.gone : 0);
    bytes[at + 39] = entry.target === undefined ? 0 : recordKinds[entry.target];
    writeWide(bytes, entry.logicalBytes, at + 40);
    writeWide(bytes, entry.sequence, at + 48);
    bytes.writeUInt32LE(entry.usedAtS, at + 56);
    bytes.writeUInt32LE(entry.bytes, at + 60);
    this.#count += 1;
    this.#endOffset = entry.offset + entry.bytes;
    this.#sequenceMax = Math.max(this.#sequenceMax, entry.sequence);
    if (entry.kind === 'tombstone') this.#tombstones += 1;
  }

  /**
   * The hint so far; more may be added afterwards.
   * @param end where what it tells of ends, the seal included; `sealSequence`: the number of that seal, if there is one.
   */
  encode(end: { readonly endOffset: number; readonly sealSequence?: number }): Buffer {
    const isSealed = end.sealSequence !== undefined;
    assert(end.endOffset >= this.#endOffset + (isSealed ? recordFixedBytes : 0), 'a hint ends behind its records');
    const bytes = Buffer.from(this.#bytes.subarray(0, headerBytes + this.#count * entryBytes));
    bytes.write(hintMagic, 0, 'latin1');
    bytes.writeUInt16LE(version, 8);
    bytes.writeUInt16LE(streamNumbers[this.#segment.stream], 10);
    bytes.writeUInt32LE(this.#count, 12);
    writeWide(bytes, this.#segment.id, 16);
    bytes.set(this.#segment.nonce, 24);
    bytes.writeUInt32LE(end.endOffset, 32);
    bytes.writeUInt32LE(isSealed ? sealedBit : 0, 36);
    writeWide(bytes, Math.max(this.#sequenceMax, end.sealSequence ?? 0), 40);
    bytes.writeUInt32LE(this.#tombstones, 48);
    bytes.writeUInt32LE(crc32(bytes.subarray(headerBytes)), 52);
    bytes.writeUInt32LE(crc32(bytes.subarray(0, headerBytes - 4)), headerBytes - 4);
    return bytes;
  }
}

/** A hint whose every byte is as it was written, for the segment it was asked for. */
export class Hint {
  readonly count: number;
  /** End of what it tells of, the seal included. */
  readonly endOffset: number;
  /** The 56 bytes before the end are the seal. Whether they are is still to be looked at. */
  readonly isSealed: boolean;
  readonly sequenceMax: number;
  readonly #view: DataView;

  constructor(bytes: Buffer) {
    this.#view = viewOf(bytes);
    this.count = bytes.readUInt32LE(12);
    this.endOffset = bytes.readUInt32LE(32);
    this.isSealed = bytes.readUInt32LE(36) === sealedBit;
    this.sequenceMax = readWide(bytes, 40);
  }

  /** The entry at `index`, in the order of the segment; its key is put into `key`. */
  entryAt(index: number, key: KeyWords): HintEntry {
    const view = this.#view;
    const at = headerBytes + index * entryBytes;
    const kind = recordKindOf(view.getUint8(at + 36));
    assert(index < this.count && kind !== undefined, 'entries were looked at before');
    const functionNumber = view.getUint8(at + 37);
    const flags = view.getUint8(at + 38);
    const removed = recordKindOf(view.getUint8(at + 39));
    const target = isRemovedKind(removed) ? removed : undefined;
    key.readFrom(view, at, tagOf(target ?? kind, functionNumber));
    return {
      kind,
      target,
      isGone: (flags & flagBits.gone) !== 0,
      isPointer: (flags & flagBits.pointer) !== 0,
      isCopy: (flags & flagBits.copy) !== 0,
      functionNumber,
      offset: view.getUint32(at + 32, true),
      bytes: view.getUint32(at + 60, true),
      logicalBytes: wideAt(view, at + 40),
      sequence: wideAt(view, at + 48),
      usedAtS: view.getUint32(at + 56, true),
    };
  }
}

/** @param bytes the whole file; a right hint keeps them. */
export function decodeHint(bytes: Buffer, segment: HintedSegment): DecodedHint {
  const reason = wrongHeader(bytes, segment) ?? wrongEntry(bytes, segment);
  return reason === undefined ? { kind: 'hint', hint: new Hint(bytes) } : { kind: 'wrong', reason };
}

function wrongHeader(bytes: Buffer, { id, stream, nonce, segmentBytes }: HintedSegment): string | undefined {
  if (bytes.byteLength < headerBytes) return `${bytes.byteLength} bytes are too short for a header`;
  if (bytes.toString('latin1', 0, 8) !== hintMagic) return 'it does not begin with the magic';
  if (crc32(bytes.subarray(0, headerBytes - 4)) !== bytes.readUInt32LE(headerBytes - 4)) return 'its header does not have its checksum';
  if (bytes.readUInt16LE(8) !== version) return `version ${bytes.readUInt16LE(8)} is not known`;
  const length = headerBytes + bytes.readUInt32LE(12) * entryBytes;
  if (bytes.byteLength !== length) return `it has ${bytes.byteLength} bytes instead of ${length}`;
  if (bytes.readUInt16LE(10) !== streamNumbers[stream] || readWide(bytes, 16) !== id || !bytes.subarray(24, 32).equals(nonce)) return 'it is of another segment';
  const flags = bytes.readUInt32LE(36);
  if (flags > sealedBit) return `flags ${flags} are not known`;
  const [end, endLeast] = [bytes.readUInt32LE(32), segmentHeaderBytes + flags * recordFixedBytes];
  if (end < endLeast || end > segmentBytes || end % recordAlignment !== 0) return `no records end at ${end}`;
  if (!Number.isSafeInteger(readWide(bytes, 40))) return 'its highest sequence number is beyond 2^53';
  return crc32(bytes.subarray(headerBytes)) === bytes.readUInt32LE(52) ? undefined : 'its entries do not have their checksum';
}

function wrongEntry(bytes: Buffer, { stream }: HintedSegment): string | undefined {
  const view = viewOf(bytes);
  const sequenceMax = wideAt(view, 40);
  const recordsEnd = view.getUint32(32, true) - view.getUint32(36, true) * recordFixedBytes;
  let end = segmentHeaderBytes;
  let tombstones = 0;
  for (let at = headerBytes; at < view.byteLength; at += entryBytes) {
    const offset = view.getUint32(at + 32, true);
    const length = view.getUint32(at + 60, true);
    const inPlace = offset >= end && length >= recordFixedBytes && (offset | length) % recordAlignment === 0;
    if (!inPlace) return `the entry at ${at} is not behind the one before it`;
    end = offset + length;
    if (end > recordsEnd) return `the entry at ${at} is behind the end`;
    if (!isKnownEntry(view, at, stream)) return `the entry at ${at} is of no known kind`;
    if (view.getUint32(at + 44, true) >= upperHalfRange || wideAt(view, at + 48) > sequenceMax) return `the entry at ${at} has a number beyond its bound`;
    if (view.getUint8(at + 36) === recordKinds.tombstone) tombstones += 1;
  }
  return tombstones === view.getUint32(48, true) ? undefined : `it has ${tombstones} tombstones instead of ${view.getUint32(48, true)}`;
}

function isKnownEntry(view: DataView, at: number, stream: HintedSegment['stream']): boolean {
  const kind = recordKindOf(view.getUint8(at + 36));
  const target = view.getUint8(at + 39);
  if (kind === undefined || !isHinted(kind) || (view.getUint8(at + 38) & ~knownFlags) !== 0) return false;
  const removed = recordKindOf(target);
  if (kind === 'tombstone') return isRemovedKind(removed) && isValue(removed) === (stream === 'value');
  return target === 0 && isValue(kind) === (stream === 'value');
}

// A million entries are read at a start: a DataView takes a third of the time of a Buffer.

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** As `readWide`. */
function wideAt(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
}

function isHinted(kind: RecordKind): boolean {
  return kind === 'tombstone' || isRemovedKind(kind);
}

function isValue(kind: RecordKind): boolean {
  return kind === 'actionResult' || kind === 'opaque';
}

function tagOf(kind: RecordKind, functionNumber: number): number {
  if (kind === 'actionResult') return valueTag('action_result', functionNumber);
  return kind === 'opaque' ? valueTag('opaque', functionNumber) : blobTag(functionNumber);
}
