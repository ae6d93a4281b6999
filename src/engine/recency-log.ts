// Remembers on disk when files were used, so that a restart evicts in the same order. A hint: it may be late,
// short or gone, and nothing but the order of eviction suffers.
import { join } from 'node:path';
import { assert } from '../base/assert.ts';
import type { FileHandle, FileSystem } from '../base/file-system.ts';
import type { Log } from '../base/log.ts';
import type { FileTable, StoredFile } from './file-table.ts';
import type { FileKey } from './object-layout.ts';
import { batchRecordsMax, encodeBatch, recencyHeader, readRecencyLog } from './recency-format.ts';
import { io } from './storage-error.ts';

/** A file used all the time is written down this often; the order is right to within this after a kill. */
const grainMs = 5_000;
/** A log below this is not worth rewriting. */
const compactionBytesMin = 1 << 20;

/**
 * Appends batches of uses to the newest file of its directory, without syncing: the page cache survives a kill,
 * and after a power cut the files' own times are order enough. Not the modification times: a write to each
 * used inode costs more than a record in one file, and a stored file is not to change (K1-16).
 */
export class RecencyLog {
  readonly #files: FileSystem;
  readonly #directory: string;
  readonly #index: FileTable;
  readonly #log: Log;
  /** Used since they were last written down. Files of the index, so bounded by it. */
  readonly #unwritten = new Set<StoredFile>();
  #current: FileHandle | undefined;
  #generation: number;
  #writtenBytes = 0;
  #compactAtBytes = compactionBytesMin;

  private constructor(files: FileSystem, directory: string, index: FileTable, state: { readonly log: Log; readonly generation: number }) {
    this.#files = files;
    this.#directory = directory;
    this.#index = index;
    this.#log = state.log;
    this.#generation = state.generation;
  }

  /** Begins a new log with the uses that the index knows, and drops the old ones. The directory exists. */
  static async open(files: FileSystem, directory: string, index: FileTable, log: Log): Promise<RecencyLog> {
    const newest = (await generations(files, directory)).at(-1) ?? 0;
    const opened = new RecencyLog(files, directory, index, { log, generation: newest });
    await opened.#rotate();
    return opened;
  }

  /** Notes that the index has a newer time for `file`. */
  noteUse(file: StoredFile): void {
    if (file.lastUsedMs - file.loggedMs >= grainMs) this.#unwritten.add(file);
  }

  get hasUnwritten(): boolean {
    return this.#unwritten.size > 0;
  }

  /** Writes down what was noted. Never throws: a failure is logged, and the next flush begins a new file. */
  async flush(): Promise<void> {
    try {
      const noted = [...this.#unwritten];
      this.#unwritten.clear();
      if (this.#current === undefined || this.#writtenBytes > this.#compactAtBytes) await this.#rotate();
      else await this.#append(noted);
    } catch (thrown) {
      await this.#current?.[Symbol.asyncDispose]();
      this.#current = undefined; // its end may be torn, and nothing after that would be read
      this.#log.warn('the order of use could not be written down; after a restart the cache may evict in another order', { cause: String(thrown) });
    }
  }

  /** Writes down every use, to the millisecond, and closes. Never throws. */
  async close(): Promise<void> {
    for (const file of this.#index.all()) if (file.lastUsedMs > file.loggedMs) this.#unwritten.add(file);
    if (this.#unwritten.size > 0) await this.flush();
    await this.#current?.[Symbol.asyncDispose]();
    this.#current = undefined;
  }

  async #append(used: Iterable<StoredFile>): Promise<void> {
    for (const batch of inBatches(used)) {
      assert(this.#current !== undefined, 'a log is open while it is written');
      const bytes = encodeBatch(batch.map(({ key, lastUsedMs }) => ({ key, usedMs: Math.floor(lastUsedMs) })));
      for (const file of batch) file.loggedMs = file.lastUsedMs;
      await io('write down the order of use', this.#current.write(bytes));
      this.#writtenBytes += bytes.byteLength;
    }
  }

  /** A new file with one use per stored file; the old files go once it is safe. */
  async #rotate(): Promise<void> {
    const before = await generations(this.#files, this.#directory);
    await this.#current?.[Symbol.asyncDispose]();
    this.#generation += 1;
    this.#current = await this.#files.createExclusive(nameOf(this.#directory, this.#generation));
    await this.#current.write(recencyHeader());
    this.#writtenBytes = 0;
    await this.#append(this.#index.all());
    await this.#current.syncData();
    await this.#files.syncDirectory(this.#directory);
    this.#compactAtBytes = Math.max(compactionBytesMin, 2 * this.#writtenBytes);
    for (const generation of before) await this.#files.remove(nameOf(this.#directory, generation));
  }
}

/** The last use of each file as far as logs in `directory` tell. Files may be gone since. @throws the system's errors. */
export async function lastUses(files: FileSystem, directory: string): Promise<ReadonlyMap<FileKey, number>> {
  const lastUsed = new Map<FileKey, number>();
  for (const { name } of (await files.list(directory)) ?? []) {
    if (!isRecencyLogName(name)) continue;
    await using file = await files.openRead(join(directory, name));
    if (file === undefined) continue;
    // The latest wins, in whatever order the files are read: a crash may leave an old one beside its successor.
    for await (const { key, usedMs } of readRecencyLog(file)) lastUsed.set(key, Math.max(usedMs, lastUsed.get(key) ?? 0));
  }
  return lastUsed;
}

/** Whether a file in that directory is a log. */
export function isRecencyLogName(name: string): boolean {
  return /^\d{8}$/.test(name);
}

function* inBatches(files: Iterable<StoredFile>): Generator<readonly StoredFile[], void, undefined> {
  let batch: StoredFile[] = [];
  for (const file of files) {
    if (batch.push(file) < batchRecordsMax) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

function nameOf(directory: string, generation: number): string {
  return join(directory, String(generation).padStart(8, '0'));
}

/** Numbers of the logs in the directory, oldest first. */
async function generations(files: FileSystem, directory: string): Promise<readonly number[]> {
  const names = (await files.list(directory)) ?? [];
  return names.flatMap(({ name }) => (isRecencyLogName(name) ? [Number(name)] : [])).toSorted((a, b) => a - b);
}
