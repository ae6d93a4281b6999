// How an index entry is packed into words, and what fits. Behind the 8 words of the key:
//   word 0   ordinal of the segment 24 bits, tag of the key 8
//   word 1   offset / 8: 24 bits, flags 8
//   word 2   size, low 32 bits
//   word 3   size, high 10 bits, time of use 22
//   words 4, 5   sequence number, low and high; only in an index of values
import { assert } from '../base/assert.ts';
import { keyWords, recordsAt } from './entry-pages.ts';
import type { EntryPage } from './entry-pages.ts';

/** What the index knows of a blob or value beside its key. */
export interface NewEntry {
  /** Ordinal of the segment: 24 bits. */
  readonly segment: number;
  /** Where the record begins: a multiple of 8 below 128 MiB. */
  readonly offset: number;
  /** Of blobs and files the logical size, of values the bytes of the record; below 2^42 (4 TiB). */
  readonly sizeBytes: number;
  /** Last use, seconds since 1970. */
  readonly usedAtS: number;
  /** Below 2^53; kept in an index of values only. */
  readonly sequence: number;
  readonly isFile: boolean;
  /** The record names a file that holds the value. */
  readonly isPointer: boolean;
  /** Its hash was checked since the start. */
  readonly isVerified: boolean;
}

export const fileFlag = 1;
export const pointerFlag = 2;
export const verifiedFlag = 4;
/** Used since it was written or moved. */
export const usedFlag = 8;
/** Used since it was written: its record tells an older time of use than the index does. */
export const touchedFlag = 16;

/** Times of use are kept in steps of so many seconds. */
export const useStepS = 16;
/** Half of what 22 bits of steps reach: as far back, and as long may a process run until all uses look alike. */
const reachS = 388 * 86_400;
const useStepsMax = 2 ** 22 - 1;
/** What the higher of two words counts. */
const wordSpan = 2 ** 32;

/** Words of a record, key included, without and with a sequence number. */
export const plainWords = 12;
export const sequencedWords = 14;

/** Packs and unpacks. Places (`at`) are indexes of words in a page; see `detailsAt`. */
export class EntryCodec {
  /** Words of a record. */
  readonly recordWords: number;
  /** Words of a record behind its key, as they were packed last. */
  readonly packed: Uint32Array;
  readonly #useBaseS: number;

  /** `startS`: now, in seconds since 1970. What was used more than 388 days before counts as used then. */
  constructor(startS: number, hasSequences: boolean) {
    assert(Number.isSafeInteger(startS), 'the index begins at a whole second');
    this.recordWords = hasSequences ? sequencedWords : plainWords;
    this.packed = new Uint32Array(this.recordWords - keyWords);
    this.#useBaseS = Math.floor((startS - reachS) / useStepS) * useStepS;
  }

  /** Where the key of a slot begins in its page. */
  keyAt(place: number): number {
    return recordsAt + place * this.recordWords;
  }

  /** Where the details of a slot begin in its page. */
  detailsAt(place: number): number {
    return recordsAt + place * this.recordWords + keyWords;
  }

  #check(tag: number, entry: NewEntry): void {
    const { sizeBytes, usedAtS, sequence } = entry;
    assert(Number.isInteger(tag) && tag >= 0 && tag < 256, 'a tag has 8 bits');
    this.checkPlace(entry.segment, entry.offset);
    assert(Number.isSafeInteger(sizeBytes) && sizeBytes >= 0 && sizeBytes < 2 ** 42, 'a size has 42 bits');
    assert(Number.isSafeInteger(sequence) && sequence >= 0, 'a sequence number has 53 bits');
    assert(Number.isFinite(usedAtS), 'a time of use is a number');
  }

  checkPlace(segment: number, offset: number): void {
    assert(Number.isInteger(segment) && segment >= 0 && segment < 2 ** 24, 'the ordinal of a segment has 24 bits');
    assert(Number.isInteger(offset) && offset >= 0 && offset < 2 ** 27 && offset % 8 === 0, 'records begin at multiples of 8 below 128 MiB');
  }

  /** Into `packed`. Nothing is changed where it does not fit, which is a mistake of the caller. */
  pack(tag: number, entry: NewEntry): void {
    this.#check(tag, entry);
    const { packed } = this;
    const { segment, offset, sizeBytes, sequence } = entry;
    const flags = (entry.isFile ? fileFlag : 0) | (entry.isPointer ? pointerFlag : 0) | (entry.isVerified ? verifiedFlag : 0);
    packed[0] = (segment << 8) | tag;
    packed[1] = ((offset / 8) << 8) | flags;
    packed[2] = sizeBytes;
    packed[3] = (Math.floor(sizeBytes / wordSpan) << 22) | this.stepOf(entry.usedAtS);
    if (this.recordWords === plainWords) return;
    packed[4] = sequence;
    packed[5] = Math.floor(sequence / wordSpan);
  }

  // As `pack`, part by part, of what is known to fit.

  /** @param owner ordinal of the segment and tag: `segment << 8 | tag`. */
  packPlace(owner: number, offset: number, flags: number): void {
    this.packed[0] = owner;
    this.packed[1] = (offset << 5) | flags;
  }

  /** The words of a size, the lower one first, and a step of `stepOf`. */
  packSize(low: number, high: number, step: number): void {
    this.packed[2] = low;
    this.packed[3] = (high << 22) | step;
  }

  /** Only in an index of values. */
  packSequence(low: number, high: number): void {
    this.packed[4] = low;
    this.packed[5] = high;
  }

  /** What was packed. Word by word: of so few, a loop takes longer. */
  write(page: EntryPage, at: number): void {
    const { packed } = this;
    page[at] = packed[0] ?? 0;
    page[at + 1] = packed[1] ?? 0;
    page[at + 2] = packed[2] ?? 0;
    page[at + 3] = packed[3] ?? 0;
    if (this.recordWords === plainWords) return;
    page[at + 4] = packed[4] ?? 0;
    page[at + 5] = packed[5] ?? 0;
  }

  /** What was checked. Tag and flags stay. */
  writePlace(page: EntryPage, at: number, segment: number, offset: number): void {
    page[at] = (segment << 8) | ((page[at] ?? 0) & 0xff);
    page[at + 1] = ((offset / 8) << 8) | ((page[at + 1] ?? 0) & 0xff);
  }

  writeUse(page: EntryPage, at: number, usedAtS: number): void {
    assert(Number.isFinite(usedAtS), 'a time of use is a number');
    page[at + 3] = ((page[at + 3] ?? 0) & ~useStepsMax) | this.stepOf(usedAtS);
  }

  sizeBytes(page: EntryPage, at: number): number {
    return ((page[at + 3] ?? 0) >>> 22) * wordSpan + (page[at + 2] ?? 0);
  }

  /** Never less than what was written, and less than a step more: no lease is shorter than promised. */
  usedAtS(page: EntryPage, at: number): number {
    return this.timeOfStep((page[at + 3] ?? 0) & useStepsMax);
  }

  /** 0 in an index without sequence numbers. */
  sequence(page: EntryPage, at: number): number {
    return this.recordWords === plainWords ? 0 : (page[at + 5] ?? 0) * wordSpan + (page[at + 4] ?? 0);
  }

  /** As a time of use is kept. */
  stepOf(usedAtS: number): number {
    return Math.max(0, Math.min(useStepsMax, Math.ceil((usedAtS - this.#useBaseS) / useStepS)));
  }

  timeOfStep(step: number): number {
    return this.#useBaseS + step * useStepS;
  }
}
