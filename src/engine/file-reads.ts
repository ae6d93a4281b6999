// Opening large files to read or to link them. What is not there as the index says is found out here, and taken out of it.
import type { CallOptions } from '../base/call-options.ts';
import type { FileHandle, FileSystem } from '../base/file-system.ts';
import type { Log } from '../base/log.ts';
import { Semaphore } from '../base/semaphore.ts';
import type { Digest } from '../digest/digest.ts';
import type { Slot } from './blob-index.ts';
import type { OpenFile } from './file-byte-source.ts';
import type { FileRemovals } from './file-removals.ts';
import { fileKeyName } from './file-uses.ts';
import type { FileUses } from './file-uses.ts';
import { KeyWords, blobTag } from './key-words.ts';
import type { LiveEntries } from './live-entries.ts';
import type { ObjectLayout } from './object-layout.ts';
import { io } from './storage-error.ts';

export interface FileReadParts {
  readonly files: FileSystem;
  readonly entries: LiveEntries;
  readonly uses: FileUses;
  readonly removals: FileRemovals;
  readonly layout: ObjectLayout;
  readonly touch: (slot: Slot) => void;
  readonly log: Log;
}

export interface FileReadLimits {
  readonly openMax: number;
  /** Calls in line for one of them. */
  readonly waitersMax: number;
}

/** A name that may be linked to. Eviction leaves it until this is disposed; only a file that is found corrupt goes all the same. */
export interface HeldPath extends Disposable {
  readonly path: string;
}

/** What is looked for. */
interface Sought {
  readonly digest: Digest;
  readonly key: KeyWords;
  readonly path: string;
}

/** An entry as it was found: another place is another file, or its commit was moved. */
interface Found {
  readonly segment: number;
  readonly offset: number;
  readonly sizeBytes: number;
  readonly isVerified: boolean;
}

export class FileReads {
  readonly #parts: FileReadParts;
  readonly #permits: Semaphore;
  #wrongCount = 0;

  constructor(parts: FileReadParts, limits: FileReadLimits) {
    this.#parts = parts;
    this.#permits = new Semaphore('open files to read', { permitsMax: limits.openMax, waitersMax: limits.waitersMax });
  }

  /** `wrongCount`: files that did not have their length, so far. */
  get usage(): { readonly openReads: number; readonly openReadsMax: number; readonly waitingReads: number; readonly wrongCount: number } {
    return { openReads: this.#permits.givenOut, openReadsMax: this.#permits.permitsMax, waitingReads: this.#permits.waiting, wrongCount: this.#wrongCount };
  }

  /**
   * Undefined: absent, or gone behind our back. What is open stays readable whatever happens to the name.
   * @throws CacheError `busy`, `unavailable`, `cancelled`.
   */
  async openRead(digest: Digest, options?: CallOptions): Promise<OpenFile | undefined> {
    const sought = this.#sought(digest);
    if (this.#find(sought.key) === undefined) return undefined; // nobody stands in line for what is not there
    options?.onStep?.('permit');
    const permit = await this.#permits.acquire(options);
    options?.onStep?.('open');
    try {
      const opened = await this.#open(sought);
      if (opened === undefined) permit[Symbol.dispose]();
      return opened && asOpenFile(opened.handle, [opened.use, permit]);
    } catch (thrown) {
      permit[Symbol.dispose]();
      throw thrown;
    }
  }

  /** For links, by this process or another one. Undefined: absent. Its bytes are as right as the index knows. */
  pathOf(digest: Digest): HeldPath | undefined {
    const { key, path } = this.#sought(digest);
    if (this.#find(key) === undefined) return undefined;
    const { entries, uses, touch } = this.#parts;
    touch(entries.blobs.find(key));
    const use = uses.holdPath(fileKeyName(key));
    return { path, [Symbol.dispose]: () => use[Symbol.dispose]() };
  }

  /** Until it is known whether there is a file, or another one has come into its place. */
  async #open(sought: Sought): Promise<{ readonly handle: FileHandle; readonly use: Disposable } | undefined> {
    const { files, uses } = this.#parts;
    for (;;) {
      const found = this.#find(sought.key);
      if (found === undefined) return undefined;
      // In the turn of the look-up: from here on nobody makes the file shorter that will be opened.
      const use = uses.open(fileKeyName(sought.key));
      let handle: FileHandle | undefined;
      let lengthBytes: number | undefined;
      try {
        handle = await io('open a stored file', files.openRead(sought.path));
        if (handle !== undefined) lengthBytes = found.isVerified ? found.sizeBytes : ((await io('look at a stored file', files.status(sought.path)))?.sizeBytes ?? found.sizeBytes);
        if (handle !== undefined && lengthBytes === found.sizeBytes) return { handle, use };
      } catch (thrown) {
        await handle?.[Symbol.asyncDispose]();
        use[Symbol.dispose]();
        throw thrown;
      }
      await handle?.[Symbol.asyncDispose]();
      use[Symbol.dispose]();
      // Whoever is told that it is absent puts it anew, and must not find it then.
      if (this.#isAt(sought.key, found)) await this.#giveUp(sought, found, lengthBytes);
    }
  }

  /** The file is not what its commit says; undefined: there is none. */
  async #giveUp({ digest, key }: Sought, found: Found, lengthBytes: number | undefined): Promise<void> {
    const { removals, log } = this.#parts;
    const blob = digest.toString();
    if (lengthBytes !== undefined) this.#wrongCount += 1;
    if (lengthBytes === undefined) log.warn('a stored file was removed by somebody else; it counts as absent', { blob });
    else log.error('a stored file does not have its length; it goes to quarantine and counts as absent', undefined, { blob, lengthBytes });
    try {
      await removals.remove({ key, digest, reason: lengthBytes === undefined ? 'lost' : 'corrupt', mayGo: () => this.#isAt(key, found) });
    } catch (thrown) {
      log.error('a stored file that is wrong could not be removed', thrown, { blob });
      if (this.#isAt(key, found)) throw thrown;
    }
  }

  #isAt(key: KeyWords, { segment, offset }: Found): boolean {
    const now = this.#find(key);
    return now !== undefined && now.segment === segment && now.offset === offset;
  }

  #find(key: KeyWords): Found | undefined {
    const { blobs } = this.#parts.entries;
    const slot = blobs.find(key);
    if (slot === -1 || !blobs.isFile(slot)) return undefined;
    return { segment: blobs.segmentOf(slot), offset: blobs.offsetOf(slot), sizeBytes: blobs.sizeOf(slot), isVerified: blobs.isVerified(slot) };
  }

  #sought(digest: Digest): Sought {
    const key = new KeyWords();
    key.setHash(blobTag(digest.function.wireValue), digest.hash);
    return { digest, key, path: this.#parts.layout.final(digest.key) };
  }
}

function asOpenFile(handle: FileHandle, held: readonly Disposable[]): OpenFile {
  return {
    read: (into, offset) => io('read a stored file', handle.read(into, offset)),
    async [Symbol.asyncDispose]() {
      try {
        await io('close a stored file', Promise.resolve(handle[Symbol.asyncDispose]()));
      } finally {
        for (const one of held) one[Symbol.dispose](); // a sick disk must not take one permit after the other with it
      }
    },
  };
}
