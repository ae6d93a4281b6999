// Where bytes go that are not what they should be: kept for whoever wants to find out why, never served.
import { dirname, join } from 'node:path';
import type { FileSystem } from '../base/file-system.ts';
import { allocatedBytes } from './allocated-bytes.ts';
import type { DurableDirectories } from './durable-directories.ts';
import type { SpaceLedger } from './space-ledger.ts';
import { io, systemCode } from './storage-error.ts';

export interface QuarantineStorage {
  readonly files: FileSystem;
  readonly directories: DurableDirectories;
  /** Told of what is here, if given. */
  readonly ledger?: SpaceLedger;
}

/** `full`: there is no room for it here, and it is where it was. `absent`: there was no such file. */
export type QuarantineOutcome = 'kept' | 'full' | 'absent';

/** Counts towards the bound of the store, up to a bound of its own: a dying disk must not fill the cache with ruins. */
export class Quarantine {
  readonly #storage: QuarantineStorage;
  readonly #directory: string;
  readonly #bytesMax: number;
  /** Allocated bytes by name. */
  readonly #kept = new Map<string, number>();
  #usedBytes = 0;

  private constructor(storage: QuarantineStorage, directory: string, bytesMax: number) {
    this.#storage = storage;
    this.#directory = directory;
    this.#bytesMax = bytesMax;
  }

  /** Counts what earlier runs put into `directory`; the oldest go if the bound is lower now. */
  static async open(storage: QuarantineStorage, directory: string, limits: { readonly bytesMax: number }): Promise<Quarantine> {
    const opened = new Quarantine(storage, directory, limits.bytesMax);
    const found: { readonly name: string; readonly bytes: number; readonly modifiedMs: number }[] = [];
    for (const { name, kind } of (await storage.files.list(directory)) ?? []) {
      if (kind !== 'file') continue; // somebody else's, and nothing that could be removed
      const status = await storage.files.status(join(directory, name));
      if (status !== undefined) found.push({ name, bytes: allocatedBytes(status.sizeBytes), modifiedMs: status.modifiedMs });
    }
    for (const { name, bytes } of found.toSorted((a, b) => b.modifiedMs - a.modifiedMs)) {
      if (opened.#usedBytes + bytes <= limits.bytesMax) opened.#count(name, bytes);
      else await storage.files.remove(join(directory, name));
    }
    return opened;
  }

  /** Allocated on disk, in bytes. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  get count(): number {
    return this.#kept.size;
  }

  /**
   * The file becomes `name` here, in place of an earlier one of that name. Its new name may be lost in a power cut; that it
   * has left its old one is durable when this resolves to `kept`.
   * @throws CacheError `unavailable`.
   */
  async takeFile(path: string, name: string, contentBytes: number): Promise<QuarantineOutcome> {
    const { files, directories } = this.#storage;
    const undo = this.#tryCount(name, allocatedBytes(contentBytes));
    if (undo === undefined) return 'full';
    try {
      await directories.ensure(this.#directory);
      await io('move a corrupt file to quarantine', files.rename(path, join(this.#directory, name)));
      // A power cut may have left the file both names, and then a rename leaves it both again (POSIX).
      await io('move a corrupt file to quarantine', files.remove(path));
    } catch (thrown) {
      undo();
      if (systemCode(thrown) === 'ENOENT' && (await io('look for a corrupt file', files.status(path))) === undefined) return 'absent';
      throw thrown;
    }
    await directories.sync(dirname(path));
    return 'kept';
  }

  /** As `takeFile`; the file is deleted when there is no room for it. @throws CacheError `unavailable`. */
  async take(path: string, name: string, contentBytes: number): Promise<'kept' | 'deleted'> {
    if ((await this.takeFile(path, name, contentBytes)) === 'kept') return 'kept';
    await io('delete a corrupt file', this.#storage.files.remove(path));
    return 'deleted';
  }

  /** A copy of `bytes` as `name`. False: one of that name is here already, or there is no room. @throws CacheError `unavailable`, `disk_full`. */
  async keep(name: string, bytes: Uint8Array): Promise<boolean> {
    const { files, directories } = this.#storage;
    const path = join(this.#directory, name);
    if (this.#kept.has(name)) return false;
    const undo = this.#tryCount(name, allocatedBytes(bytes.byteLength));
    if (undo === undefined) return false;
    try {
      await directories.ensure(this.#directory);
      await using file = await io('write to quarantine', files.createExclusive(path));
      await io('write to quarantine', file.write(bytes));
    } catch (thrown) {
      undo();
      await files.discard(path);
      throw thrown;
    }
    return true;
  }

  /** Before anything is waited for, since many may come at the same time. Undefined: there is no room. */
  #tryCount(name: string, bytes: number): (() => void) | undefined {
    const beforeBytes = this.#kept.get(name);
    if (this.#usedBytes - (beforeBytes ?? 0) + bytes > this.#bytesMax) return undefined;
    this.#count(name, bytes);
    return () => {
      this.#count(name, beforeBytes ?? 0);
      if (beforeBytes === undefined) this.#kept.delete(name);
    };
  }

  #count(name: string, bytes: number): void {
    const beforeBytes = this.#kept.get(name) ?? 0;
    this.#usedBytes += bytes - beforeBytes;
    this.#kept.set(name, bytes);
    this.#storage.ledger?.remove('quarantine', beforeBytes);
    this.#storage.ledger?.place('quarantine', bytes);
  }
}
