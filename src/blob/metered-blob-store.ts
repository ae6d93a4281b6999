// A decorator that counts what is written, and how long writes and reads take that did not answer at once.
import type { ByteSource } from '../base/byte-source.ts';
import { CacheError } from '../base/cache-error.ts';
import type { CallOptions } from '../base/call-options.ts';
import type { MonotonicClock } from '../base/clock.ts';
import { isPromise } from '../base/maybe-promise.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import type { Counter, Histogram, Meter, MetricDefinition } from '../base/metrics.ts';
import type { Digest } from '../digest/digest.ts';
import type { DigestFunction } from '../digest/digest-function.ts';
import type { DigestList } from '../digest/digest-list.ts';
import type { BlobBytes, BlobStore, BlobStoreCapabilities, GetOptions, GetResults, PutResult } from './blob-store.ts';
import { sizeOfBlob } from './listed-blob.ts';

const duration: MetricDefinition = {
  name: 'kiln_blob_operation_duration_seconds',
  help: 'Time that operations on blobs took which had to wait: put and put_many to durability, get until bytes may flow. Answers from memory are left out.',
};
const puts: MetricDefinition = { name: 'kiln_blob_puts_total', help: 'Blobs that were put, by outcome: ok includes those that were there.' };
const putBytes: MetricDefinition = { name: 'kiln_blob_put_bytes_total', help: 'Bytes of blobs that were put with outcome ok.' };

type Operation = 'find_missing' | 'get' | 'get_many' | 'put' | 'put_many';

const operations: readonly Operation[] = ['find_missing', 'get', 'get_many', 'put', 'put_many'];

/** Passes everything on. What memory answers costs one look at whether it is a promise. */
export class MeteredBlobStore implements BlobStore {
  readonly capabilities: BlobStoreCapabilities;
  readonly #inner: BlobStore;
  readonly #clock: MonotonicClock;
  readonly #durations: Readonly<Record<Operation, Histogram>>;
  readonly #putOk: Counter;
  readonly #putRefused: Counter;
  readonly #putFailed: Counter;
  readonly #putBytes: Counter;

  constructor(inner: BlobStore, meter: Meter, clock: MonotonicClock) {
    this.capabilities = inner.capabilities;
    this.#inner = inner;
    this.#clock = clock;
    this.#durations = Object.fromEntries(operations.map((operation) => [operation, meter.histogram(duration, { operation })])) as Record<Operation, Histogram>;
    this.#putOk = meter.counter(puts, { outcome: 'ok' });
    this.#putRefused = meter.counter(puts, { outcome: 'refused' });
    this.#putFailed = meter.counter(puts, { outcome: 'failed' });
    this.#putBytes = meter.counter(putBytes);
  }

  findMissing(digests: DigestList, options?: CallOptions): MaybePromise<DigestList> {
    const missing = this.#inner.findMissing(digests, options);
    return isPromise(missing) ? this.#timed('find_missing', missing) : missing;
  }

  resolve(digestFunction: DigestFunction, hash: string, options?: CallOptions): MaybePromise<Digest | undefined> {
    return this.#inner.resolve(digestFunction, hash, options);
  }

  get(digest: Digest, options?: GetOptions): MaybePromise<ByteSource | undefined> {
    const source = this.#inner.get(digest, options);
    return isPromise(source) ? this.#timed('get', source) : source;
  }

  getMany(digests: DigestList, options?: CallOptions): MaybePromise<GetResults> {
    const results = this.#inner.getMany(digests, options);
    return isPromise(results) ? this.#timed('get_many', results) : results;
  }

  async put(digest: Digest, bytes: AsyncIterable<Uint8Array>, options?: CallOptions): Promise<void> {
    try {
      await this.#timed('put', this.#inner.put(digest, bytes, options));
    } catch (thrown) {
      this.#countPut(digest.sizeBytes, CacheError.from(thrown));
      throw thrown;
    }
    this.#countPut(digest.sizeBytes, undefined);
  }

  async putMany(blobs: readonly BlobBytes[], options?: CallOptions): Promise<readonly PutResult[]> {
    const results = await this.#timed('put_many', this.#inner.putMany(blobs, options));
    for (const [index, blob] of blobs.entries()) this.#countPut(sizeOfBlob(blob), results[index]);
    return results;
  }

  #countPut(sizeBytes: number, result: PutResult): void {
    if (result === undefined) {
      this.#putOk.add();
      this.#putBytes.add(sizeBytes);
    } else if (isFault(result)) this.#putFailed.add();
    else this.#putRefused.add();
  }

  async #timed<T>(operation: Operation, work: Promise<T>): Promise<T> {
    const startedAtMs = this.#clock.nowMs();
    try {
      return await work;
    } finally {
      this.#durations[operation].record((this.#clock.nowMs() - startedAtMs) / 1_000);
    }
  }
}

/** What the store, not the caller, has to answer for. */
function isFault({ code }: CacheError): boolean {
  return code === 'internal' || code === 'data_loss' || code === 'unavailable' || code === 'resource_exhausted';
}
