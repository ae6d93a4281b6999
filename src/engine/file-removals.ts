// How a large file goes: the index forgets it and its tombstone is appended in one turn; once that is durable its name is taken
// away, and its bytes follow. What cannot be finished now, since the disk refuses, is tried again until it can.
// docs/formats/data-directory.md has what a crash leaves at each step.
import type { Timers } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Digest } from '../digest/digest.ts';
import { allocatedBytes } from './allocated-bytes.ts';
import type { Slot } from './blob-index.ts';
import type { FileHistory, Written } from './file-history.ts';
import { fileKeyName } from './file-uses.ts';
import type { FileKeyName, FileUses } from './file-uses.ts';
import type { KeyWords } from './key-words.ts';
import type { KeyedLock } from './keyed-lock.ts';
import type { LiveEntries } from './live-entries.ts';
import type { RoomClaim } from './log-claims.ts';
import type { ObjectLayout } from './object-layout.ts';
import type { Quarantine } from './quarantine.ts';
import type { SegmentTable } from './segment-table.ts';
import type { SpaceLedger } from './space-ledger.ts';
import type { Trash } from './trash.ts';

export interface FileRemovalParts {
  readonly entries: LiveEntries;
  readonly segments: SegmentTable;
  readonly history: FileHistory;
  readonly ledger: SpaceLedger;
  readonly trash: Trash;
  readonly quarantine: Quarantine;
  readonly layout: ObjectLayout;
  /** By key; nobody changes what stands under a name without its lock. */
  readonly locks: KeyedLock;
  readonly uses: FileUses;
  readonly timers: Timers;
  readonly log: Log;
}

/** Why a file goes. `corrupt`: its bytes are wrong, and are kept for whoever wants to know why. `lost`: somebody else removed it. */
export type RemovalReason = 'evicted' | 'corrupt' | 'lost';

export interface WantedRemoval {
  /** Not changed by its owner any more. */
  readonly key: KeyWords;
  readonly digest: Digest;
  readonly reason: RemovalReason;
  /** Asked in the turn in which it would go: whether it may, as its entry is by then. */
  readonly mayGo: (slot: Slot) => boolean;
}

/** A file under its name that must not stay there, uncommitted or no longer committed. */
interface Removal {
  readonly key: KeyWords;
  readonly name: FileKeyName;
  readonly digest: Digest;
  /** `withdrawn`: the index never knew it. */
  readonly reason: RemovalReason | 'withdrawn';
  /** Of the ledger's trash, and not given back or handed on yet. */
  bytes: number;
  /** Its tombstone is. */
  isDurable: boolean;
  /** Segments that are not given up meanwhile, by ordinal. */
  readonly held: number[];
  /** Called once it is finished, with room for one record. */
  readonly ended: (claim: RoomClaim) => void;
  /** How often the disk has refused it. */
  refusals: number;
}

/** A tombstone, that the file is gone, and what `ended` writes. */
const recordsOfRemoval = 3;
/** How soon what the disk refused is tried again. */
const retryMs = 5_000;

export class FileRemovals {
  readonly #parts: FileRemovalParts;
  /** The latest removal of each key that is not finished. Earlier ones do nothing any more: another upload has replaced their file. */
  readonly #latest = new Map<FileKeyName, Removal>();
  /** All that are not finished. Each is a file on the disk. */
  readonly #unfinished = new Set<Removal>();
  readonly #running = new Set<Promise<unknown>>();
  readonly #retries = new Set<Disposable>();
  #closing = false;

  constructor(parts: FileRemovalParts) {
    this.#parts = parts;
  }

  /** Files that are to go and, as far as is known, have not left their names. */
  get pendingCount(): number {
    return this.#unfinished.size;
  }

  /**
   * Resolves when the file is durably gone from its name, or another upload has replaced it. False: there is none that may go.
   * @throws CacheError `unavailable`: the disk refuses. Then nothing was changed, or the file is absent and its end is tried
   *   again until it is done; a start that comes before finds it there or not.
   */
  remove(wanted: WantedRemoval): Promise<boolean> {
    return this.#tracked(this.#remove(wanted));
  }

  /**
   * Takes away a file that has its name but never got, or may not have got, its commit. With the key locked; `ended` is called
   * when it is done, which may be later. Never throws.
   * @param bytes what it takes in the ledger's trash.
   */
  async withdraw({ key, digest, bytes, ended }: Pick<Removal, 'key' | 'digest' | 'bytes' | 'ended'>): Promise<void> {
    const removal: Removal = { key, name: fileKeyName(key), digest, reason: 'withdrawn', bytes, isDurable: false, held: [], ended, refusals: 0 };
    this.#latest.set(removal.name, removal);
    this.#unfinished.add(removal);
    try {
      await this.#entombAndTake(removal);
    } catch (thrown) {
      this.#retryLater(removal, thrown);
    }
  }

