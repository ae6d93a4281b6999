// What the store has, changed in one place: an entry of an index, the count of what is alive in its segment, and the bytes
// by time of use always change together. Synchronous; who changes something sees to it that it is durable by then, or was
// appended in the same turn (docs/formats/segments.md).
import { assert } from '../base/assert.ts';
import { digestFunctions } from '../digest/digest-function.ts';
import { allocatedBytes } from './allocated-bytes.ts';
import type { BlobIndex, Slot } from './blob-index.ts';
import { useStepS } from './entry-codec.ts';
import type { NewEntry } from './entry-codec.ts';
import { functionNumberOf } from './key-words.ts';
import type { KeyWords } from './key-words.ts';
import { recordBytes } from './record-codec.ts';
import type { SegmentTable } from './segment-table.ts';
import { SegmentUses } from './segment-uses.ts';
import type { UseAges } from './use-ages.ts';

export interface LiveParts {
  readonly blobs: BlobIndex;
  readonly values: BlobIndex;
  readonly segments: SegmentTable;
  /** Of both indexes. */
  readonly ages: UseAges;
  /** Now, in seconds since 1970. What is said to have been used later was used now. */
  readonly nowS: () => number;
}

/** Entries that were put into an index without being told here. */
export interface InsertedEntries {
  readonly count: number;
  /** Of `count`. */
  readonly filesCount: number;
  /** Of the records that they point to, padding included. */
  readonly recordsBytes: number;
  /** That the files take on the disk. */
  readonly filesBytes: number;
  readonly usedAtS: number;
}

/** Bytes of a hash by number of its function; 0: no such function. */
const hashBytesOf: readonly number[] = (() => {
  const bytes: number[] = [];
  for (const { wireValue, hashBytes } of digestFunctions) bytes[wireValue] = hashBytes;
  return bytes;
})();

/** Of the record of a blob with such a tag, padding included. */
export function blobRecordBytes(tag: number, payloadBytes: number): number {
  return recordBytes(hashBytesOf[functionNumberOf(tag)] ?? 0, 0, payloadBytes);
}

export class LiveEntries {
  readonly blobs: BlobIndex;
  readonly values: BlobIndex;
  readonly #segments: SegmentTable;
  readonly #ages: UseAges;
  readonly #uses: SegmentUses;
  readonly #nowS: () => number;
  /** It is later than that. */
  #pastS = -Infinity;
  #filesCount = 0;

  constructor({ blobs, values, segments, ages, nowS }: LiveParts) {
    this.blobs = blobs;
    this.values = values;
    this.#segments = segments;
    this.#ages = ages;
    this.#uses = new SegmentUses(nowS());
    this.#nowS = nowS;
  }

  get count(): number {
    return this.blobs.count + this.values.count;
  }

  /** Of `count`. */
  get filesCount(): number {
    return this.#filesCount;
  }

  /** When the entries of that segment were used last, on the average of their bytes there; undefined: it has none. */
  meanUseS(segment: number): number | undefined {
    return this.#uses.meanS(segment);
  }

  /** Of the record that the entry points to, padding included; of a file that is its commit. */
  recordBytes(index: BlobIndex, slot: Slot): number {
    if (index === this.values) return index.sizeOf(slot);
    return blobRecordBytes(index.tagOf(slot), index.isFile(slot) ? 0 : index.sizeOf(slot));
  }

  /** What the entry takes on the disk: its record, and the file if it is one. */
  usedBytes(index: BlobIndex, slot: Slot): number {
    return this.recordBytes(index, slot) + (index.isFile(slot) ? allocatedBytes(index.sizeOf(slot)) : 0);
  }

  /** The key has this entry now, whether it had one before or not. All slots become invalid but the one returned. */
  put(index: BlobIndex, key: KeyWords, entry: NewEntry): Slot {
    this.#check(index);
    const usedAtS = this.#untilNow(entry.usedAtS);
    const known = usedAtS === entry.usedAtS ? entry : { ...entry, usedAtS };
    const before = index.insertUnlessThere(key, known);
    if (before !== -1) {
      this.#take(index, before);
      index.replace(before, known);
    }
    const slot = before === -1 ? index.insertedSlot : before;
    // As `recordBytes` says, of what is at hand.
    const recordsBytes = index === this.values ? entry.sizeBytes : blobRecordBytes(key.tag, entry.isFile ? 0 : entry.sizeBytes);
    const filesBytes = entry.isFile ? allocatedBytes(entry.sizeBytes) : 0;
    this.inserted(entry.segment, { count: 1, filesCount: entry.isFile ? 1 : 0, recordsBytes, filesBytes, usedAtS: index.usedAtS(slot) });
    return slot;
  }

  /** So many entries of the segment are in an index now, all used at that time, as the index says it. */
  inserted(segment: number, { count, filesCount, recordsBytes, filesBytes, usedAtS }: InsertedEntries): void {
    this.#filesCount += filesCount;
    this.#segments.addLive(segment, recordsBytes, count);
    this.#uses.add(segment, recordsBytes, usedAtS);
    this.#ages.add(recordsBytes + filesBytes, usedAtS);
  }

  /** Its record stands there now. */
  moveTo(index: BlobIndex, slot: Slot, segment: number, offset: number): void {
    const bytes = this.recordBytes(index, slot);
    this.#segments.takeLive(index.segmentOf(slot), bytes);
    this.#uses.take(index.segmentOf(slot), bytes, index.usedAtS(slot));
    index.moveTo(slot, segment, offset);
    this.#segments.addLive(segment, bytes);
    this.#uses.add(segment, bytes, index.usedAtS(slot));
  }

  /** All slots become invalid. */
  remove(index: BlobIndex, slot: Slot): void {
    this.#check(index);
    this.#take(index, slot);
    index.remove(slot);
  }

  /** It was used then, if that is later than what is known. False: it is not. */
  use(index: BlobIndex, slot: Slot, usedAtS: number): boolean {
    const [fromS, toS] = [index.usedAtS(slot), this.#untilNow(usedAtS)];
    // Times of the index are rounded up.
    if (toS <= fromS - useStepS) return false;
    index.setUsed(slot, Math.max(fromS, toS));
    const [segment, bytes, indexedUseS] = [index.segmentOf(slot), this.recordBytes(index, slot), index.usedAtS(slot)];
    this.#ages.move(bytes + (index.isFile(slot) ? allocatedBytes(index.sizeOf(slot)) : 0), fromS, indexedUseS);
    this.#uses.move(segment, bytes, indexedUseS - fromS);
    return true;
  }

  #take(index: BlobIndex, slot: Slot): void {
    const [segment, bytes, usedAtS] = [index.segmentOf(slot), this.recordBytes(index, slot), index.usedAtS(slot)];
    this.#segments.takeLive(segment, bytes);
    this.#uses.take(segment, bytes, usedAtS);
    this.#ages.take(this.usedBytes(index, slot), usedAtS);
    if (index.isFile(slot)) this.#filesCount -= 1;
  }

  /** Nothing was used in the future. A start asks for every entry, and nearly all are of long ago: the clock is looked at for the others. */
  #untilNow(usedAtS: number): number {
    if (usedAtS > this.#pastS) this.#pastS = this.#nowS();
    return Math.min(usedAtS, this.#pastS);
  }

  #check(index: BlobIndex): void {
    assert(index === this.blobs || index === this.values, 'an index of the store');
  }
}
