// A decorator that reports operations of a store that do not come to an end, with digest and size.
import type { ByteSource } from '../base/byte-source.ts';
import type { CallOptions } from '../base/call-options.ts';
import type { LogFields } from '../base/log.ts';
import { isPromise } from '../base/maybe-promise.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import type { Digest } from '../digest/digest.ts';
import type { DigestFunction } from '../digest/digest-function.ts';
import type { DigestList } from '../digest/digest-list.ts';
import type { BlobBytes, BlobStore, BlobStoreCapabilities, GetOptions, GetResults, PutResult } from './blob-store.ts';
import { observedSource } from './observed-byte-source.ts';
import { blobsFields, digestFields, listFields } from './operation-fields.ts';
import type { OperationWatch } from './operation-watch.ts';

/** Answers that are there at once pass untouched and cost nothing. */
export class StallReportingBlobStore implements BlobStore {
  readonly capabilities: BlobStoreCapabilities;
  readonly #inner: BlobStore;
  readonly #watch: OperationWatch;

  constructor(inner: BlobStore, watch: OperationWatch) {
    this.capabilities = inner.capabilities;
    this.#inner = inner;
    this.#watch = watch;
  }

  findMissing(digests: DigestList, options?: CallOptions): MaybePromise<DigestList> {
    const missing = this.#inner.findMissing(digests, options);
    return isPromise(missing) ? this.#watched('find_missing', options, () => listFields(digests), missing) : missing;
  }

  resolve(digestFunction: DigestFunction, hash: string, options?: CallOptions): MaybePromise<Digest | undefined> {
    const digest = this.#inner.resolve(digestFunction, hash, options);
    return isPromise(digest) ? this.#watched('resolve', options, () => ({ digest: `${digestFunction.name}/${hash}` }), digest) : digest;
  }

  get(digest: Digest, options?: GetOptions): MaybePromise<ByteSource | undefined> {
    const source = this.#inner.get(digest, options);
    if (!isPromise(source)) return source && this.#streamed(digest, source, options);
    const found = this.#watched('get', options, () => digestFields(digest), source);
    return found.then((opened) => opened && this.#streamed(digest, opened, options));
  }

  getMany(digests: DigestList, options?: CallOptions): MaybePromise<GetResults> {
    const results = this.#inner.getMany(digests, options);
    return isPromise(results) ? this.#watched('get_many', options, () => listFields(digests), results) : results;
  }

  put(digest: Digest, bytes: AsyncIterable<Uint8Array>, options?: CallOptions): Promise<void> {
    const operation = this.#watch.operation({ operation: 'put', trace: options?.trace, fields: () => digestFields(digest) });
    return operation.run(this.#inner.put(digest, operation.received(bytes), steppedOptions(options, operation.onStep)));
  }

  putMany(blobs: readonly BlobBytes[], options?: CallOptions): Promise<readonly PutResult[]> {
    const operation = this.#watch.operation({ operation: 'put_many', trace: options?.trace, fields: () => blobsFields(blobs) });
    return operation.run(this.#inner.putMany(blobs, steppedOptions(options, operation.onStep)));
  }

  #watched<T>(name: string, options: CallOptions | undefined, fields: () => LogFields, work: Promise<T>): Promise<T> {
    return this.#watch.operation({ operation: name, trace: options?.trace, fields }).run(work);
  }

  /** Each piece is an operation of its own: between two of them it is the reader who takes his time. */
  #streamed(digest: Digest, source: ByteSource, options: CallOptions | undefined): ByteSource {
    if (source.inMemory !== undefined) return source;
    return observedSource(source, {
      pulled: (piece) => this.#watched('read', options, () => digestFields(digest), piece),
      ended() {},
    });
  }
}

/** The same options, with somebody more to be told of steps. Not spread: a getter would be lost. */
export function steppedOptions(options: CallOptions | undefined, onStep: (step: string) => void): CallOptions {
  const next = options?.onStep;
  return {
    signal: options?.signal,
    trace: options?.trace,
    onStep:
      next === undefined
        ? onStep
        : (step) => {
            onStep(step);
            next(step);
          },
  };
}
