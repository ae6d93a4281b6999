// Which files there are, what they take on disk, and in which order they were used. Memory only, no I/O.
import { assert } from '../base/assert.ts';
import { allocatedBytes } from './allocated-bytes.ts';
import { partsOf } from './object-layout.ts';
import type { FileKey } from './object-layout.ts';
import { RecencyList } from './recency-list.ts';
import type { RecencyLinks } from './recency-list.ts';

/** File systems give out space in blocks; a small file takes a whole one. */
const blockBytes = 4096;

/**
 * A result goes before the blobs it needs, which were put or found present at most this long before it was
 * used: the time between the upload of an action's outputs and that of its result. Blobs used since stay.
 */
const actionResultHeadStartMs = 60_000;

/** The blocks that fit into so many bytes, in bytes. */
export function wholeBlocks(bytes: number): number {
  return Math.floor(bytes / blockBytes) * blockBytes;
}

type Kind = 'action_result' | 'opaque' | 'blob';

/** One complete file. Made by the index only; a replaced file is another object. */
export interface StoredFile extends RecencyLinks<StoredFile> {
  readonly key: FileKey;
  /** Of the key. */
  readonly kind: Kind;
  readonly contentBytes: number;
  /** The content was checked against its name since this process started. */
  verified: boolean;
  lastUsedMs: number;
  /** The last use that a restart will know of. */
  loggedMs: number;
}

export class FileTable {
  readonly #files = new Map<FileKey, StoredFile>();
  /** In the order of leaving when the age is equal. */
  readonly #orders: Readonly<Record<Kind, RecencyList<StoredFile>>> = {
    action_result: new RecencyList(),
    opaque: new RecencyList(),
    blob: new RecencyList(),
  };
  #usedBytes = 0;
  #blobCount = 0;

  /** Allocated on disk by all files, in bytes. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  get count(): number {
    return this.#files.size;
  }

  /** Those of `count` that are blobs; the others are values. */
  get blobCount(): number {
    return this.#blobCount;
  }

  /** When the file that was used longest ago was used; undefined when there is none. */
  get oldestUseMs(): number | undefined {
    let oldestMs: number | undefined;
    for (const { oldest } of Object.values(this.#orders)) {
      if (oldest !== undefined && !(oldest.lastUsedMs >= (oldestMs ?? Infinity))) oldestMs = oldest.lastUsedMs;
    }
    return oldestMs;
  }

  /** Not a use. */
  get(key: FileKey): StoredFile | undefined {
    return this.#files.get(key);
  }

  /** Enters a file as the one used last; files must be entered in the order of their last use. Replaces the one of that key. */
  add(key: FileKey, contentBytes: number, state: { readonly verified: boolean; readonly lastUsedMs: number }): StoredFile {
    const before = this.#files.get(key);
    if (before !== undefined) this.remove(before);
    const file: StoredFile = { key, kind: partsOf(key).kind, contentBytes, ...state, loggedMs: state.lastUsedMs, older: undefined, newer: undefined };
    this.#files.set(key, file);
    this.#order(file).append(file);
    this.#usedBytes += allocatedBytes(contentBytes);
    if (this.#isBlob(file)) this.#blobCount += 1;
    return file;
  }

  remove(file: StoredFile): void {
    assert(this.#files.get(file.key) === file, 'only a file of the index is removed from it');
    this.#files.delete(file.key);
    this.#order(file).remove(file);
    this.#usedBytes -= allocatedBytes(file.contentBytes);
    if (this.#isBlob(file)) this.#blobCount -= 1;
  }

  touch(file: StoredFile, nowMs: number): void {
    if (this.#files.get(file.key) !== file) return; // replaced or gone while it was being read
    file.lastUsedMs = nowMs;
    const order = this.#order(file);
    order.remove(file);
    order.append(file);
  }

  /** The file to go next, leaving out those that are in use; undefined when none may go. */
  victim(inUse: (key: FileKey) => boolean): StoredFile | undefined {
    let chosen: StoredFile | undefined;
    let chosenMs = Infinity;
    for (const [kind, order] of Object.entries(this.#orders)) {
      const headStartMs = kind === 'action_result' ? actionResultHeadStartMs : 0;
      for (let file = order.oldest; file !== undefined; file = file.newer) {
        if (inUse(file.key)) continue;
        const agedMs = file.lastUsedMs - headStartMs;
        if (agedMs < chosenMs) [chosen, chosenMs] = [file, agedMs];
        break;
      }
    }
    return chosen;
  }

  /** Every file, in no order that means anything. */
  all(): IterableIterator<StoredFile> {
    return this.#files.values();
  }

  #isBlob(file: StoredFile): boolean {
    return file.kind === 'blob';
  }

  #order(file: StoredFile): RecencyList<StoredFile> {
    return this.#orders[file.kind];
  }
}
