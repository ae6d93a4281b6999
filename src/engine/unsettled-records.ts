// What was appended to one stream and is not known to be durable, in the order of appending, and who is to be told. Counts
// in bytes of records since the start: what is durable, written and appended are three marks on the same line.
import { assert } from '../base/assert.ts';
import type { CacheError } from '../base/cache-error.ts';
import type { SyncOutcome } from './group-sync.ts';
import type { PlacedRecord } from './record-gather.ts';
import type { SegmentWriter } from './segment-writer.ts';

/** Told once, in the order of the records, all of one sync in one pass; must not throw. `failed`: the record does not count. */
export type Settled = (outcome: SyncOutcome) => void;

export interface UnsettledRecord {
  readonly writer: SegmentWriter;
  readonly record: PlacedRecord;
  /** Settled when it is durable, not already when it is written. */
  readonly isStrict: boolean;
  readonly settled: Settled | undefined;
}

/** Without a record: somebody who wants to know about all before. */
interface Entry {
  readonly writer: SegmentWriter | undefined;
  readonly record: PlacedRecord | undefined;
  /** Settled when so many bytes are. */
  readonly end: number;
  readonly isStrict: boolean;
  readonly settled: Settled | undefined;
  readonly lost: CacheError | undefined;
}

const durable: SyncOutcome = { kind: 'durable' };

export class UnsettledRecords {
  readonly #onSettled: (writer: SegmentWriter, record: PlacedRecord) => void;
  /** At most what the bound of unsynced bytes lets in, and those who wait for it. */
  #entries: Entry[] = [];
  /** Index of the first that is not written. */
  #unwritten = 0;
  #appendedBytes = 0;
  #writtenBytes = 0;
  #durableBytes = 0;

  /** `onSettled` is told of every record that counts, before whoever appended it. */
  constructor(onSettled: (writer: SegmentWriter, record: PlacedRecord) => void) {
    this.#onSettled = onSettled;
  }

  get unsyncedBytes(): number {
    return this.#appendedBytes - this.#durableBytes;
  }

  get unwrittenBytes(): number {
    return this.#appendedBytes - this.#writtenBytes;
  }

  /** For `madeDurable`: everything that is written now. */
  get writtenBytes(): number {
    return this.#writtenBytes;
  }

  add({ writer, record, isStrict, settled }: UnsettledRecord): void {
    this.#appendedBytes += record.bytes;
    this.#entries.push({ writer, record, end: this.#appendedBytes, isStrict, settled, lost: undefined });
  }

  /** `settled` is told of everything before; at once if nothing is unsettled. */
  addMark(settled: Settled): void {
    if (this.unsyncedBytes === 0 && this.#entries.length === 0) {
      settled(durable);
      return;
    }
    const lost = this.#entries.find((entry) => entry.lost !== undefined)?.lost;
    this.#entries.push({ writer: undefined, record: undefined, end: this.#appendedBytes, isStrict: true, settled, lost });
  }

  /** A record without a place: settled as failed once everything before it is settled, by a call of `settle`. */
  addLost(lost: CacheError, settled: Settled | undefined): void {
    this.#entries.push({ writer: undefined, record: undefined, end: this.#appendedBytes, isStrict: true, settled, lost });
  }

  /** Of the first record that is not written. */
  get nextSegment(): SegmentWriter | undefined {
    for (let index = this.#unwritten; index < this.#entries.length; index += 1) {
      const writer = this.#entries[index]?.writer;
      if (writer !== undefined) return writer;
    }
    return undefined;
  }

  /** The next records, if they go into that segment, no more once they have so many bytes. Their caller writes them and tells `wrote`, or fails all. */
  takeFor(writer: SegmentWriter, bytesMax: number): readonly PlacedRecord[] {
    const records: PlacedRecord[] = [];
    let bytes = 0;
    for (; this.#unwritten < this.#entries.length && bytes < bytesMax; this.#unwritten += 1) {
      const next = this.#entries[this.#unwritten];
      if (next?.record === undefined) continue;
      if (next.writer !== writer) break;
      records.push(next.record);
      bytes += next.record.bytes;
    }
    return records;
  }

  /** What was taken last, so many bytes, is written: not before, since there may be those who are told by then. */
  wrote(bytes: number): void {
    this.#writtenBytes += bytes;
  }

  /** What was written when `writtenBytes` was so much is durable. */
  madeDurable(writtenBytes: number): void {
    assert(writtenBytes >= this.#durableBytes && writtenBytes <= this.#writtenBytes, 'only what is written becomes durable');
    this.#durableBytes = writtenBytes;
    this.settle();
  }

  /** Tells those who can be told, in order. */
  settle(): void {
    let count = 0;
    for (const { lost, end, isStrict } of this.#entries) {
      if (lost === undefined && end > (isStrict ? this.#durableBytes : this.#writtenBytes)) break;
      count += 1;
    }
    // Out of the list before anybody is told: who is told may append.
    for (const { writer, record, settled, lost } of this.#take(count)) {
      if (writer !== undefined && record !== undefined) this.#onSettled(writer, record);
      settled?.(lost === undefined ? durable : { kind: 'failed', cause: lost });
    }
  }

  /** Nothing that is not settled will count. */
  fail(cause: CacheError): void {
    this.#durableBytes = this.#appendedBytes;
    this.#writtenBytes = this.#appendedBytes;
    for (const { settled } of this.#take(this.#entries.length)) settled?.({ kind: 'failed', cause });
  }

  #take(count: number): readonly Entry[] {
    this.#unwritten = Math.max(0, this.#unwritten - count);
    if (count < this.#entries.length) return this.#entries.splice(0, count);
    const all = this.#entries;
    this.#entries = [];
    return all;
  }
}
