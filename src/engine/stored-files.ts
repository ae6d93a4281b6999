// The files of one data directory under one bound: index, space, locks, recency and quarantine, held together.
// Knows keys and bytes; what a blob or a value is, and whether bytes are right, is for those above.
import { join } from 'node:path';
import { CacheError } from '../base/cache-error.ts';
import type { CallOptions } from '../base/call-options.ts';
import type { MonotonicClock, Timers, WallClock } from '../base/clock.ts';
import type { FileSystem } from '../base/file-system.ts';
import type { Log } from '../base/log.ts';
import type { Meter } from '../base/metrics.ts';
import { Semaphore } from '../base/semaphore.ts';
import type { ContentCheck } from './digest-check.ts';
import { DurableDirectories } from './durable-directories.ts';
import { writeDurably } from './durable-write.ts';
import type { OpenFile } from './file-byte-source.ts';
import { allocatedBytes } from './allocated-bytes.ts';
import { wholeBlocks } from './file-table.ts';
import type { FileTable, StoredFile } from './file-table.ts';
import { HotContents } from './hot-contents.ts';
import { KeyedLock } from './keyed-lock.ts';
import { ObjectLayout } from './object-layout.ts';
import type { FileKey } from './object-layout.ts';
import { Quarantine } from './quarantine.ts';
import { RecencyLog, lastUses } from './recency-log.ts';
import { indexFound, recoverFiles } from './recover-files.ts';
import { SpaceBudget, defaultMaxBytes } from './space-budget.ts';
import type { Eviction } from './space-budget.ts';
import { SteadyTime } from './steady-time.ts';
import { io } from './storage-error.ts';
import { StoreJournal } from './store-journal.ts';
import type { WritePhases } from './write-phases.ts';

export interface StoredFilesPorts {
  readonly files: FileSystem;
  readonly monotonicClock: MonotonicClock;
  readonly wallClock: WallClock;
  readonly timers: Timers;
  readonly log: Log;
  readonly meter: Meter;
}

export interface StoredFilesLimits {
  /** What all files may take on disk, quarantine and writes in progress included. Undefined: a share of the disk. */
  readonly maxBytes: number | undefined;
  /** What files of up to 1 MiB may take in memory, so that reading them again costs no disk. */
  readonly hotBytesMax: number;
  readonly openReadsMax: number;
  readonly openWritesMax: number;
}

/** What is to become a file. */
export interface NewFile {
  readonly key: FileKey;
  /** Exactly what `bytes` yields if `check` accepts it. */
  readonly contentBytes: number;
  /** What callers know it by, for the log; where the key does not say so. */
  readonly alias?: string | undefined;
  readonly check: ContentCheck;
  readonly bytes: AsyncIterable<Uint8Array>;
  /** A file of that key that is there already is as good: it stays, and this one is dropped. */
  readonly convergent: boolean;
  /** If given: a file of that key that is there by then stays, unless it is this one. Undefined stands for none. */
  readonly replaces?: { readonly file: StoredFile | undefined };
  /** What to keep in memory under the key once the file is there. Owns its buffer. */
  readonly hot?: Uint8Array | undefined;
}

/** Calls in line for a permit or for room; beyond that the server is busy. */
const waitersMax = 10_000;
/** Of the files that may be open for writing, this share is for those whose bytes have all come. */
const quickWritesShare = 1 / 8;
/** A tenth of the store may be ruins. */
const quarantineShare = 0.1;
/** Kept free in the background: a share of the bound, and never more than a few large uploads. */
const headroomShare = 1 / 64;
const headroomBytesMax = 256 * 1024 * 1024;
/** How soon after its use an order of use is written down. */
const recencyDelayMs = 1_000;

export class StoredFiles {
  readonly #ports: StoredFilesPorts;
  readonly #layout: ObjectLayout;
  readonly #directories: DurableDirectories;
  readonly #index: FileTable;
  readonly #quarantine: Quarantine;
  readonly #recency: RecencyLog;
  readonly #locks = new KeyedLock();
  readonly #space: SpaceBudget;
  readonly #hot: HotContents<FileKey>;
  readonly #reads: Semaphore;
  readonly #writes: Semaphore;
  /** An upload holds its file as long as its client likes; what has all come need not stand in line behind many of those. */
  readonly #quickWrites: Semaphore;
  readonly #time: SteadyTime;
  readonly #journal: StoreJournal;
  /** Allocated by files that left the index and are not deleted yet. */
  #leavingBytes = 0;
  #evictedCount = 0;
  #evictedBytes = 0;
  #evictionAgeMs: number | undefined;
  #corruptCount = 0;
  readonly #running = new Set<Promise<unknown>>();
  #recencyTimer: Disposable | undefined;
  #recencyFlush: Promise<void> = Promise.resolve();
  #closing = false;

