// Blobs that are files of their own: written as they come, read by whoever opens them, linked, and removed. Holds together
// the parts that do so; what a crash leaves of each is in docs/formats/data-directory.md.
import { join } from 'node:path';
import { assert } from '../base/assert.ts';
import { CacheError } from '../base/cache-error.ts';
import type { CallOptions } from '../base/call-options.ts';
import type { Timers } from '../base/clock.ts';
import type { BodyHasher, HashPort, LogFileSystem } from '../base/log-files.ts';
import type { Log } from '../base/log.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import type { Semaphore } from '../base/semaphore.ts';
import type { Digest } from '../digest/digest.ts';
import type { DigestFunctionName } from '../digest/digest-function.ts';
import { allocatedBytes } from './allocated-bytes.ts';
import type { Slot } from './blob-index.ts';
import { BodyWriter } from './body-writer.ts';
import { tooLong, wrongHash, wrongLength } from './digest-check.ts';
import type { DurableDirectories } from './durable-directories.ts';
import type { OpenFile } from './file-byte-source.ts';
import { FileHistory } from './file-history.ts';
import { CutNames } from './cut-names.ts';
import { FileNames } from './file-names.ts';
import { FilePublisher } from './file-publisher.ts';
import type { WholeUpload } from './file-publisher.ts';
import { FileReads } from './file-reads.ts';
import type { FileReadLimits, HeldPath } from './file-reads.ts';
import { FileRemovals } from './file-removals.ts';
import type { RemovalReason } from './file-removals.ts';
import { FileUses } from './file-uses.ts';
import { KeyWords, blobTag } from './key-words.ts';
import { KeyedLock } from './keyed-lock.ts';
import type { LargeSyncs } from './large-syncs.ts';
import type { LiveEntries } from './live-entries.ts';
import type { LogWriter } from './log-writer.ts';
import type { ObjectLayout } from './object-layout.ts';
import { PieceMemory } from './piece-memory.ts';
import type { Quarantine } from './quarantine.ts';
import type { RunningIntents } from './running-intents.ts';
import type { SegmentStore } from './segment-store.ts';
import type { SegmentTable } from './segment-table.ts';
import type { SieveOrder } from './sieve-order.ts';
import type { SpaceLedger, SpaceReservation } from './space-ledger.ts';
import { io } from './storage-error.ts';
import type { Trash } from './trash.ts';

export interface LargeFilesPorts {
  readonly files: LogFileSystem;
  readonly hashes: HashPort<DigestFunctionName>;
  readonly timers: Timers;
  readonly log: Log;
}

export interface LargeFilesParts {
  /** Where uploads go: exists, durably, and has no numbers as names. */
  readonly uploadsDirectory: string;
  readonly layout: ObjectLayout;
  readonly entries: LiveEntries;
  readonly segments: SegmentTable;
  /** The stream of blobs. */
  readonly blobLog: Pick<LogWriter, 'claim' | 'append'>;
  readonly records: Pick<SegmentStore, 'readAt'>;
  readonly ledger: SpaceLedger;
  readonly directories: DurableDirectories;
  readonly trash: Trash;
  readonly quarantine: Quarantine;
  readonly largeSyncs: LargeSyncs;
  readonly sieve: SieveOrder;
  readonly intents: RunningIntents;
  /** Files open for writing. */
  readonly writes: Semaphore;
  /** Room on the disk. @throws CacheError `disk_full`, `busy`, `unavailable`, `cancelled`. */
  readonly reserve: (bytes: number, options?: CallOptions) => MaybePromise<SpaceReservation>;
  /** A use of the entry. */
  readonly touch: (slot: Slot) => void;
  readonly nowS: () => number;
}

/** A body that comes. */
interface OpenBody {
  readonly writer: BodyWriter;
  readonly hasher: BodyHasher;
}

/** Shared with those who may link to it and read it, and written by nobody: it is open already. */
const fileMode = 0o444;
/** Another server, or this one started again, takes a moment (REAPI ERR-4). */
const closingRetryMs = 1_000;

export class LargeFiles {
  /** For uploads that are received elsewhere. */
  readonly publisher: FilePublisher;
  readonly #ports: LargeFilesPorts;
  readonly #parts: LargeFilesParts;
  readonly #names: FileNames;
  readonly #reads: FileReads;
  readonly #removals: FileRemovals;
  readonly #uses = new FileUses();
  readonly #memory = new PieceMemory();
  readonly #running = new Set<Promise<unknown>>();
  /** Names of this run; the start has removed those of runs before. */
  #uploadCount = 0;
  #closing = false;

