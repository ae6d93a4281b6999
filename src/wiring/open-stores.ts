// The store graph: what keeps blobs and values, and in which order the decorators stand.
import type { ByteBudget } from '../base/byte-budget.ts';
import type { SyncPort } from '../base/log-files.ts';
import type { Log } from '../base/log.ts';
import type { LoopTurns } from '../base/loop-turns.ts';
import { noMeter } from '../base/metrics.ts';
import type { Meter } from '../base/metrics.ts';
import { formatByteSize } from '../base/units.ts';
import type { BlobStore } from '../blob/blob-store.ts';
import { EmptyAwareBlobStore } from '../blob/empty-aware-blob-store.ts';
import { EngineStore } from '../blob/engine-store.ts';
import type { EngineStoreOptions } from '../blob/segment-store-options.ts';
import type { ValueStore } from '../blob/value-store.ts';
import { DiskMetrics } from '../engine/disk-metrics.ts';
import { MeteredLogFileSystem, MeteredSyncs } from '../engine/metered-log-files.ts';
import type { StoreUsage } from '../engine/store-usage.ts';
import { monotonicClock, nextTurn, timers, wallClock } from '../platform/clocks.ts';
import { lockDataDirectory } from '../platform/data-directory-lock.ts';
import type { DataDirectoryLock, LockHolder } from '../platform/data-directory-lock.ts';
import { NodeLogFileSystem } from '../platform/node-log-files.ts';
import { availableCores, availableMemoryBytes } from '../platform/process-load.ts';
import { systemRandom } from '../platform/random.ts';
import { SyncThread } from '../platform/sync-thread.ts';
import { openHashes } from './hashes.ts';
import { ThreadHintScans } from './scans.ts';

export interface StoreOptions {
  /** Absolute. */
  readonly dataDirectory: string;
  /** Undefined: derived from the free disk. */
  readonly maxBytes: number | undefined;
  /** See `EngineStoreOptions`. */
  readonly limits: Pick<EngineStoreOptions, 'blobBytesMax' | 'valueBytesMax' | 'hotBytesMax' | 'openReadsMax' | 'openWritesMax'>;
  readonly store: Pick<EngineStoreOptions, 'durability' | 'leaseMs' | 'leases' | 'lowWatermarkShare' | 'ageMaxMs' | 'countMax' | 'smallBytesMax' | 'diskFloorBytes'>;
}

/** Large bodies that are hashed on threads at the same time: each takes a MiB. */
const hashedAtOnceMax = 32;
/** Of the memory that is free at the start, what the system may be expected to keep files in. */
const pageCacheShare = 0.5;

export interface StoreSurroundings {
  readonly log: Log;
  readonly meter: Meter;
  readonly turns: LoopTurns;
  readonly budget: ByteBudget;
  /** Of `startSyncs`. */
  readonly syncs: SyncThread;
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

/** The thread of small syncs: a start that has it come up before it opens the data directory need not wait for it there. */
export function startSyncs(): SyncThread {
  return new SyncThread('kiln syncs');
}

/**
 * Opens the data directory. `owner` is what a second process is told; `syncs` is closed with the stores.
 * @throws CacheError `failed_precondition` or `resource_exhausted` that says what to do.
 */
export async function openStores(options: StoreOptions, owner: LockHolder, { log, meter, turns, budget, syncs }: StoreSurroundings): Promise<OpenStores> {
  const disk = meter === noMeter ? undefined : new DiskMetrics(meter, monotonicClock);
  const files = disk === undefined ? new NodeLogFileSystem() : new MeteredLogFileSystem(new NodeLogFileSystem(), disk);
  const metered = (thread: SyncThread): SyncPort => (disk === undefined ? thread : new MeteredSyncs(thread, disk));
  let lock: DataDirectoryLock | undefined;
  await using opening = new AsyncDisposableStack();
  // Small syncs never stand behind large ones.
  const smallSyncs = opening.use(metered(syncs));
  const largeSyncs = opening.use(metered(new SyncThread('kiln large syncs', { whenAsked: true })));
  const hashes = opening.use(openHashes({ threadsMax: Math.max(1, availableCores() - 1), ringsMax: hashedAtOnceMax }));
  const scans = opening.use(new ThreadHintScans());
  const store = opening.use(
    await EngineStore.open(
      { ...options.limits, ...options.store, directory: options.dataDirectory, maxBytes: options.maxBytes, pageCacheBytes: Math.floor(availableMemoryBytes() * pageCacheShare) },
      {
        files,
        smallSyncs,
        largeSyncs,
        hashes,
        scans,
        monotonicClock,
        // A use is noted with each look-up, and the millisecond does not matter.
        turnClock: turns,
        wallClock,
        timers,
        random: systemRandom,
        nextTurn,
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
  const opened = opening.move();
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
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  };
}
