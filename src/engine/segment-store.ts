// Reads records out of segments: without waiting where the bytes are likely in the page cache, else off the loop. Both
// checksums are looked at each time. Whether a record still counts, and whether its hash is right, is its caller's business.
import { assert } from '../base/assert.ts';
import { CacheError } from '../base/cache-error.ts';
import type { CallOptions } from '../base/call-options.ts';
import type { MonotonicClock } from '../base/clock.ts';
import type { LogFile, LogFileSystem } from '../base/log-files.ts';
import { isPromise } from '../base/maybe-promise.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import type { LentMemory } from '../base/reused-memory.ts';
import { Semaphore } from '../base/semaphore.ts';
import type { BlobIndex, Slot } from './blob-index.ts';
import { KeyWords } from './key-words.ts';
import type { HotRecords } from './hot-records.ts';
import type { LiveEntries } from './live-entries.ts';
import type { PageCacheGuess } from './page-cache-guess.ts';
import type { PlannedRead, WantedRecord } from './read-plan.ts';
import { RecordBytes } from './record-codec.ts';
import type { RecordHead, RecordMemory } from './record-codec.ts';
import { SegmentHandles } from './segment-handles.ts';
import type { OpenSegment } from './segment-handles.ts';
import type { SegmentTable } from './segment-table.ts';
import { io, storageError } from './storage-error.ts';

/** Where a record lies: segment by ordinal, bytes with padding. */
export interface RecordPlace {
  readonly segment: number;
  readonly offset: number;
  readonly bytes: number;
}

/** A record whose two checksums are right. Whoever looked it up by a key that was cut compares `head.hash`. */
export interface ReadRecord {
  /** Decoded each time it is asked for. */
  readonly head: RecordHead;
  /** A view of what was read at once, as `head.hash` is: up to 256 KiB stay in memory as long as it does. Nobody else writes there. */
  readonly payload: Buffer;
}

export interface SegmentStorePorts {
  readonly files: Pick<LogFileSystem, 'openLog'>;
  readonly clock: MonotonicClock;
  readonly guess: PageCacheGuess;
  /** Told of segments that end. */
  readonly hot?: Pick<HotRecords, 'forget'> | undefined;
}

export interface SegmentStoreOptions {
  /** `segments/` of the data directory. */
  readonly directory: string;
  /** Segments that stay open while nobody reads them. */
  readonly openFilesMax: number;
  /** Reads that may go to the disk, at the same time and in line. */
  readonly readsMax: number;
  readonly waitingReadsMax: number;
}

/** Where records are. */
export interface StoredEntries {
  readonly table: SegmentTable;
  readonly entries: Pick<LiveEntries, 'recordBytes'>;
}

export class SegmentStore implements AsyncDisposable {
  readonly #table: SegmentTable;
  readonly #entries: StoredEntries['entries'];
  readonly #clock: MonotonicClock;
  readonly #guess: PageCacheGuess;
  readonly #hot: SegmentStorePorts['hot'];
  readonly #handles: SegmentHandles;
  readonly #reads: Semaphore;

  constructor({ files, clock, guess, hot }: SegmentStorePorts, { table, entries }: StoredEntries, options: SegmentStoreOptions) {
    this.#table = table;
    this.#entries = entries;
    this.#clock = clock;
    this.#guess = guess;
    this.#hot = hot;
    this.#handles = new SegmentHandles(files, table, options);
    this.#reads = new Semaphore('reads from the disk', { permitsMax: options.readsMax, waitersMax: options.waitingReadsMax });
  }

  /** Segments that are open. */
  get openCount(): number {
    return this.#handles.openCount;
  }

