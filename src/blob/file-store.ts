// One data directory, owned: opens it, serves blobs and values from it, and closes it.
import type { ByteBudget } from '../base/byte-budget.ts';
import { dataDirectoryError, makeDataDirectory, prepareDataDirectory } from '../engine/data-directory.ts';
import { StoredFiles } from '../engine/stored-files.ts';
import type { StoredFilesPorts } from '../engine/stored-files.ts';
import type { BlobStore } from './blob-store.ts';
import { FileBlobStore } from './file-blob-store.ts';
import { FileValueStore } from './file-value-store.ts';
import type { ValueStore } from './value-store.ts';

export interface FileStoreOptions {
  /** Absolute. Created if need be. */
  readonly directory: string;
  /** What the directory may take on disk, in bytes. Default: a tenth of what others leave of the disk, at least 1 GiB. */
  readonly maxBytes?: number | undefined;
  /** Largest blob taken. Default: whatever fits. */
  readonly blobBytesMax?: number | undefined;
  /** Largest value taken; a value is held in memory while it is put or read. Default: 64 MiB. */
  readonly valueBytesMax?: number | undefined;
  /** Memory for values and for blobs of up to 1 MiB that were used lately. Default: 128 MiB. */
  readonly hotBytesMax?: number | undefined;
  /** Files open for reading at the same time; more reads wait. Default: 512. */
  readonly openReadsMax?: number | undefined;
  /** Files open for writing at the same time; more writes wait. Default: 256. */
  readonly openWritesMax?: number | undefined;
}

/** See `StoredFiles.usage`. */
export type StoreUsage = StoredFiles['usage'];

export interface FileStorePorts extends StoredFilesPorts {
  /** Takes sole ownership of the directory, until disposed. @throws CacheError `failed_precondition` that names the owner. */
  readonly lock: (directory: string) => Promise<AsyncDisposable>;
  /** Of what is in memory while it is read or written; without a bound, if left out. */
  readonly budget?: ByteBudget | undefined;
}

/** ccache keeps whole compilation results as values; larger ones are rare enough to miss. */
const valueBytesMaxDefault = 64 * 1024 * 1024;
const hotBytesMaxDefault = 128 * 1024 * 1024;
/** Together well below the 1,048,576 descriptors a Linux process may usually have, and the 10,240 of macOS. */
const openReadsMaxDefault = 512;
const openWritesMaxDefault = 256;

/** Blobs and values of one data directory under one bound. */
export class FileStore implements AsyncDisposable {
  readonly blobs: BlobStore;
  readonly values: ValueStore;
  readonly #files: StoredFiles;
  readonly #lock: AsyncDisposable;
  #closed: Promise<void> | undefined;

  private constructor(files: StoredFiles, lock: AsyncDisposable, { budget, ...limits }: { readonly blobBytesMax: number; readonly valueBytesMax: number; readonly budget: ByteBudget | undefined }) {
    this.#files = files;
    this.#lock = lock;
    this.blobs = new FileBlobStore(files, limits, budget);
    this.values = new FileValueStore(files, limits, budget);
  }

  /**
   * Owns, checks and takes in the directory: partial files of dead writers are gone, and no more is kept than allowed.
   * @throws CacheError `failed_precondition` (in use, a file, not ours, read-only, not permitted), `resource_exhausted`
   *   (disk full); each says what to do.
   */
  static async open(options: FileStoreOptions, ports: FileStorePorts): Promise<FileStore> {
    const { directory } = options;
    await using undo = new AsyncDisposableStack();
    try {
      await makeDataDirectory(ports.files, directory);
      const lock = undo.use(await ports.lock(directory));
      await prepareDataDirectory(ports.files, directory);
      const files = await StoredFiles.open(directory, ports, {
        maxBytes: options.maxBytes,
        hotBytesMax: options.hotBytesMax ?? hotBytesMaxDefault,
        openReadsMax: options.openReadsMax ?? openReadsMaxDefault,
        openWritesMax: options.openWritesMax ?? openWritesMaxDefault,
      });
      const opened = new FileStore(files, lock, {
        blobBytesMax: options.blobBytesMax ?? Number.MAX_SAFE_INTEGER,
        valueBytesMax: options.valueBytesMax ?? valueBytesMaxDefault,
        budget: ports.budget,
      });
      undo.move();
      return opened;
    } catch (thrown) {
      throw dataDirectoryError(directory, thrown);
    }
  }

  /** Gauges: bytes as allocated on disk, counts since the start. */
  get usage(): StoreUsage {
    return this.#files.usage;
  }

  /** Refuses new calls, finishes writes, writes down the order of use and lets go of the directory. Idempotent. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    await using _lock = this.#lock; // whatever happens, the next owner must not wait for this process to end
    await this.#files.close();
  }
}