  /** Waits for what is under way, and tries nothing again. The next start does. */
  async close(): Promise<void> {
    this.#closing = true;
    for (const retry of this.#retries) retry[Symbol.dispose]();
    while (this.#running.size > 0) await Promise.allSettled(this.#running);
  }

  async #remove(wanted: WantedRemoval): Promise<boolean> {
    const { history, locks } = this.#parts;
    using claim = await history.claim(wanted.digest, recordsOfRemoval);
    const begun = this.#begin(wanted, claim);
    if (begun === undefined) return false;
    const { removal, tombstone } = begun;
    removal.isDurable = await tombstone.durable.then(() => true, () => false);
    try {
      await locks.run(removal.name, () => this.#finish(removal, claim));
    } catch (thrown) {
      this.#retryLater(removal, thrown);
      throw thrown;
    }
    return true;
  }

  /** The one turn: no commit of another upload can come between the tombstone and the index. */
  #begin({ key, digest, reason, mayGo }: WantedRemoval, claim: RoomClaim): { readonly removal: Removal; readonly tombstone: Written } | undefined {
    const { entries, history, ledger } = this.#parts;
    const { blobs } = entries;
    const slot = blobs.find(key);
    if (slot === -1 || !blobs.isFile(slot) || !mayGo(slot)) return undefined;
    const tombstone = history.removed(claim, digest);
    const bytes = allocatedBytes(blobs.sizeOf(slot));
    const removal: Removal = { key, name: fileKeyName(key), digest, reason, bytes, isDurable: false, held: [], ended: () => {}, refusals: 0 };
    // The segment of the commit too: should the tombstone not be durable, it is all that tells a start of the file.
    this.#hold(removal, blobs.segmentOf(slot));
    this.#hold(removal, tombstone.appended.segment);
    entries.remove(blobs, slot);
    ledger.move('files', 'trash', bytes);
    this.#latest.set(removal.name, removal);
    this.#unfinished.add(removal);
    return { removal, tombstone };
  }

  /** With the key locked. @throws CacheError `unavailable`: it is to be tried again. */
  async #finish(removal: Removal, claim: RoomClaim): Promise<void> {
    if (this.#isReplaced(removal)) this.#end(removal, claim);
    else if (removal.isDurable) await this.#take(removal, claim);
    else await this.#entombAndTake(removal);
  }

  /** Whether another upload has put its file over this one. A record of the same key leaves the file where it is. */
  #isReplaced(removal: Removal): boolean {
    const { blobs } = this.#parts.entries;
    const slot = blobs.find(removal.key);
    return (slot !== -1 && blobs.isFile(slot)) || this.#latest.get(removal.name) !== removal;
  }

  /**
   * Writes the tombstone for the first time, or once more. With the key locked, so that no commit of another upload can stand
   * in the log that is not in the index. A claim of before is void where the log has failed since.
   */
  async #entombAndTake(removal: Removal): Promise<void> {
    const { history } = this.#parts;
    using claim = await history.claim(removal.digest, recordsOfRemoval);
    const { appended, durable } = history.removed(claim, removal.digest);
    this.#hold(removal, appended.segment);
    await durable;
    removal.isDurable = true;
    await this.#take(removal, claim);
  }

  async #take(removal: Removal, claim: RoomClaim): Promise<void> {
    await this.#takeAway(removal);
    this.#parts.history.gone(claim, removal.digest); // before the key is unlocked: behind the commit of another upload it would say too much
    this.#end(removal, claim);
  }

  async #takeAway(removal: Removal): Promise<void> {
    const { layout, quarantine, trash, uses, ledger } = this.#parts;
    const { digest, name } = removal;
    const path = layout.final(digest.key);
    if (removal.reason === 'corrupt' && (await quarantine.takeFile(path, layout.quarantinedName(digest.key), digest.sizeBytes)) === 'kept') {
      ledger.remove('trash', removal.bytes);
      removal.bytes = 0;
      return;
    }
    const { unsynced } = await trash.take({ path, allocatedBytes: removal.bytes, unread: () => uses.unused(name) });
    removal.bytes = 0; // the trash counts them off
    if (unsynced !== undefined) throw unsynced;
  }

  #end(removal: Removal, claim: RoomClaim): void {
    this.#parts.ledger.remove('trash', removal.bytes);
    removal.bytes = 0;
    removal.ended(claim);
    this.#release(removal);
  }

  #release(removal: Removal): void {
    this.#unfinished.delete(removal);
    if (this.#latest.get(removal.name) === removal) this.#latest.delete(removal.name);
    for (const segment of removal.held.splice(0)) this.#parts.segments.endRemoval(segment);
  }

  #hold(removal: Removal, segment: number): void {
    this.#parts.segments.beginRemoval(segment);
    removal.held.push(segment);
  }

  #retryLater(removal: Removal, thrown: unknown): void {
    removal.refusals += 1;
    if (removal.refusals === 1) this.#parts.log.error('a file could not be removed; it is tried again every few seconds, and by the next start', thrown, { blob: removal.digest.toString() });
    if (this.#closing) return;
    const timer = this.#parts.timers.after(retryMs, () => {
      this.#retries.delete(timer);
      void this.#tracked(this.#retry(removal));
    });
    this.#retries.add(timer);
  }

  async #retry(removal: Removal): Promise<void> {
    const { history, locks } = this.#parts;
    try {
      using claim = await history.claim(removal.digest, recordsOfRemoval);
      await locks.run(removal.name, () => this.#finish(removal, claim));
    } catch (thrown) {
      this.#retryLater(removal, thrown);
    }
  }

  #tracked<T>(work: Promise<T>): Promise<T> {
    this.#running.add(work);
    const done = (): void => void this.#running.delete(work);
    work.then(done, done);
    return work;
  }
}
