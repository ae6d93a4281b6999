// How a whole, right upload becomes a stored file: intent, sync, rename, sync of the directory, commit, and only then the
// index. docs/formats/data-directory.md has what a crash leaves at each step.
import { dirname } from 'node:path';
import { assert } from '../base/assert.ts';
import { CacheError } from '../base/cache-error.ts';
import type { CallOptions } from '../base/call-options.ts';
import type { FileSystem } from '../base/file-system.ts';
import type { Digest } from '../digest/digest.ts';
import { allocatedBytes } from './allocated-bytes.ts';
import type { Slot } from './blob-index.ts';
import type { DurableDirectories } from './durable-directories.ts';
import type { FileHistory } from './file-history.ts';
import type { FileRemovals } from './file-removals.ts';
import { fileKeyName } from './file-uses.ts';
import { KeyWords, blobTag } from './key-words.ts';
import type { KeyedLock } from './keyed-lock.ts';
import type { LiveEntries } from './live-entries.ts';
import type { RoomClaim } from './log-claims.ts';
import type { Appended } from './append-request.ts';
import type { ObjectLayout } from './object-layout.ts';
import type { RunningIntents } from './running-intents.ts';
import type { SieveOrder } from './sieve-order.ts';
import type { SpaceReservation } from './space-ledger.ts';
import { io, systemCode } from './storage-error.ts';
import type { Trash } from './trash.ts';

/** A file in `uploads/` with all bytes of a blob, hashed and found right. Nobody writes to it any more; its mode is 0444. */
export interface WholeUpload {
  readonly digest: Digest;
  readonly path: string;
  /** What it takes on the disk: `settle` is called once, with what it counts as from then on. */
  readonly room: Pick<SpaceReservation, 'settle'>;
  /** Makes its bytes, length and mode durable. Called at most once, beside the sync of the log. @throws CacheError `unavailable`, `cancelled`. */
  sync(): Promise<void>;
}

export interface FilePublisherParts {
  readonly files: FileSystem;
  readonly directories: DurableDirectories;
  readonly entries: LiveEntries;
  readonly history: FileHistory;
  readonly intents: RunningIntents;
  readonly removals: FileRemovals;
  readonly trash: Trash;
  readonly layout: ObjectLayout;
  /** The one of the removals. */
  readonly locks: KeyedLock;
  readonly sieve: SieveOrder;
  /** A use of the entry. */
  readonly touch: (slot: Slot) => void;
  readonly nowS: () => number;
}

/**
 *   whole ── intent ──▶ announced ── rename ──▶ named ── commit ──▶ stored
 *     │                     │                     └── anything failed ──▶ withdrawn
 *     └─────────────────────┴── failed, or the blob is there ──▶ dropped
 */
interface Publication {
  readonly upload: WholeUpload;
  readonly key: KeyWords;
  readonly final: string;
  /** Its file has left `uploads/`, or may have, and is looked after. */
  isNamed: boolean;
}

/** What an upload has in the log. */
interface Announcement {
  readonly claim: RoomClaim;
  readonly intent: Appended;
}

/** Intent, and commit or the end of the intent. Claimed before: in the middle nothing may have to wait for room. */
const recordsOfUpload = 2;

export class FilePublisher {
  readonly #parts: FilePublisherParts;

  constructor(parts: FilePublisherParts) {
    this.#parts = parts;
  }

