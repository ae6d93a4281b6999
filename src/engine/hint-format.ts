// The hint of a segment: its records without what they carry, so that a start need not read the segment. It is written in blocks,
// one behind the other, while the segment grows. Reading them is hint.ts. docs/formats/hints.md
import { crc32 } from 'node:zlib';
import { assert } from '../base/assert.ts';
import type { KeyWords } from './key-words.ts';
import { recordFixedBytes, recordKinds } from './record-codec.ts';
import type { RecordHead, RecordKind } from './record-codec.ts';
import { decodeTombstone, isRemovedKind } from './record-payloads.ts';
import type { RemovedKind } from './record-payloads.ts';
import { segmentHeaderBytes, streamNumbers } from './segment-format.ts';
import type { StreamName } from './segment-format.ts';
import { writeWide } from './wide-integers.ts';

/** First bytes of every block of a hint. */
export const hintMagic = 'KILNHINT';
export const hintVersion = 1;
/** Of a block, before its entries, and of each entry. */
export const hintHeaderBytes = 64;
export const hintEntryBytes = 64;
export const hintEntryWords = 16;
/** Of the flags of a block. */
export const hintSealedBit = 1;
/** Of the flags of an entry; the first two as in the record. */
export const hintFlags = { pointer: 1, copy: 2, gone: 4 } as const;
/** Words of an entry behind those of the key; `kinds`: kind of the record, function, flags, kind that it removes, a byte each, the first one lowest. */
export const hintWord = { offset: 8, kinds: 9, size: 10, sequence: 12, usedAt: 14, bytes: 15 } as const;
/** For so many entries at first. */
const firstEntries = 64;
const keyWordCount = 8;
const headerWords = hintHeaderBytes / Uint32Array.BYTES_PER_ELEMENT;
/** What the higher of two words counts. */
const wordSpan = 2 ** 32;
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

type HintedHead = Omit<RecordHead, 'durableMark' | 'payloadBytes' | 'payloadCrc'>;

/** The entry of a record. Undefined: a tombstone of what only a newer Kiln knows. */
export function hintEntryOf(head: HintedHead, bytes: number, payload: Uint8Array): HintEntry | undefined {
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
  return head.kind === 'actionResult' || head.kind === 'opaque' ? hintEntryOf(head, bytes, noPayload) : undefined;
}

/** What is told by a block ends here, the seal included; `sealSequence`: the number of that seal, if there is one. */
export interface HintEnd {
  readonly endOffset: number;
  readonly sealSequence?: number;
}

/** Gathers the entries of one segment, in the order of its records. Holds 64 bytes for each that was not taken, and at most as much again. */
export class HintBuilder {
  readonly #segment: HintedSegment;
  /** Room for the header of a block, then entries. */
  #words = new Uint32Array(headerWords + firstEntries * hintEntryWords);
  #count = 0;
  /** Of the last record. */
  #endOffset: number;
  /** Of what the next block tells. */
  #beginOffset: number;

  /** The next block tells of what begins at `beginOffset`. */
  constructor(segment: HintedSegment, beginOffset = segmentHeaderBytes) {
    this.#segment = segment;
    this.#beginOffset = beginOffset;
    this.#endOffset = beginOffset;
  }

  /** End of what blocks tell of. */
  get takenEnd(): number {
    return this.#beginOffset;
  }

  /** End of the last record. */
  get endOffset(): number {
    return this.#endOffset;
  }

