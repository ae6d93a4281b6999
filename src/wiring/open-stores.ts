// The store graph: what keeps blobs and values, and in which order the decorators stand.
import type { ByteBudget } from '../base/byte-budget.ts';
import type { Log } from '../base/log.ts';
import type { LoopTurns } from '../base/loop-turns.ts';
import { noMeter } from '../base/metrics.ts';
import type { Meter } from '../base/metrics.ts';
import { formatByteSize } from '../base/units.ts';
import type { BlobStore } from '../blob/blob-store.ts';
import { EmptyAwareBlobStore } from '../blob/empty-aware-blob-store.ts';
import { FileStore } from '../blob/file-store.ts';
import type { FileStoreOptions, StoreUsage } from '../blob/file-store.ts';
import type { ValueStore } from '../blob/value-store.ts';
import { MeteredFileSystem } from '../engine/metered-file-system.ts';
import { monotonicClock, timers, wallClock } from '../platform/clocks.ts';
import { lockDataDirectory } from '../platform/data-directory-lock.ts';
import type { DataDirectoryLock, LockHolder } from '../platform/data-directory-lock.ts';
import { NodeFileSystem } from '../platform/node-file-system.ts';

export interface StoreOptions {
  /** Absolute. */
  readonly dataDirectory: string;
  /** Undefined: derived from the free disk. */
  readonly maxBytes: number | undefined;
  /** See `FileStoreOptions`. */
  readonly limits: Pick<FileStoreOptions, 'blobBytesMax' | 'valueBytesMax' | 'hotBytesMax' | 'openReadsMax' | 'openWritesMax'>;
}

/** Disposing it closes the stores and gives the directory back. */
export interface OpenStores extends AsyncDisposable {
  readonly blobs: BlobStore;
  readonly values: ValueStore;
  readonly maxBytes: number;
  readonly usedBytes: number;
  readonly usage: StoreUsage;
  /** Replaces the address that a second process is told when it is refused. */
  announce(listen: string): Promise<void>;
}

/**
 * Opens the data directory. `owner` is what a second process is told.
 * @throws CacheError `failed_precondition` or `resource_exhausted` that says what to do.
 */
export async function openStores(options: StoreOptions, owner: LockHolder, { log, meter, turns, budget }: { readonly log: Log; readonly meter: Meter; readonly turns: LoopTurns; readonly budget: ByteBudget }): Promise<OpenStores> {
  const disk = new NodeFileSystem();
  const files = meter === noMeter ? disk : new MeteredFileSystem(disk, meter, monotonicClock);
  let lock: DataDirectoryLock | undefined;
  await using opening = new AsyncDisposableStack();
  const store = opening.use(
    await FileStore.open(
      { ...options.limits, directory: options.dataDirectory, maxBytes: options.maxBytes },
      {
        files,
        // A use is noted with each look-up, and the millisecond does not matter.
        monotonicClock: turns,
        wallClock,
        timers,
        log,
        meter,
        budget,
        lock: async (directory) => (lock = await lockDataDirectory(directory, owner)),
      },
    ),
  );
  const { maxBytes, usedBytes } = store.usage;
  const { freeBytes } = await files.space(options.dataDirectory);
  if (maxBytes - usedBytes > freeBytes) {
    log.warn('the disk will be full before the cache is; lower --max-size, or uploads will fail then', {
      free: formatByteSize(freeBytes),
      used: formatByteSize(usedBytes),
      maxSize: formatByteSize(maxBytes),
    });
  }
  opening.move();
  return {
    // Outermost, so that no store below ever holds or is asked for the empty blob.
    blobs: new EmptyAwareBlobStore(store.blobs),
    values: store.values,
    maxBytes,
    get usedBytes() {
      return store.usage.usedBytes;
    },
    get usage() {
      return store.usage;
    },
    announce: async (listen) => lock?.announce({ ...owner, listen }),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}