  /**
   * Resolves once the blob is there for good: `stored`, or `present` when another upload was first. The file and its room are
   * taken over in any case: when it throws, both are given up.
   * @throws CacheError `unavailable`, `busy`, `disk_full`, `cancelled` (only before the file has its name).
   */
  async publish(upload: WholeUpload, options?: CallOptions): Promise<'stored' | 'present'> {
    const { digest } = upload;
    const key = new KeyWords();
    assert(key.setHash(blobTag(digest.function.wireValue), digest.hash), 'a digest has a hash of its function');
    const publication: Publication = { upload, key, final: this.#parts.layout.final(digest.key), isNamed: false };
    try {
      return await this.#publish(publication, options);
    } finally {
      if (!publication.isNamed) await this.#drop(upload);
    }
  }

  async #publish(publication: Publication, options: CallOptions | undefined): Promise<'stored' | 'present'> {
    const { history, directories, intents, locks } = this.#parts;
    const { upload, key, final } = publication;
    if (this.#isPresent(key)) return 'present';
    options?.onStep?.('directory');
    await directories.ensure(dirname(final));
    options?.onStep?.('room in the log');
    using claim = await history.claim(upload.digest, recordsOfUpload, options);
    if (options?.signal?.aborted === true) throw new CacheError('cancelled', 'the call was cancelled while its bytes were stored');
    const { appended: intent, durable } = history.intent(claim, upload.digest);
    intents.begin(intent);
    const announcement: Announcement = { claim, intent };
    try {
      options?.onStep?.('sync');
      await both(durable, upload.sync());
      options?.onStep?.('lock');
      return await locks.run(fileKeyName(key), () => this.#place(publication, announcement, options));
    } finally {
      if (!publication.isNamed) this.#intentEnded(upload.digest, intent, claim);
    }
  }

  /** With the key locked. Intent and bytes are durable: from here on the name may appear. */
  async #place(publication: Publication, announcement: Announcement, options: CallOptions | undefined): Promise<'stored' | 'present'> {
    const { directories, removals } = this.#parts;
    const { upload, key, final } = publication;
    if (this.#isPresent(key)) return 'present';
    try {
      options?.onStep?.('rename');
      await this.#rename(publication);
      options?.onStep?.('directory sync');
      await directories.sync(dirname(final));
      options?.onStep?.('commit');
      // Not before: what is written may become durable at any moment, and the commit says that the name is.
      await this.#commit(publication, announcement);
      return 'stored';
    } catch (thrown) {
      if (publication.isNamed) {
        const { digest } = upload;
        const bytes = allocatedBytes(digest.sizeBytes);
        upload.room.settle('trash', bytes);
        await removals.withdraw({ key, digest, bytes, ended: (claim) => this.#intentEnded(digest, announcement.intent, claim) });
      }
      throw thrown;
    }
  }

  async #rename(publication: Publication): Promise<void> {
    const { files, directories } = this.#parts;
    const { upload, final } = publication;
    try {
      await io('give a file its name', files.rename(upload.path, final));
      publication.isNamed = true;
    } catch (thrown) {
      if (systemCode(thrown) === 'ENOENT') directories.forget(dirname(final)); // the next write makes it again
      // A disk that fails may have done it all the same.
      publication.isNamed = (await files.status(upload.path).catch(() => undefined)) === undefined;
      throw thrown;
    }
  }

  async #commit(publication: Publication, { claim, intent }: Announcement): Promise<void> {
    const { history } = this.#parts;
    const { appended, durable } = history.commit(claim, publication.upload.digest, intent.sequence, ({ kind }) => {
      if (kind === 'durable') this.#enter(publication, appended, intent);
    });
    await durable;
  }

  #enter({ upload, key }: Publication, { segment, offset, sequence }: Appended, intent: Appended): void {
    const { entries, intents, nowS, sieve } = this.#parts;
    const { sizeBytes } = upload.digest;
    entries.put(entries.blobs, key, { segment, offset, sizeBytes, usedAtS: nowS(), sequence, isFile: true, isPointer: false, isVerified: true });
    sieve.append(key.words[0] ?? 0, key.words[1] ?? 0);
    upload.room.settle('files', allocatedBytes(sizeBytes));
    intents.end(intent.sequence);
  }

  #isPresent(key: KeyWords): boolean {
    const { entries, touch } = this.#parts;
    const slot = entries.blobs.find(key);
    if (slot !== -1) touch(slot);
    return slot !== -1;
  }

  #intentEnded(digest: Digest, intent: Appended, claim: RoomClaim): void {
    this.#parts.history.ended(claim, digest, intent.sequence);
    this.#parts.intents.end(intent.sequence);
  }

  async #drop({ digest, path, room }: WholeUpload): Promise<void> {
    const bytes = allocatedBytes(digest.sizeBytes);
    room.settle('trash', bytes);
    await this.#parts.trash.drop({ path, allocatedBytes: bytes, unread: () => Promise.resolve() });
  }
}

/** Both have settled by then: what failed alone must not pull the file away from under the other. */
async function both(first: Promise<unknown>, second: Promise<unknown>): Promise<void> {
  for (const outcome of await Promise.allSettled([first, second])) if (outcome.status === 'rejected') throw outcome.reason;
}
