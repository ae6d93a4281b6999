// One data directory of segments, owned: opens it, serves blobs and values from it, and closes it.
import { unboundedByteBudget } from '../base/byte-budget.ts';
import type { DigestKey } from '../digest/digest.ts';
import type { DigestList } from '../digest/digest-list.ts';
import { dataDirectoryError, makeDataDirectory } from '../engine/data-directory.ts';
import { defaultStoreBytes, segmentBytesOf, valueRecordBytesMax } from '../engine/engine-sizes.ts';
import { HotContents } from '../engine/hot-contents.ts';
import { StoreEngine } from '../engine/store-engine.ts';
import type { StoreUsage } from '../engine/store-usage.ts';
import { prepareFormatTwo } from '../engine/take-over.ts';
import type { Uploads } from '../engine/uploads.ts';
import type { BlobStore } from './blob-store.ts';
import { SegmentBlobStore } from './segment-blob-store.ts';
import { engineOptions, storeLimits } from './segment-store-options.ts';
import type { EngineStoreOptions, EngineStorePorts } from './segment-store-options.ts';
import { SegmentValueStore } from './segment-value-store.ts';
import type { ValueStore } from './value-store.ts';
import { WholeFiles } from './whole-files.ts';

/** Of a value that is taken over as a record: so much of what a record may have, and of a segment, so that it fits with its name. */
const takenOverShare = { record: 1 / 2, segment: 1 / 8 } as const;

/** Blobs and values of one data directory under one bound. */
export class EngineStore implements AsyncDisposable {
  readonly blobs: BlobStore;
  readonly values: ValueStore;
  readonly #engine: StoreEngine;
  readonly #hot: HotContents<DigestKey>;
  readonly #lock: AsyncDisposable;
  #closed: Promise<void> | undefined;

  private constructor(engine: StoreEngine, lock: AsyncDisposable, options: EngineStoreOptions, { budget = unboundedByteBudget() }: Pick<EngineStorePorts, 'budget'>) {
    const { leaseMs, durability } = engineOptions(options);
    const { blobBytesMax, valueBytesMax, hotFileBytesMax } = storeLimits(options);
    const survives = durability === 'durable' ? 'power_loss' : 'process_crash';
    this.#engine = engine;
    this.#lock = lock;
    this.#hot = new HotContents(hotFileBytesMax, hotFileBytesMax);
    const files = new WholeFiles(engine, this.#hot);
    this.blobs = new SegmentBlobStore(engine, files, { blobBytesMax, leaseMs, survives }, budget);
    this.values = new SegmentValueStore(engine, files, { valueBytesMax, survives }, budget);
  }

  /**
   * Owns, checks and takes in the directory, which is begun or taken over from the format before where need be, and mends what a
   * crash left. What is above a bound that was lowered goes in the background; puts wait for it.
   * @throws CacheError `failed_precondition` (in use, a file, not ours, of a newer Kiln, read-only, not permitted),
   *   `resource_exhausted` (disk full); each says what to do.
   */
  static async open(options: EngineStoreOptions, ports: EngineStorePorts): Promise<EngineStore> {
    const { directory } = options;
    await using undo = new AsyncDisposableStack();
    try {
      await makeDataDirectory(ports.files, directory);
      const lock = undo.use(await ports.lock(directory));
      const maxBytes = options.maxBytes ?? defaultStoreBytes((await ports.files.space(directory)).freeBytes, 0);
      const segmentBytes = options.segmentBytes ?? segmentBytesOf(maxBytes);
      const valueBytesMax = Math.min(valueRecordBytesMax * takenOverShare.record, segmentBytes * takenOverShare.segment);
      await prepareFormatTwo({ directory, segmentBytes, valueBytesMax }, ports);
      const engine = undo.use(await StoreEngine.open(engineOptions(options), ports));
      const opened = new EngineStore(engine, lock, options, ports);
      undo.move();
      return opened;
    } catch (thrown) {
      throw dataDirectoryError(directory, thrown);
    }
  }

  /** Uploads that may be resumed. */
  get uploads(): Uploads {
    return this.#engine.uploads;
  }

  /**
   * Those of the digests that are there stay until disposed, or for 120 seconds.
   * @throws CacheError `resource_exhausted`: a quarter of the store would be pinned; then none is.
   */
  pin(digests: DigestList): Disposable {
    return this.#engine.pin(digests);
  }

  get usage(): StoreUsage {
    const { usage } = this.#engine;
    return { ...usage, hotBytes: usage.hotBytes + this.#hot.usedBytes, hotBytesMax: usage.hotBytesMax + this.#hot.bytesMax };
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
    await this.#engine.close();
  }
}
