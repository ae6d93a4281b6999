// The bytes of a large body on their way to its file: hashed in passing, written off the loop, and synced as they come, so
// that the last sync has little left to do and small syncs beside it stay short.
import type { CallOptions } from '../base/call-options.ts';
import type { BodyHasher, LogFile } from '../base/log-files.ts';
import type { LargeSyncs } from './large-syncs.ts';
import { io } from './storage-error.ts';

/** What one sync covers: more at once, and small syncs beside it take tens of milliseconds (docs/benchmarks.md). */
const syncBytes = 2 ** 20;
/** Smaller chunks are gathered: a write off the loop costs as much as copying so many. */
const directBytesMin = 2 ** 16;
const gatheredBytesMax = 2 ** 17;

/** For one file and one caller at a time. Once anything has failed, it is not used any more. */
export class BodyWriter {
  readonly #file: LogFile;
  readonly #hasher: BodyHasher;
  readonly #syncs: Pick<LargeSyncs, 'sync'>;
  /** Made when the first small chunk comes. */
  #gather: Buffer | undefined;
  #gatheredBytes = 0;
  /** Where the next write to the file goes. */
  #position: number;
  #unsyncedBytes = 0;
  #lastSync: Promise<void> = Promise.resolve();

  /** @param fromOffset of the first byte that will be written; everything before has gone through `hasher`. */
  constructor(file: LogFile, fromOffset: number, hasher: BodyHasher, syncs: Pick<LargeSyncs, 'sync'>) {
    this.#file = file;
    this.#position = fromOffset;
    this.#hasher = hasher;
    this.#syncs = syncs;
  }

  /** All that was taken, written or not. */
  get endOffset(): number {
    return this.#position + this.#gatheredBytes;
  }

  /** Settles as the sync that was begun last, and all before it. */
  get lastSync(): Promise<void> {
    return this.#lastSync;
  }

  /** Takes bytes in order; they do not change from here on. @throws CacheError `disk_full`, `unavailable`, `cancelled`. */
  async write(bytes: Uint8Array, options?: CallOptions): Promise<void> {
    const hashed = this.#hasher.update(bytes);
    if (hashed !== undefined) await hashed;
    if (bytes.byteLength < directBytesMin) {
      if (this.#gatheredBytes + bytes.byteLength > gatheredBytesMax) await this.flush();
      this.#gather ??= Buffer.allocUnsafeSlow(gatheredBytesMax);
      this.#gather.set(bytes, this.#gatheredBytes);
      this.#gatheredBytes += bytes.byteLength;
    } else {
      await this.flush();
      await this.#write(bytes);
    }
    if (this.#unsyncedBytes >= syncBytes) await this.beginSync(options);
  }

  /** Writes what was gathered. @throws as `write`. */
  async flush(): Promise<void> {
    if (this.#gather === undefined || this.#gatheredBytes === 0) return;
    const gathered = this.#gather.subarray(0, this.#gatheredBytes);
    this.#gatheredBytes = 0;
    await this.#write(gathered);
  }

  /** Asks for a sync of all that was flushed, when the one before is done. @throws as the one before. */
  async beginSync(options?: CallOptions): Promise<void> {
    if (this.#unsyncedBytes === 0) return;
    await this.#lastSync;
    const bytes = this.#unsyncedBytes;
    this.#unsyncedBytes = 0;
    this.#lastSync = this.#syncs.sync(this.#file, bytes, options);
    this.#lastSync.catch(() => undefined); // whoever comes next gets it
  }

  /** All that was taken is durable. @throws as `write`. */
  async durable(options?: CallOptions): Promise<void> {
    await this.flush();
    await this.beginSync(options);
    await this.#lastSync;
  }

  async #write(bytes: Uint8Array): Promise<void> {
    await io('write to the data directory', this.#file.write(bytes, this.#position));
    this.#position += bytes.byteLength;
    this.#unsyncedBytes += bytes.byteLength;
  }
}
