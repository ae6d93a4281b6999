// A decorator that tells a journal where the time of writes goes, and how long reads of large blobs stood in line.
import type { ByteSource } from '../base/byte-source.ts';
import type { CallOptions } from '../base/call-options.ts';
import type { MonotonicClock } from '../base/clock.ts';
import { isPromise } from '../base/maybe-promise.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import type { Digest } from '../digest/digest.ts';
import type { DigestFunction } from '../digest/digest-function.ts';
import type { DigestList } from '../digest/digest-list.ts';
import type { BlobBytes, BlobStore, BlobStoreCapabilities, GetOptions, GetResults, PutResult } from './blob-store.ts';
import { sentBytesOf } from './listed-blob.ts';
import { blobsFields, digestFields } from './operation-fields.ts';
import { steppedOptions } from './stall-reporting-blob-store.ts';
import { StepTiming } from './step-timing.ts';
import type { StoreJournal } from './store-journal.ts';

/** Shorter blobs are nowhere a file, whatever the configuration, and stand in no line to be read. */
const fileBytesLeast = 2 ** 16;

/** Answers that are there at once pass untouched and cost nothing. */
export class TimedBlobStore implements BlobStore {
  readonly capabilities: BlobStoreCapabilities;
  readonly #inner: BlobStore;
  readonly #journal: StoreJournal;
  readonly #clock: MonotonicClock;

  constructor(inner: BlobStore, journal: StoreJournal, clock: MonotonicClock) {
    this.capabilities = inner.capabilities;
    this.#inner = inner;
    this.#journal = journal;
    this.#clock = clock;
  }

  findMissing(digests: DigestList, options?: CallOptions): MaybePromise<DigestList> {
    return this.#inner.findMissing(digests, options);
  }

  resolve(digestFunction: DigestFunction, hash: string, options?: CallOptions): MaybePromise<Digest | undefined> {
    return this.#inner.resolve(digestFunction, hash, options);
  }

  get(digest: Digest, options?: GetOptions): MaybePromise<ByteSource | undefined> {
    if (digest.sizeBytes < fileBytesLeast) return this.#inner.get(digest, options);
    const timing = new StepTiming(this.#clock);
    const source = this.#inner.get(digest, { range: options?.range, ...steppedOptions(options, timing.enter) });
    return isPromise(source) ? this.#waited(timing, source) : source;
  }

  getMany(digests: DigestList, options?: CallOptions): MaybePromise<GetResults> {
    return this.#inner.getMany(digests, options);
  }

  async #waited(timing: StepTiming, source: Promise<ByteSource | undefined>): Promise<ByteSource | undefined> {
    try {
      return await source;
    } finally {
      const waitedMs = timing.end().get('permit');
      if (waitedMs !== undefined) this.#journal.readWaited(waitedMs);
    }
  }

  async put(digest: Digest, bytes: AsyncIterable<Uint8Array>, options?: CallOptions): Promise<void> {
    const timing = new StepTiming(this.#clock);
    try {
      await this.#inner.put(digest, timing.received(bytes), steppedOptions(options, timing.enter));
    } finally {
      this.#journal.writeEnded(digest.sizeBytes, timing.end(), () => digestFields(digest));
    }
  }

  async putMany(blobs: readonly BlobBytes[], options?: CallOptions): Promise<readonly PutResult[]> {
    const timing = new StepTiming(this.#clock);
    try {
      return await this.#inner.putMany(blobs, steppedOptions(options, timing.enter));
    } finally {
      this.#journal.writeEnded(sizeOf(blobs), timing.end(), () => blobsFields(blobs));
    }
  }
}

function sizeOf(blobs: readonly BlobBytes[]): number {
  let sizeBytes = 0;
  for (const blob of blobs) sizeBytes += sentBytesOf(blob);
  return sizeBytes;
}
