// The open files of segments, for reading: a bounded number stays open, and none is closed or given away while somebody uses
// it. Who writes a segment has a handle of its own.
import { join } from 'node:path';
import { assert } from '../base/assert.ts';
import { CacheError } from '../base/cache-error.ts';
import type { LogFile, LogFileSystem } from '../base/log-files.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import { segmentFileName } from './segment-format.ts';
import type { SegmentRow, SegmentTable } from './segment-table.ts';
import { io } from './storage-error.ts';

export interface SegmentHandlesOptions {
  /** `segments/` of the data directory. */
  readonly directory: string;
  /** Files that stay open while nobody uses them, the one that was used longest ago going first. */
  readonly openFilesMax: number;
}

/** The file of a segment. It stays open, and the segment is not given away, until this is disposed. */
export interface OpenSegment extends Disposable {
  readonly row: SegmentRow;
  readonly file: LogFile;
}

interface Handle {
  readonly row: SegmentRow;
  file: LogFile | undefined;
  opening: Promise<LogFile> | undefined;
  /** Counts uses of all handles. */
  usedAt: number;
}

export class SegmentHandles implements AsyncDisposable {
  readonly #files: Pick<LogFileSystem, 'openLog'>;
  readonly #table: SegmentTable;
  readonly #options: SegmentHandlesOptions;
  /** By ordinal. Files in use may be more than `openFilesMax`: who uses them is bounded elsewhere. */
  readonly #handles = new Map<number, Handle>();
  readonly #closing = new Set<Promise<void>>();
  #uses = 0;
  /** Given out by `open` and not disposed. */
  #lent = 0;
  #end: { readonly unused: PromiseWithResolvers<void> } | undefined;

  constructor(files: Pick<LogFileSystem, 'openLog'>, table: SegmentTable, options: SegmentHandlesOptions) {
    assert(options.openFilesMax > 0, 'at least one file stays open');
    this.#files = files;
    this.#table = table;
    this.#options = options;
  }

  get openCount(): number {
    return this.#handles.size;
  }

  /** The file, if it is open, for use until the next wait. */
  fileNow(ordinal: number): LogFile | undefined {
    const handle = this.#handles.get(ordinal);
    if (handle?.file === undefined) return undefined;
    this.#uses += 1;
    handle.usedAt = this.#uses;
    return handle.file;
  }

  /**
   * The segment counts as being read from the moment of this call.
   * @throws CacheError `unavailable` (the system does not open it, or it is gone), `busy` (no file descriptor is free).
   */
  open(ordinal: number): MaybePromise<OpenSegment> {
    if (this.#end !== undefined) throw new CacheError('unavailable', 'the store is closing');
    this.#table.beginRead(ordinal);
    this.#lent += 1;
    const file = this.fileNow(ordinal);
    return file === undefined ? this.#openLater(this.#table.at(ordinal)) : this.#lend(this.#table.at(ordinal), file);
  }

  /** Closes the file of a segment that nobody reads and that is to be another one. */
  async forget(ordinal: number): Promise<void> {
    const handle = this.#handles.get(ordinal);
    if (handle === undefined) return;
    assert(handle.row.readers === 0, 'a segment is given away when nobody reads it');
    await this.#close(handle);
  }

  /** Waits for all who use a file. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#end ??= { unused: Promise.withResolvers() };
    if (this.#lent > 0) await this.#end.unused.promise;
    for (const handle of [...this.#handles.values()]) void this.#close(handle);
    await Promise.all(this.#closing);
  }

  async #openLater(row: SegmentRow): Promise<OpenSegment> {
    try {
      const handle = this.#handles.get(row.ordinal) ?? this.#newHandle(row);
      const file = await (handle.opening ??= this.#openFile(handle));
      return this.#lend(row, file);
    } catch (thrown) {
      this.#giveBack(row);
      throw thrown;
    }
  }

  #newHandle(row: SegmentRow): Handle {
    const handle: Handle = { row, file: undefined, opening: undefined, usedAt: this.#uses };
    this.#handles.set(row.ordinal, handle);
    return handle;
  }

  async #openFile(handle: Handle): Promise<LogFile> {
    const name = segmentFileName(handle.row.id, handle.row.stream);
    try {
      const file = await io(`open the segment ${name}`, this.#files.openLog(join(this.#options.directory, name), 'read'));
      // Not a miss: all that stands in it would be lost for good, and whoever removed it may bring it back.
      if (file === undefined) throw new CacheError('unavailable', `the segment ${name} is gone from ${this.#options.directory}; bring it back, or start Kiln again without it`);
      handle.file = file;
      this.fileNow(handle.row.ordinal);
      this.#closeSurplus();
      return file;
    } catch (thrown) {
      this.#handles.delete(handle.row.ordinal);
      throw thrown;
    } finally {
      handle.opening = undefined;
    }
  }

  #lend(row: SegmentRow, file: LogFile): OpenSegment {
    let isLent = true;
    return {
      row,
      file,
      [Symbol.dispose]: () => {
        if (!isLent) return;
        isLent = false;
        this.#giveBack(row);
      },
    };
  }

  #giveBack(row: SegmentRow): void {
    this.#table.endRead(row.ordinal);
    this.#lent -= 1;
    if (this.#lent === 0) this.#end?.unused.resolve();
    this.#closeSurplus();
  }

  #closeSurplus(): void {
    while (this.#handles.size > this.#options.openFilesMax) {
      let oldest: Handle | undefined;
      for (const handle of this.#handles.values()) {
        if (handle.row.readers === 0 && handle.usedAt < (oldest?.usedAt ?? Infinity)) oldest = handle;
      }
      if (oldest === undefined) return;
      void this.#close(oldest);
    }
  }

  async #close({ row, file }: Handle): Promise<void> {
    this.#handles.delete(row.ordinal);
    const closing = (async () => file?.[Symbol.asyncDispose]())();
    this.#closing.add(closing);
    try {
      await closing;
    } finally {
      this.#closing.delete(closing);
    }
  }
}