  /** Reads that may go to the disk: under way, and in line. */
  get reads(): { readonly running: number; readonly waiting: number } {
    return { running: this.#reads.givenOut, waiting: this.#reads.waiting };
  }

  /** For who reads more than records. @throws CacheError `unavailable`, `busy`. */
  open(ordinal: number): MaybePromise<OpenSegment> {
    return this.#handles.open(ordinal);
  }

  /** These bytes were written just now, by whoever writes the segment. */
  written(place: RecordPlace): void {
    this.#guess.note(place.segment, place.offset, place.bytes, this.#clock.nowMs());
  }

  /** Nobody reads the segment any more, nobody will, and its ordinal is about to be released. */
  async forget(ordinal: number): Promise<void> {
    this.#guess.forget(ordinal);
    this.#hot?.forget(ordinal);
    await this.#handles.forget(ordinal);
  }

  /**
   * The record of an entry that is no file. `moved`: the entry is gone or elsewhere by now, and the caller looks again.
   * `wrong`: there is no right record at its place.
   * @throws CacheError `unavailable` (the disk), `busy` (too many reads), `cancelled` while in line.
   */
  read(index: BlobIndex, slot: Slot, options?: CallOptions): MaybePromise<ReadRecord | 'moved' | 'wrong'> {
    const place = { segment: index.segmentOf(slot), offset: index.offsetOf(slot), bytes: this.#entries.recordBytes(index, slot) };
    const read = this.readAt(place, options);
    if (!isPromise(read)) return read;
    const key = new KeyWords();
    index.keyOf(slot, key);
    return read.then((record) => {
      if (record !== 'wrong') return record;
      const now = index.find(key);
      return now !== -1 && index.segmentOf(now) === place.segment && index.offsetOf(now) === place.offset ? 'wrong' : 'moved';
    });
  }

  /** As `read`, for who knows a place that counts at the time of this call. */
  readAt(place: RecordPlace, options?: CallOptions): MaybePromise<ReadRecord | 'wrong'> {
    const file = this.#fileForNow(place);
    return file === undefined ? this.#recordLater(place, options) : recordIn(this.#readNow(file, place, Buffer.allocUnsafe(place.bytes)), place.offset, place.bytes);
  }

  /**
   * Gives each record to `settle` with the bytes in which it stands at its offset, or why they could not be read; what stands there
   * is not looked at. The places count at the time of this call. Undefined: all are settled, else they are when it resolves.
   * @param lend gives the memory in which what is read without a wait comes to stand, as far as it has room; asked at the first such read.
   */
  readMany<Wanted extends WantedRecord>(
    plan: readonly PlannedRead<Wanted>[], settle: (record: Wanted, read: RecordBytes | CacheError) => void, options?: CallOptions, lend?: () => LentMemory | undefined,
  ): Promise<void> | undefined {
    const later: Promise<void>[] = [];
    let memory: LentMemory | undefined;
    let isLent = false;
    let from = 0;
    for (const read of plan) {
      const file = this.#fileForNow(read);
      if (file === undefined) {
        later.push(this.#readLater(read, options).catch(failureOf).then((bytes) => settleAll(read, bytes, settle)));
        continue;
      }
      if (!isLent) memory = lend?.();
      isLent = true;
      if (memory === undefined || from + read.bytes > memory.bytes.length) {
        settleAll(read, this.#tryNow(file, read, Buffer.allocUnsafe(read.bytes)), settle);
      } else {
        settleAll(read, this.#tryNow(file, read, memory.bytes, { view: memory.view, from, to: from + read.bytes }), settle);
        from += read.bytes;
      }
    }
    return later.length === 0 ? undefined : Promise.all(later).then(() => undefined);
  }

  /** Waits for reads under way. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handles[Symbol.asyncDispose]();
  }

  #fileForNow({ segment, offset, bytes }: RecordPlace): LogFile | undefined {
    return this.#guess.isLikely(segment, offset, bytes) ? this.#handles.fileNow(segment) : undefined;
  }

  /** Blocks the loop. The two looks at the clock cost less than a tenth of the read, and tell how wrong the guess is. */
  #readNow(file: LogFile, { segment, offset, bytes }: RecordPlace, into: Buffer, part?: RecordMemory): RecordBytes {
    const beganMs = this.#clock.nowMs();
    const count = readNow(file, part === undefined ? into : into.subarray(part.from, part.to), offset);
    const nowMs = this.#clock.nowMs();
    this.#guess.note(segment, offset, bytes, nowMs);
    this.#guess.measured(segment, bytes, (nowMs - beganMs) * 1000, nowMs);
    const { nonceCrc } = this.#table.at(segment);
    if (part === undefined) return new RecordBytes(into.subarray(0, count), offset, nonceCrc);
    return new RecordBytes(into, offset, nonceCrc, count === bytes ? part : { ...part, to: part.from + count });
  }

  #tryNow(file: LogFile, read: RecordPlace, into: Buffer, part?: RecordMemory): RecordBytes | CacheError {
    try {
      return this.#readNow(file, read, into, part);
    } catch (thrown) {
      return failureOf(thrown);
    }
  }

  /** The segment counts as being read from the moment of this call, so its bytes stay what they are. */
  async #readLater({ segment, offset, bytes }: RecordPlace, options: CallOptions | undefined): Promise<RecordBytes> {
    const { nonceCrc } = this.#table.at(segment); // the row may be gone when the read has ended
    this.#table.beginRead(segment);
    try {
      using _turn = await this.#reads.acquire(options);
      using open = await this.#handles.open(segment);
      const into = Buffer.allocUnsafe(bytes);
      const count = await io('read a segment', open.file.read(into, offset));
      this.#guess.note(segment, offset, bytes, this.#clock.nowMs());
      return new RecordBytes(into.subarray(0, count), offset, nonceCrc);
    } finally {
      this.#table.endRead(segment);
    }
  }

  async #recordLater(place: RecordPlace, options: CallOptions | undefined): Promise<ReadRecord | 'wrong'> {
    return recordIn(await this.#readLater(place, options), place.offset, place.bytes);
  }
}

function settleAll<Wanted extends WantedRecord>({ records }: PlannedRead<Wanted>, read: RecordBytes | CacheError, settle: (record: Wanted, read: RecordBytes | CacheError) => void): void {
  for (const record of records) settle(record, read);
}

/** The record of `bytes` at `offset` of its segment, if both its checksums are right. */
export function recordIn(read: RecordBytes, offset: number, bytes: number): ReadRecord | 'wrong' {
  const payload = read.payloadAt(offset, bytes);
  return payload === undefined ? 'wrong' : new RightRecord(payload, read, offset);
}

/** Its head is decoded for who asks: most want the payload alone, a hundred at once. */
class RightRecord implements ReadRecord {
  readonly payload: Buffer;
  readonly #read: RecordBytes;
  readonly #offset: number;

  constructor(payload: Buffer, read: RecordBytes, offset: number) {
    this.payload = payload;
    this.#read = read;
    this.#offset = offset;
  }

  get head(): RecordHead {
    const decoded = this.#read.headAt(this.#offset);
    assert(decoded.kind === 'record', 'the head was right when the record was read');
    return decoded.head;
  }
}

function readNow(file: LogFile, into: Buffer, offset: number): number {
  try {
    return file.readNow(into, offset);
  } catch (thrown) {
    throw storageError('read a segment', thrown);
  }
}

/** What one read fails with is the outcome of its records; a mistake of ours is not. */
function failureOf(thrown: unknown): CacheError {
  if (thrown instanceof CacheError) return thrown;
  throw thrown;
}