  add(key: KeyWords, entry: HintEntry): void {
    const { kind, target, offset, logicalBytes, sequence } = entry;
    assert(kind === 'tombstone' ? target !== undefined : target === undefined && isRemovedKind(kind), 'a hint tells of blobs, values, files and tombstones of them');
    assert(offset >= this.#endOffset, 'entries come in the order of the segment');
    const at = headerWords + this.#count * hintEntryWords;
    if (at + hintEntryWords > this.#words.length) this.#grow();
    const words = this.#words;
    for (let word = 0; word < keyWordCount; word += 1) words[at + word] = key.words[word] ?? 0;
    const flags = (entry.isPointer ? hintFlags.pointer : 0) | (entry.isCopy ? hintFlags.copy : 0) | (entry.isGone ? hintFlags.gone : 0);
    words[at + hintWord.offset] = offset;
    words[at + hintWord.kinds] = recordKinds[kind] | (entry.functionNumber << 8) | (flags << 16) | (target === undefined ? 0 : recordKinds[target] << 24);
    words[at + hintWord.size] = logicalBytes;
    words[at + hintWord.size + 1] = Math.floor(logicalBytes / wordSpan);
    words[at + hintWord.sequence] = sequence;
    words[at + hintWord.sequence + 1] = Math.floor(sequence / wordSpan);
    words[at + hintWord.usedAt] = entry.usedAtS;
    words[at + hintWord.bytes] = entry.bytes;
    this.#count += 1;
    this.#endOffset = offset + entry.bytes;
  }

  /** The next block, of the records that stand before its end; the builder forgets them. */
  take({ endOffset, sealSequence }: HintEnd): Buffer {
    const words = this.#words;
    let count = this.#count;
    while (count > 0 && this.#offsetOf(count - 1) >= endOffset) count -= 1;
    const sealBytes = sealSequence === undefined ? 0 : recordFixedBytes;
    const end = count === 0 ? this.#beginOffset : this.#offsetOf(count - 1) + (words[headerWords + (count - 1) * hintEntryWords + hintWord.bytes] ?? 0);
    assert(endOffset >= end + sealBytes && (sealSequence === undefined || count === this.#count), 'a block ends behind its records, and nothing follows a seal');
    const wordCount = headerWords + count * hintEntryWords;
    const block = Buffer.from(words.slice(0, wordCount).buffer);
    this.#writeHeader(block, { endOffset, count, sealSequence });
    words.copyWithin(headerWords, wordCount, headerWords + this.#count * hintEntryWords);
    this.#count -= count;
    this.#beginOffset = endOffset;
    this.#endOffset = Math.max(this.#endOffset, endOffset);
    return block;
  }

  #offsetOf(index: number): number {
    return this.#words[headerWords + index * hintEntryWords + hintWord.offset] ?? 0;
  }

  #grow(): void {
    const before = this.#words;
    this.#words = new Uint32Array(headerWords + (before.length - headerWords) * 2);
    this.#words.set(before);
  }

  #writeHeader(block: Buffer, { endOffset, count, sealSequence }: { readonly endOffset: number; readonly count: number; readonly sealSequence: number | undefined }): void {
    let sequenceMax = sealSequence ?? 0;
    let tombstones = 0;
    for (let at = headerWords; at < headerWords + count * hintEntryWords; at += hintEntryWords) {
      sequenceMax = Math.max(sequenceMax, (this.#words[at + hintWord.sequence] ?? 0) + (this.#words[at + hintWord.sequence + 1] ?? 0) * wordSpan);
      if (((this.#words[at + hintWord.kinds] ?? 0) & 0xff) === recordKinds.tombstone) tombstones += 1;
    }
    block.write(hintMagic, 0, 'latin1');
    block.writeUInt16LE(hintVersion, 8);
    block.writeUInt16LE(streamNumbers[this.#segment.stream], 10);
    block.writeUInt32LE(count, 12);
    writeWide(block, this.#segment.id, 16);
    block.set(this.#segment.nonce, 24);
    block.writeUInt32LE(endOffset, 32);
    block.writeUInt32LE(sealSequence === undefined ? 0 : hintSealedBit, 36);
    writeWide(block, sequenceMax, 40);
    block.writeUInt32LE(tombstones, 48);
    block.writeUInt32LE(crc32(block.subarray(hintHeaderBytes)), 52);
    block.writeUInt32LE(this.#beginOffset, 56);
    block.writeUInt32LE(crc32(block.subarray(0, hintHeaderBytes - 4)), hintHeaderBytes - 4);
  }
}