  constructor(ports: LargeFilesPorts, parts: LargeFilesParts, limits: FileReadLimits) {
    this.#ports = ports;
    this.#parts = parts;
    const locks = new KeyedLock();
    const history = new FileHistory(parts.blobLog, parts.nowS);
    this.#names = new FileNames(parts.entries, parts.records, new CutNames(ports.files, parts.layout));
    this.#removals = new FileRemovals({ ...parts, ...ports, history, locks, uses: this.#uses });
    this.publisher = new FilePublisher({ ...parts, ...ports, history, locks, removals: this.#removals });
    this.#reads = new FileReads({ ...parts, ...ports, uses: this.#uses, removals: this.#removals }, limits);
  }

  get usage(): FileReads['usage'] & { readonly pendingRemovals: number } {
    return { ...this.#reads.usage, pendingRemovals: this.#removals.pendingCount };
  }

  /**
   * Resolves once the blob is durable, or was there already; room is taken before the first byte is asked for, and of a blob
   * that is there no byte is.
   * @throws CacheError `invalid_argument` (the bytes do not have the digest; nothing is kept), `disk_full`, `busy`,
   *   `unavailable`, `cancelled`.
   */
  async put(digest: Digest, bytes: AsyncIterable<Uint8Array>, options?: CallOptions): Promise<void> {
    this.#refuseWhenClosing();
    await this.#tracked(this.#put(digest, bytes, options));
  }

  /** As `FileReads.openRead`. */
  openRead(digest: Digest, options?: CallOptions): Promise<OpenFile | undefined> {
    if (this.#closing) return Promise.reject(closing());
    return this.#reads.openRead(digest, options);
  }

  /** As `FileReads.pathOf`. */
  pathOf(digest: Digest): HeldPath | undefined {
    this.#refuseWhenClosing();
    return this.#reads.pathOf(digest);
  }

  /** Whether a path of that key is held: then eviction leaves the file where it is. */
  isHeld(key: KeyWords): boolean {
    return this.#uses.isPathHeld(key);
  }

  /**
   * Takes the file of that entry out of service. The slot is looked at before this returns and not later. Resolves when its name
   * is durably gone; the bytes follow in the background. False: it is not there any more by then, or it
   * was to be evicted only, and is held, used again or may not go by then.
   * @throws CacheError `unavailable`: the disk refuses. As `FileRemovals.remove`.
   */
  async remove(slot: Slot, reason: RemovalReason, mayGo: (slot: Slot) => boolean = () => true): Promise<boolean> {
    this.#refuseWhenClosing();
    const { blobs } = this.#parts.entries;
    const key = new KeyWords();
    blobs.keyOf(slot, key);
    const [segment, offset] = [blobs.segmentOf(slot), blobs.offsetOf(slot)];
    // Something may have come in between: room for the tombstone may have to be waited for.
    const goesStill = (now: Slot): boolean => {
      if (blobs.segmentOf(now) !== segment || blobs.offsetOf(now) !== offset) return false;
      return reason !== 'evicted' || (!this.isHeld(key) && !blobs.wasUsed(now) && mayGo(now));
    };
    const digest = await this.#names.digestOf(slot);
    return digest !== undefined && (await this.#tracked(this.#removals.remove({ key, digest, reason, mayGo: goesStill })));
  }

  /** Refuses new calls, and waits for writes and removals. What is open stays readable. */
  async close(): Promise<void> {
    this.#closing = true;
    while (this.#running.size > 0) await Promise.allSettled(this.#running);
    await this.#removals.close();
  }

  async #put(digest: Digest, bytes: AsyncIterable<Uint8Array>, options: CallOptions | undefined): Promise<void> {
    assert(digest.sizeBytes > 0, 'the empty blob is never stored');
    if (this.#isPresent(digest)) return;
    options?.onStep?.('permit');
    using _permit = await this.#parts.writes.acquire(options);
    options?.onStep?.('room');
    using room = await this.#parts.reserve(allocatedBytes(digest.sizeBytes), options);
    this.#uploadCount += 1;
    const path = join(this.#parts.uploadsDirectory, `${this.#uploadCount}.data`);
    await using stack = new AsyncDisposableStack();
    const hasher = stack.use(this.#ports.hashes.begin(digest.function.name, digest.sizeBytes)); // before there is a file that nobody would throw away
    options?.onStep?.('create');
    const file = stack.use(await io('create a file in the data directory', this.#ports.files.createLog(path, fileMode)));
    const writer = new BodyWriter(file, 0, { hasher, syncs: this.#parts.largeSyncs, memory: this.#memory });
    stack.defer(() => writer.end()); // a file is not closed under its sync
    await this.#receive({ digest, path, room }, { writer, hasher }, bytes, options);
    await this.publisher.publish({ digest, path, room, sync: () => writer.durable(options) }, options);
  }

  /** Writes all bytes, and checks them. What fails is thrown away. */
  async #receive(upload: Omit<WholeUpload, 'sync'>, { writer, hasher }: OpenBody, bytes: AsyncIterable<Uint8Array>, options: CallOptions | undefined): Promise<void> {
    const { digest, path, room } = upload;
    try {
      options?.onStep?.('receive');
      for await (const chunk of bytes) {
        if (options?.signal?.aborted === true) throw new CacheError('cancelled', 'the call was cancelled while its bytes were stored');
        // Now, not at the end: an endless stream must not fill the disk.
        if (writer.endOffset + chunk.byteLength > digest.sizeBytes) throw tooLong(digest);
        await writer.write(chunk, options);
      }
      await writer.flush();
      if (writer.endOffset !== digest.sizeBytes) throw wrongLength(digest, writer.endOffset);
      const hash = await hasher.hex();
      if (hash !== digest.hash) throw wrongHash(digest, hash);
    } catch (thrown) {
      await writer.end();
      const written = allocatedBytes(Math.min(writer.endOffset, digest.sizeBytes));
      room.settle('trash', written);
      await this.#parts.trash.drop({ path, allocatedBytes: written, unread: () => Promise.resolve() });
      throw thrown;
    }
  }

  #isPresent(digest: Digest): boolean {
    const { entries, touch } = this.#parts;
    const key = new KeyWords();
    const slot = key.setHash(blobTag(digest.function.wireValue), digest.hash) ? entries.blobs.find(key) : -1;
    if (slot !== -1) touch(slot);
    return slot !== -1;
  }

  #refuseWhenClosing(): void {
    if (this.#closing) throw closing();
  }

  #tracked<T>(work: Promise<T>): Promise<T> {
    this.#running.add(work);
    const done = (): void => void this.#running.delete(work);
    work.then(done, done);
    return work;
  }
}

function closing(): CacheError {
  return new CacheError('unavailable', 'the store is shutting down', { details: [{ kind: 'retry_after', delayMs: closingRetryMs }] });
}
