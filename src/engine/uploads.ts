// Uploads of large blobs that may be resumed, after a restart too: what came of them is on the disk, and a journal says how
// much of it is right and durable. Blobs that fit into a record have no file, and nothing of them is kept. docs/formats/uploads.md
import { join } from 'node:path';
import { assert, assertNever } from '../base/assert.ts';
import { holdBody } from '../base/byte-budget.ts';
import type { ByteBudget } from '../base/byte-budget.ts';
import { CacheError } from '../base/cache-error.ts';
import type { CallOptions } from '../base/call-options.ts';
import type { Log } from '../base/log.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import type { Semaphore } from '../base/semaphore.ts';
import type { Digest } from '../digest/digest.ts';
import type { FilePublisher } from './file-publisher.ts';
import { IdleUploads } from './idle-uploads.ts';
import type { IdlePorts, IdleUpload, UploadLimits } from './idle-uploads.ts';
import { PieceMemory } from './piece-memory.ts';
import { recoverUploads } from './recover-uploads.ts';
import { reopenUpload } from './reopen-upload.ts';
import type { SpaceLedger, SpaceReservation } from './space-ledger.ts';
import { io } from './storage-error.ts';
import type { Trash } from './trash.ts';
import { UploadFile, spaceOfWhole, sumOf } from './upload-file.ts';
import type { UploadSite, UploadSpace } from './upload-file.ts';
import { hasWriter, refuseOffset, takeBytes, takeInMemory } from './upload-intake.ts';
import type { SentBytes, TakenBytes } from './upload-intake.ts';
import { uploadKey } from './upload-journal-format.ts';
import type { UploadIdentity } from './upload-journal-format.ts';
import { uploadDataName, uploadJournalName, uploadsDirectoryName } from './upload-names.ts';
import { UploadRoom } from './upload-room.ts';

/** A client that was cut off comes back within minutes; a build that was stopped in the evening, in the morning. */
export const uploadIdleMsMaxDefault = 24 * 60 * 60 * 1_000;
/** Of the store. */
export const uploadIdleShareDefault = 0.1;

export interface UploadsPorts extends Omit<UploadSite, 'path' | 'memory'>, IdlePorts {
  readonly log: Log;
}

/** The rest of the engine, as far as uploads need it. */
export interface UploadsSurroundings {
  readonly ledger: SpaceLedger;
  readonly trash: Pick<Trash, 'drop'>;
  readonly publisher: Pick<FilePublisher, 'publish'>;
  /** Files that may be open for writing at the same time. */
  readonly writes: Semaphore;
  /** @throws CacheError `disk_full`, `busy`, `unavailable`, `cancelled`. */
  readonly reserve: (bytes: number, options?: CallOptions) => MaybePromise<SpaceReservation>;
  readonly isStored: (digest: Digest) => boolean;
  /** Asked before so many bytes are taken in that are not stored; disposed when they are, or are not. @throws CacheError `disk_full`: they may not be promised to stay. */
  readonly admit: (bytes: number) => Disposable | undefined;
  /** Blobs up to here are records. */
  readonly smallBytesMax: number;
  /** Of what those take while they come. */
  readonly budget: ByteBudget;
  /** Stores one of those, whose hash is right; does nothing but note a use where it is there. @throws as `reserve`. */
  readonly putSmall: (digest: Digest, bytes: Uint8Array, options?: CallOptions) => Promise<void>;
}

/** `partial`: the bytes ended before the last one; so many are kept. */
export type UploadOutcome = { readonly kind: 'stored' } | { readonly kind: 'partial'; readonly committedBytes: number };

/**
 *   absent ── a writer ──▶ writing ── stored, or nothing to keep ──▶ leaving ── its names are gone ──▶ absent
 *   writing ── its bytes ended or failed, and some pieces are kept ──▶ idle ── a writer ──▶ writing
 *   idle ── too long, or too much in all ──▶ leaving
 */
interface Writing {
  readonly state: 'writing';
  readonly key: string;
  readonly digest: Digest;
  /** What there was of it when the writer came. */
  readonly before: IdleUpload | undefined;
  /** Once it is open. */
  file: UploadFile | undefined;
}

