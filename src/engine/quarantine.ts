// Where files go whose bytes are not what their name says: kept for whoever wants to find out why, never served.
import { join } from 'node:path';
import type { FileSystem } from '../base/file-system.ts';
import type { DurableDirectories } from './durable-directories.ts';
import { allocatedBytes } from './file-table.ts';
import type { FileKey, ObjectLayout } from './object-layout.ts';
import { io } from './storage-error.ts';

/** Counts towards the bound of the store, up to a bound of its own: a dying disk must not fill the cache with ruins. */
export class Quarantine {
  readonly #files: FileSystem;
  readonly #directories: DurableDirectories;
  readonly #layout: ObjectLayout;
  readonly #bytesMax: number;
  /** Allocated bytes by path. */
  readonly #kept = new Map<string, number>();
  #usedBytes = 0;

  private constructor(storage: { readonly files: FileSystem; readonly directories: DurableDirectories }, layout: ObjectLayout, bytesMax: number) {
    this.#files = storage.files;
    this.#directories = storage.directories;
    this.#layout = layout;
    this.#bytesMax = bytesMax;
  }

  /** Counts what earlier runs put there; the oldest go if the bound is lower now. */
  static async open(
    storage: { readonly files: FileSystem; readonly directories: DurableDirectories },
    layout: ObjectLayout,
    limits: { readonly bytesMax: number },
  ): Promise<Quarantine> {
    const opened = new Quarantine(storage, layout, limits.bytesMax);
    const found: { readonly path: string; readonly bytes: number; readonly modifiedMs: number }[] = [];
    for (const { name } of (await storage.files.list(layout.quarantine)) ?? []) {
      const path = join(layout.quarantine, name);
      const status = await storage.files.status(path);
      if (status !== undefined) found.push({ path, bytes: allocatedBytes(status.sizeBytes), modifiedMs: status.modifiedMs });
    }
    for (const { path, bytes } of found.toSorted((a, b) => b.modifiedMs - a.modifiedMs)) {
      if (opened.#usedBytes + bytes <= limits.bytesMax) opened.#count(path, bytes);
      else await storage.files.remove(path);
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

  /** Moves the file of `key` here, or deletes it when there is no room for it. @throws CacheError `unavailable`. */
  async take(key: FileKey, contentBytes: number): Promise<'kept' | 'deleted'> {
    const from = this.#layout.final(key);
    const to = this.#layout.quarantined(key);
    const bytes = allocatedBytes(contentBytes);
    if (this.#usedBytes - (this.#kept.get(to) ?? 0) + bytes > this.#bytesMax) {
      await io('delete a corrupt file', this.#files.remove(from));
      return 'deleted';
    }
    const beforeBytes = this.#kept.get(to);
    this.#count(to, bytes); // before anything is waited for: many may come at the same time
    try {
      await this.#directories.ensure(this.#layout.quarantine);
      await io('move a corrupt file to quarantine', this.#files.rename(from, to));
      return 'kept';
    } catch (thrown) {
      this.#count(to, beforeBytes ?? 0);
      if (beforeBytes === undefined) this.#kept.delete(to);
      throw thrown;
    }
  }

  #count(path: string, bytes: number): void {
    this.#usedBytes += bytes - (this.#kept.get(path) ?? 0);
    this.#kept.set(path, bytes);
  }
}
