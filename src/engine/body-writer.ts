// The bytes of a large body on their way to its file: hashed in passing, written off the loop in large pieces while the next
// one comes, and synced as they come, so that the last sync has little left to do and small syncs beside it stay short.
import type { CallOptions } from '../base/call-options.ts';
import type { BodyHasher, LogFile } from '../base/log-files.ts';
import type { LargeSyncs } from './large-syncs.ts';
import type { PieceMemory } from './piece-memory.ts';
import { io } from './storage-error.ts';

/** What one sync covers: more at once, and small syncs beside it take tens of milliseconds (docs/benchmarks.md). */
const syncBytes = 2 ** 20;

export interface BodyWriterParts {
  /** Everything before the first byte that will be written has gone through it. */
  readonly hasher: BodyHasher;
  readonly syncs: Pick<LargeSyncs, 'sync'>;
  readonly memory: PieceMemory;
}

/** For one file and one caller at a time. Once anything has failed, it is not used any more but for `end`. */
export class BodyWriter {
  readonly #file: LogFile;
  readonly #parts: BodyWriterParts;
  /** What is being gathered. */
  #piece: Buffer | undefined;
  #gatheredBytes = 0;
  /** Where the next write to the file goes. */
  #position: number;
  /** The latest; one at a time. */
  #lastWrite: Promise<void> = Promise.resolve();
  /** Written. */
  #unsyncedBytes = 0;
  #lastSync: Promise<void> = Promise.resolve();

  /** @param fromOffset of the first byte that will be written. */
  constructor(file: LogFile, fromOffset: number, parts: BodyWriterParts) {
    this.#file = file;
    this.#position = fromOffset;
    this.#parts = parts;
  }

  /** All that was taken, written or not. */
  get endOffset(): number {
    return this.#position + this.#gatheredBytes;
  }

  /** Settles as the sync that was begun last, and all before it. */
  get lastSync(): Promise<void> {
    return this.#lastSync;
  }

  /** Takes bytes in order; they may change once it resolves. @throws CacheError `disk_full`, `unavailable`, `cancelled`. */
  async write(bytes: Uint8Array, options?: CallOptions): Promise<void> {
    const { hasher, memory } = this.#parts;
    const hashed = hasher.update(bytes);
    if (hashed !== undefined) await hashed;
    for (let at = 0; at < bytes.byteLength; ) {
      const piece = (this.#piece ??= memory.take());
      const count = Math.min(bytes.byteLength - at, piece.byteLength - this.#gatheredBytes);
      piece.set(bytes.subarray(at, at + count), this.#gatheredBytes);
      at += count;
      this.#gatheredBytes += count;
      if (this.#gatheredBytes === piece.byteLength) await this.#endPiece(options);
    }
  }

  /** Writes what was gathered. @throws as `write`. */
  async flush(): Promise<void> {
    await this.#lastWrite;
    this.#beginWrite();
    await this.#lastWrite;
  }

  /** Asks for a sync of all that was flushed, when the one before is done. @throws as the one before. */
  async beginSync(options?: CallOptions): Promise<void> {
    if (this.#unsyncedBytes === 0) return;
    await this.#lastSync;
    const bytes = this.#unsyncedBytes;
    this.#unsyncedBytes = 0;
    this.#lastSync = this.#parts.syncs.sync(this.#file, bytes, options);
    this.#lastSync.catch(() => undefined); // whoever comes next gets it
  }

  /** All that was taken is durable. @throws as `write`. */
  async durable(options?: CallOptions): Promise<void> {
    await this.flush();
    await this.beginSync(options);
    await this.#lastSync;
  }

  /** Forgets what is not being written, and waits for what is under way: the file may be closed then. Never rejects; once or more often. */
  async end(): Promise<void> {
    if (this.#piece !== undefined) this.#parts.memory.giveBack(this.#piece);
    [this.#piece, this.#gatheredBytes] = [undefined, 0];
    await Promise.allSettled([this.#lastWrite, this.#lastSync]);
  }

  /** A full one goes off, once the one before is written: there are two of a body in memory at most. */
  async #endPiece(options: CallOptions | undefined): Promise<void> {
    await this.#lastWrite;
    if (this.#unsyncedBytes >= syncBytes) await this.beginSync(options);
    this.#beginWrite();
    if (this.#parts.memory.isFull) await this.#lastWrite;
  }

  /** The one before is done. */
  #beginWrite(): void {
    if (this.#piece === undefined) return;
    this.#lastWrite = this.#write(this.#piece, this.#gatheredBytes, this.#position);
    this.#lastWrite.catch(() => undefined); // whoever comes next gets it
    this.#position += this.#gatheredBytes;
    [this.#piece, this.#gatheredBytes] = [undefined, 0];
  }

  async #write(piece: Buffer, bytes: number, position: number): Promise<void> {
    try {
      await io('write to the data directory', this.#file.write(piece.subarray(0, bytes), position));
      this.#unsyncedBytes += bytes;
    } finally {
      this.#parts.memory.giveBack(piece);
    }
  }
}