/** A writer whose file is open. */
interface OpenWriting {
  readonly writing: Writing;
  readonly file: UploadFile;
  readonly room: UploadRoom;
}

type Busy = Writing | { readonly state: 'leaving'; readonly done: Promise<void> };

/** Another server, or this one started again, takes a moment (REAPI ERR-4). */
const closingRetryMs = 1_000;
export class Uploads {
  readonly #site: UploadSite;
  readonly #ports: UploadsPorts;
  readonly #parts: UploadsSurroundings;
  readonly #idle: IdleUploads;
  /** Bounded by the permits for writes and those in line for one, and, of small blobs, by the streams there may be. */
  readonly #busy = new Map<string, Busy>();
  readonly #running = new Set<Promise<unknown>>();
  #closing = false;

  private constructor(site: UploadSite, ports: UploadsPorts, limits: UploadLimits, parts: UploadsSurroundings) {
    this.#site = site;
    this.#ports = ports;
    this.#parts = parts;
    this.#idle = new IdleUploads(limits, ports, (upload, reason) => void this.#giveUp(upload, reason));
  }

  /**
   * Takes in what is in `uploads/` below `root`, a data directory of this process, and removes there what nobody can go on with.
   * After the log was read and what it says was done in `objects/`; before anybody writes an upload.
   * @throws CacheError `unavailable`, `disk_full`.
   */
  static async open(root: string, limits: UploadLimits, ports: UploadsPorts, parts: UploadsSurroundings): Promise<Uploads> {
    const site: UploadSite = { ...ports, path: join(root, uploadsDirectoryName), memory: new PieceMemory() };
    await site.directories.ensure(site.path);
    const opened = new Uploads(site, ports, limits, parts);
    const found = await recoverUploads(site, ports.log, { nowMs: ports.time.nowMs(), isStored: parts.isStored });
    for (const { key, digest, committedBytes, space, writtenMs } of found.toSorted((a, b) => a.writtenMs - b.writtenMs)) {
      parts.ledger.place('uploads', sumOf(space));
      opened.#idle.add({ key, digest, committedBytes, idleSinceMs: writtenMs, space });
    }
    await Promise.all(opened.#running);
    return opened;
  }

  /** Uploads that nobody writes to at the moment. */
  get idleCount(): number {
    return this.#idle.count;
  }

  /** What those take on the disk. */
  get idleBytes(): number {
    return this.#idle.usedBytes;
  }

  /** Durable and right, and where `resume` goes on: 0 for an upload that is not known. Does not fall while a writer has it. */
  committedBytes(upload: UploadIdentity): number {
    const key = uploadKey(upload);
    const busy = this.#busy.get(key);
    if (busy?.state === 'writing') return busy.file?.committedBytes ?? busy.before?.committedBytes ?? 0;
    return this.#idle.get(key)?.committedBytes ?? 0;
  }

  /**
   * Takes the bytes of the blob from `fromOffset` on: from `committedBytes`, or from 0, where what is committed is passed over.
   * Resolves once the blob is stored, or the bytes have ended before. Whole pieces are kept when `bytes` fails; its caller owns it.
   * @throws CacheError `out_of_range` (it goes on elsewhere), `aborted` (another writer has it), `invalid_argument` (not the
   *   bytes of the digest: nothing is kept), `disk_full`, `busy`, `unavailable`, `cancelled`; what `bytes` throws.
   */
  async resume(upload: UploadIdentity, fromOffset: number, bytes: AsyncIterable<Uint8Array>, options?: CallOptions): Promise<UploadOutcome> {
    assert(upload.digest.sizeBytes > 0, 'the empty blob is never stored');
    const key = uploadKey(upload);
    for (;;) {
      const busy = this.#busy.get(key);
      if (this.#closing) throw closing();
      if (busy?.state === 'writing') throw hasWriter(upload);
      if (busy?.state === 'leaving') {
        await busy.done;
        continue;
      }
      const before = this.#idle.get(key);
      refuseOffset(upload, fromOffset, before?.committedBytes ?? 0);
      if (before !== undefined) this.#idle.remove(before);
      const writing: Writing = { state: 'writing', key, digest: upload.digest, before, file: undefined };
      this.#busy.set(key, writing);
      const outcome = await this.#tracked(this.#write(writing, { upload, fromOffset, bytes }, options));
      if (outcome !== 'lost') return outcome;
    }
  }

  /** Lets go of the one that nobody has written to for longest: room is needed. Resolves when its names are gone. False: there is none. */
  async giveUpOldest(): Promise<boolean> {
    const oldest = this.#idle.takeOldest();
    if (oldest === undefined) return false;
    await this.#giveUp(oldest, 'its room is needed for what is being stored, and nobody goes on with it');
    return true;
  }

  /** Refuses new writers and waits for those there are, whose bytes are to end first. What is kept can be resumed after a start. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#idle[Symbol.dispose]();
    while (this.#running.size > 0) await Promise.allSettled(this.#running);
  }

  /** `lost`: nothing of what there was before can be used, and no byte was asked for. */
  async #write(writing: Writing, sent: SentBytes, options?: CallOptions): Promise<UploadOutcome | 'lost'> {
    const { ledger, reserve, writes, admit, isStored, smallBytesMax } = this.#parts;
    const placedBytes = writing.before === undefined ? 0 : sumOf(writing.before.space);
    try {
      using _admitted = isStored(writing.digest) ? undefined : admit(writing.digest.sizeBytes);
      if (placedBytes === 0 && writing.digest.sizeBytes <= smallBytesMax) return await this.#writeSmall(sent, options);
      using _permit = await writes.acquire(options);
      options?.onStep?.('wait for room');
      const missingBytes = Math.max(0, sumOf(spaceOfWhole(writing.digest.sizeBytes)) - placedBytes);
      using room = new UploadRoom(ledger, await reserve(missingBytes, options), placedBytes);
      const opened = await this.#open(writing, options);
      if (opened.kind === 'lost') {
        void this.#giveUp(opened.before, opened.reason);
        return 'lost';
      }
      writing.file = opened.file;
      return await this.#receive({ writing, file: opened.file, room }, sent, options);
    } finally {
      if (this.#busy.get(writing.key) === writing) this.#putBack(writing);
    }
  }

  /** A file would be one more for the system to keep, and stand in the way of a put of the same blob as a record. */
  async #writeSmall(sent: SentBytes, options?: CallOptions): Promise<UploadOutcome> {
    const { digest } = sent.upload;
    using _held = holdBody(this.#parts.budget, digest.sizeBytes);
    const taken = await takeInMemory(sent, options);
    switch (taken.kind) {
      case 'whole':
        await this.#parts.putSmall(digest, taken.bytes, { ...options, signal: undefined }); // as in `#publish`
        return { kind: 'stored' };
      case 'part':
        return { kind: 'partial', committedBytes: 0 };
      case 'wrong':
        throw taken.error;
      default:
        return assertNever(taken);
    }
  }

  /** What there is of it, or a new file. */
  async #open({ key, digest, before }: Writing, options?: CallOptions): Promise<Opened> {
    if (before === undefined) return { kind: 'open', file: await UploadFile.create({ key, digest, begunMs: Math.floor(this.#ports.time.nowMs()) }, this.#site) };
    const reopened = await reopenUpload(key, this.#site, options);
    if (reopened.kind === 'lost') return { ...reopened, before };
    if (reopened.lostPieces > 0) this.#ports.log.warn('the end of an upload that was kept is not what was written; it is to be sent again', { upload: key, pieces: reopened.lostPieces });
    return { kind: 'open', file: new UploadFile({ key, digest, begunMs: reopened.begunMs }, this.#site, reopened.upload) };
  }

  /** Ends the entry of the writer, and the file, in any case. */
  async #receive(open: OpenWriting, sent: SentBytes, options?: CallOptions): Promise<UploadOutcome> {
    const { writing, file } = open;
    await using _opened = file;
    let taken: TakenBytes;
    try {
      refuseOffset(sent.upload, sent.fromOffset, file.committedBytes);
      taken = await takeBytes(file, writing.digest, sent, options);
    } catch (thrown) {
      await this.#stop(open);
      throw thrown;
    }
    switch (taken.kind) {
      case 'whole':
        await this.#publish(open, options);
        return { kind: 'stored' };
      case 'part':
        return { kind: 'partial', committedBytes: await this.#stop(open) };
      case 'wrong':
        await this.#discard(open);
        throw taken.error;
      default:
        return assertNever(taken);
    }
  }

  /** All bytes have come and are right. Who is cut off by now has sent them all, so it is not stopped. */
  async #publish({ writing: { key, digest }, file, room }: OpenWriting, options?: CallOptions): Promise<void> {
    const journalBytes = file.space.journalBytes;
    try {
      await this.#parts.publisher.publish(
        {
          digest,
          path: file.dataPath,
          room: { settle: (category, bytes) => room.settle([[category, bytes], ['uploads', journalBytes]]) },
          sync: () => file.sync(),
        },
        { ...options, signal: undefined },
      );
    } finally {
      room.settle([['uploads', journalBytes]]);
      await file[Symbol.asyncDispose]();
      await this.#leave(key, { dataBytes: 0, journalBytes });
    }
  }

  /** Keeps the pieces that are committed, if there are any. Gives how many bytes those are. Never throws. */
  async #stop(open: OpenWriting): Promise<number> {
    const { writing, file, room } = open;
    if (!(await file.cutToCommitted())) {
      await this.#discard(open);
      return 0;
    }
    const { committedBytes, space } = file;
    await file[Symbol.asyncDispose](); // somebody else may go on with it from here on
    room.settle([['uploads', sumOf(space)]]);
    this.#busy.delete(writing.key);
    this.#idle.add({ key: writing.key, digest: writing.digest, committedBytes, idleSinceMs: this.#ports.time.nowMs(), space });
    return committedBytes;
  }

  /** Never throws. */
  async #discard({ writing, file, room }: OpenWriting): Promise<void> {
    await file[Symbol.asyncDispose]();
    const { space } = file;
    room.settle([['trash', space.dataBytes], ['uploads', space.journalBytes]]);
    await this.#leave(writing.key, space);
  }

  /** A kept one goes. What it takes is counted on until it is gone. Never throws. */
  #giveUp(idle: IdleUpload, reason: string): Promise<void> {
    this.#ports.log.info('an upload that was interrupted is given up', { upload: idle.key, reason, committedBytes: idle.committedBytes });
    this.#parts.ledger.move('uploads', 'trash', idle.space.dataBytes);
    return this.#tracked(this.#leave(idle.key, idle.space));
  }

  /** Takes the names away, and nobody comes in between. Data counts as trash by now, a journal as an upload. Never throws. */
  #leave(key: string, space: UploadSpace): Promise<void> {
    const done = (async () => {
      try {
        await this.#removeJournal(key, space.journalBytes);
        const path = join(this.#site.path, uploadDataName(key));
        if (space.dataBytes > 0) await this.#parts.trash.drop({ path, allocatedBytes: space.dataBytes, unread: () => Promise.resolve() });
      } finally {
        this.#busy.delete(key);
      }
    })();
    this.#busy.set(key, { state: 'leaving', done });
    return done;
  }

  async #removeJournal(key: string, journalBytes: number): Promise<void> {
    if (journalBytes === 0) return;
    try {
      await io('remove the journal of an upload', this.#site.files.remove(join(this.#site.path, uploadJournalName(key))));
      this.#parts.ledger.remove('uploads', journalBytes);
    } catch (thrown) {
      this.#ports.log.error('the journal of an upload could not be removed; the next start does it', thrown, { upload: key });
    }
  }

  /** The writer came to nothing before anything was opened. That somebody asked for it counts. */
  #putBack({ key, before }: Writing): void {
    this.#busy.delete(key);
    if (before !== undefined) this.#idle.add({ ...before, idleSinceMs: this.#ports.time.nowMs() });
  }

  #tracked<T>(work: Promise<T>): Promise<T> {
    this.#running.add(work);
    const done = (): void => void this.#running.delete(work);
    work.then(done, done);
    return work;
  }
}

type Opened = { readonly kind: 'open'; readonly file: UploadFile } | { readonly kind: 'lost'; readonly reason: string; readonly before: IdleUpload };

function closing(): CacheError {
  return new CacheError('unavailable', 'the store is shutting down', { details: [{ kind: 'retry_after', delayMs: closingRetryMs }] });
}