  private constructor(ports: StoredFilesPorts, limits: StoredFilesLimits, opened: Opened) {
    this.#ports = ports;
    this.#layout = opened.layout;
    this.#directories = opened.directories;
    this.#index = opened.index;
    this.#quarantine = opened.quarantine;
    this.#recency = opened.recency;
    this.#time = opened.time;
    this.#journal = new StoreJournal(ports);
    this.#hot = new HotContents(limits.hotBytesMax);
    this.#reads = new Semaphore('open files to read', { permitsMax: limits.openReadsMax, waitersMax });
    const quickMax = Math.floor(limits.openWritesMax * quickWritesShare);
    this.#writes = new Semaphore('open files to write', { permitsMax: limits.openWritesMax - quickMax, waitersMax });
    this.#quickWrites = quickMax === 0 ? this.#writes : new Semaphore('open files to write', { permitsMax: quickMax, waitersMax });
    this.#space = new SpaceBudget(
      {
        placedBytes: () => this.#index.usedBytes + this.#quarantine.usedBytes + this.#leavingBytes,
        fixedBytes: () => this.#quarantine.usedBytes,
        evictOne: () => this.#evictOne(),
      },
      { maxBytes: opened.maxBytes, headroomBytes: wholeBlocks(Math.min(opened.maxBytes * headroomShare, headroomBytesMax)), waitersMax },
    );
  }

  /**
   * Takes in what is in `directory`, an existing data directory that this process owns, and evicts down to the bound.
   * @throws CacheError, or the system's errors.
   */
  static async open(directory: string, ports: StoredFilesPorts, limits: StoredFilesLimits): Promise<StoredFiles> {
    const { files, log } = ports;
    const layout = new ObjectLayout(directory);
    const directories = new DurableDirectories(files, directory);
    const storage = { files, directories };
    const recencyDirectory = join(directory, 'recency');
    await directories.ensure(recencyDirectory);
    const lastUsed = await lastUses(files, recencyDirectory);
    const recovered = await recoverFiles(storage, layout);
    const time = new SteadyTime(ports.monotonicClock, ports.wallClock);
    const index = indexFound(recovered.found, lastUsed, time.nowMs());
    const maxBytes = limits.maxBytes ?? defaultMaxBytes((await files.space(directory)).freeBytes, index.usedBytes);
    const quarantine = await Quarantine.open(storage, layout.quarantine, { bytesMax: maxBytes * quarantineShare });
    const recency = await RecencyLog.open(files, recencyDirectory, index, log);
    if (recovered.sweptPartials > 0) log.info('removed what interrupted writes left behind', { files: recovered.sweptPartials });
    if (recovered.foreign.length > 0) log.warn('the data directory holds files that Kiln did not make; they are left alone', { example: recovered.foreign[0] });
    const opened = new StoredFiles(ports, limits, { maxBytes, layout, directories, index, quarantine, recency, time });
    opened.#space.trim();
    await opened.#space.idle();
    return opened;
  }

  /** Gauges: bytes as allocated on disk, counts since the start. */
  get usage() {
    const { oldestUseMs } = this.#index;
    return {
      maxBytes: this.#space.maxBytes,
      usedBytes: this.#index.usedBytes + this.#quarantine.usedBytes + this.#leavingBytes,
      reservedBytes: this.#space.reservedBytes,
      hotBytes: this.#hot.usedBytes,
      hotBytesMax: this.#hot.bytesMax,
      quarantinedBytes: this.#quarantine.usedBytes,
      filesCount: this.#index.count,
      blobsCount: this.#index.blobCount,
      /** Since the file used longest ago was used; undefined for an empty store. */
      oldestUseAgeMs: oldestUseMs === undefined ? undefined : Math.max(0, this.#time.nowMs() - oldestUseMs),
      quarantinedCount: this.#quarantine.count,
      evictedCount: this.#evictedCount,
      evictedBytes: this.#evictedBytes,
      /** How long the file evicted last had not been used; undefined before the first eviction. */
      evictionAgeMs: this.#evictionAgeMs,
      corruptCount: this.#corruptCount,
      openReads: this.#reads.givenOut,
      openReadsMax: this.#reads.permitsMax,
      waitingReads: this.#reads.waiting,
      openWrites: this.#sumOfWrites(({ givenOut }) => givenOut),
      openWritesMax: this.#sumOfWrites(({ permitsMax }) => permitsMax),
      waitingWrites: this.#sumOfWrites(({ waiting }) => waiting),
    };
  }

  /** The file of that key. Not a use: follow with `touch` when it is one. @throws CacheError `unavailable` once closing. */
  find(key: FileKey): StoredFile | undefined {
    if (this.#closing) throw closing();
    return this.#index.get(key);
  }

  /** For `touch`. A look at the clock costs as much as a look-up, so that many uses at once share one. */
  nowMs(): number {
    return this.#time.nowMs();
  }

  touch(file: StoredFile, nowMs: number = this.#time.nowMs()): void {
    this.#index.touch(file, nowMs);
    this.#recency.noteUse(file);
    if (this.#recency.hasUnwritten) this.#recencyTimer ??= this.#ports.timers.after(recencyDelayMs, () => this.#flushRecency());
  }

  /** The content kept in memory, if it is. */
  hot(file: StoredFile): Uint8Array | undefined {
    return this.#hot.get(file.key);
  }

  /**
   * Keeps right content in memory, if it is worth it, unless the file was replaced or left meanwhile. `bytes` owns its
   * buffer.
   */
  keepHot(file: StoredFile, bytes: Uint8Array): void {
    if (this.#index.get(file.key) === file) this.#hot.offer(file.key, bytes);
  }

  /**
   * Opens the content for reading; undefined when somebody removed the file behind our back. What is open stays
   * readable whatever happens to the name.
   * @throws CacheError `unavailable`, `cancelled`.
   */
  async openRead(file: StoredFile, options?: CallOptions): Promise<OpenFile | undefined> {
    const inLine = this.#reads.givenOut === this.#reads.permitsMax;
    const permit = await this.#journal.readPermit(this.#reads.acquire(options), inLine);
    try {
      const handle = await this.#tracked(io('open a stored file', this.#ports.files.openRead(this.#layout.final(file.key))));
      if (handle === undefined) {
        permit[Symbol.dispose]();
        this.#forget(file);
        return undefined;
      }
      return {
        read: (into, offset) => this.#tracked(io('read a stored file', handle.read(into, offset))),
        [Symbol.asyncDispose]: async () => {
          using _permit = permit; // a sick disk may fail even this, and would take one permit after the other with it
          await this.#tracked(io('close a stored file', Promise.resolve(handle[Symbol.asyncDispose]())));
        },
      };
    } catch (thrown) {
      permit[Symbol.dispose]();
      throw thrown;
    }
  }

  /**
   * Resolves once the file is there for good, or another one stays (`convergent`, `replaces`): then with false. Room is
   * taken before the first byte is asked for.
   * @throws CacheError what `check` throws, `resource_exhausted`, `unavailable`, `cancelled`.
   */
  write(file: NewFile, options?: CallOptions): Promise<boolean> {
    if (this.#closing) return Promise.reject(closing());
    return this.#tracked(this.#write(file, options));
  }

  /** Takes a file whose content is wrong out of service, unless it was replaced meanwhile. */
  quarantine(file: StoredFile, reason: string): Promise<void> {
    const { log } = this.#ports;
    return this.#tracked(
      this.#locks.run(file.key, async () => {
        if (this.#index.get(file.key) !== file) return;
        this.#drop(file);
        this.#corruptCount += 1;
        const bytes = allocatedBytes(file.contentBytes);
        this.#leavingBytes += bytes;
        try {
          const fate = await this.#quarantine.take(this.#layout.final(file.key), this.#layout.quarantinedName(file.key), file.contentBytes);
          this.#leavingBytes -= bytes;
          this.#journal.quarantined(file, reason, fate);
        } catch (thrown) {
          // Still counted, since it is still there; never served, since it left the index.
          log.error('a corrupt file could not be moved to quarantine', thrown, { key: file.key, reason });
        }
      }),
    );
  }

  /** Refuses new calls, finishes writes and what is just being read, writes down the order of use. What is open stays readable. */
  async close(): Promise<void> {
    this.#closing = true;
    // Reads as well: whoever asked may have gone, and a disk that does not answer keeps the process from ending.
    while (this.#running.size > 0) await Promise.allSettled(this.#running);
    await this.#space.idle();
    this.#recencyTimer?.[Symbol.dispose]();
    await this.#recencyFlush;
    await this.#recency.close();
  }

  async #write(file: NewFile, options?: CallOptions): Promise<boolean> {
    const phases = this.#journal.writeBegan(options?.onStep);
    let entered = false;
    try {
      entered = await this.#writeIn(file, phases, options);
    } finally {
      this.#journal.writeEnded(file, phases, entered);
    }
    this.#space.trim();
    return entered;
  }

  /** Whether the file that is there in the end is this one. */
  async #writeIn(file: NewFile, phases: WritePhases, options?: CallOptions): Promise<boolean> {
    using _permit = await this.#writesFor(file).acquire(options);
    phases.enter('room');
    using room = await this.#space.reserve(file.contentBytes, options);
    let entered = false;
    const { files } = this.#ports;
    const paths = this.#layout.paths(file.key);
    const guard = (publish: () => Promise<void>): Promise<void> =>
      this.#locks.run(file.key, async () => {
        if (staysBefore(file, this.#index.get(file.key))) return;
        try {
          await publish();
        } catch (thrown) {
          await this.#recount(file.key);
          throw thrown;
        }
        this.#enter(file);
        entered = true;
        room[Symbol.dispose]();
      });
    await writeDurably({ files, directories: this.#directories }, { paths, check: file.check, guard, phases }, file.bytes, options);
    return entered;
  }

  #writesFor({ hot }: NewFile): Semaphore {
    const { givenOut, permitsMax } = this.#writes;
    return hot !== undefined && givenOut === permitsMax ? this.#quickWrites : this.#writes;
  }

  #sumOfWrites(of: (semaphore: Semaphore) => number): number {
    return of(this.#writes) + (this.#quickWrites === this.#writes ? 0 : of(this.#quickWrites));
  }

  /** After a rename, or the sync of it, failed, with the key locked: what is under the final name now? */
  async #recount(key: FileKey): Promise<void> {
    const { files } = this.#ports;
    const path = this.#layout.final(key);
    const before = this.#index.get(key);
    // Whole, but nobody was told, so nobody may count on it.
    if (before === undefined) return files.discard(path);
    // The one before or the one that was to replace it, whole either way; read with the wrong length it would be neither.
    this.#hot.delete(key);
    const found = await files.status(path).catch(() => undefined);
    if (found !== undefined) this.#index.add(key, found.sizeBytes, { verified: false, lastUsedMs: this.#time.nowMs() });
  }

  #enter(file: NewFile): void {
    this.#index.add(file.key, file.contentBytes, { verified: true, lastUsedMs: this.#time.nowMs() });
    if (file.hot === undefined) this.#hot.delete(file.key);
    else this.#hot.offer(file.key, file.hot);
  }

  #drop(file: StoredFile): void {
    this.#index.remove(file);
    this.#hot.delete(file.key);
  }

  #evictOne(): Eviction | undefined {
    const file = this.#index.victim((key) => this.#locks.busy(key));
    if (file === undefined) return undefined;
    this.#drop(file);
    const bytes = allocatedBytes(file.contentBytes);
    this.#evictedCount += 1;
    this.#evictedBytes += bytes;
    this.#evictionAgeMs = Math.max(0, this.#time.nowMs() - file.lastUsedMs);
    this.#journal.evicted(file, this.#evictionAgeMs);
    this.#leavingBytes += bytes;
    const done = this.#locks.run(file.key, async () => {
      try {
        await this.#ports.files.remove(this.#layout.final(file.key));
        this.#leavingBytes -= bytes;
      } catch (thrown) {
        // It is still there, so it goes on being served: a disk that refuses to delete must not look like an empty cache.
        this.#leavingBytes -= bytes;
        this.#index.add(file.key, file.contentBytes, { verified: file.verified, lastUsedMs: this.#time.nowMs() });
        this.#ports.log.error('a file could not be deleted to make room; it stays in the cache', thrown, { key: file.key });
        throw thrown;
      }
    });
    return { bytes, done };
  }

  #forget(file: StoredFile): void {
    if (this.#index.get(file.key) !== file || this.#locks.busy(file.key)) return; // being replaced or deleted just now
    this.#drop(file);
    this.#ports.log.warn('a stored file was removed by somebody else; it counts as absent', { key: file.key });
  }

  #flushRecency(): void {
    this.#recencyTimer = undefined;
    this.#recencyFlush = this.#recencyFlush.then(() => this.#recency.flush());
  }

  #tracked<T>(work: Promise<T>): Promise<T> {
    this.#running.add(work);
    const done = (): void => void this.#running.delete(work);
    work.then(done, done);
    return work;
  }
}

/** Whether `there` is not to be replaced by `file`. */
function staysBefore({ convergent, replaces }: NewFile, there: StoredFile | undefined): boolean {
  return there !== undefined && (convergent || (replaces !== undefined && replaces.file !== there));
}

/** What opening found out and made. */
interface Opened {
  readonly maxBytes: number;
  readonly layout: ObjectLayout;
  readonly directories: DurableDirectories;
  readonly index: FileTable;
  readonly quarantine: Quarantine;
  readonly recency: RecencyLog;
  readonly time: SteadyTime;
}

/** Another server, or this one started again, takes a moment (REAPI ERR-4). */
const closingRetryMs = 1_000;

function closing(): CacheError {
  return new CacheError('unavailable', 'the store is shutting down', { details: [{ kind: 'retry_after', delayMs: closingRetryMs }] });
}
