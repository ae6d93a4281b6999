// A decorator that writes each operation on blobs to the log, at debug. At other levels it asks for one boolean and
// makes nothing, since these are the hottest paths there are.
import type { ByteSource } from '../base/byte-source.ts';
import { CacheError } from '../base/cache-error.ts';
import type { CallOptions } from '../base/call-options.ts';
import type { Log } from '../base/log.ts';
import { isPromise } from '../base/maybe-promise.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import type { Digest } from '../digest/digest.ts';
import type { DigestFunction } from '../digest/digest-function.ts';
import type { DigestList } from '../digest/digest-list.ts';
import type { BlobBytes, BlobStore, BlobStoreCapabilities, GetOptions, GetResult, GetResults, PutResult } from './blob-store.ts';

/** Digests that one line names. A question may have ten thousand, and a line of a megabyte is read by nobody. */
const namedDigestsMax = 50;

/** Outermost, so that it shows what was asked for. */
export class LoggedBlobStore implements BlobStore {
  readonly capabilities: BlobStoreCapabilities;
  readonly #inner: BlobStore;
  readonly #log: Log;

  constructor(inner: BlobStore, log: Log) {
    this.capabilities = inner.capabilities;
    this.#inner = inner;
    this.#log = log;
  }

  findMissing(digests: DigestList, options?: CallOptions): MaybePromise<DigestList> {
    const missing = this.#inner.findMissing(digests, options);
    if (!this.#log.debugEnabled) return missing;
    return told(missing, (list) => {
      this.#log.debug('find missing', { requested: digests.length, missing: list.length, function: digests.function.name, digests: named(digests), missingDigests: named(list) });
    });
  }

  resolve(digestFunction: DigestFunction, hash: string, options?: CallOptions): MaybePromise<Digest | undefined> {
    const digest = this.#inner.resolve(digestFunction, hash, options);
    if (!this.#log.debugEnabled) return digest;
    return told(digest, (found) => this.#log.debug('resolve', { function: digestFunction.name, hash, sizeBytes: found?.sizeBytes, found: found !== undefined }));
  }

  get(digest: Digest, options?: GetOptions): MaybePromise<ByteSource | undefined> {
    const source = this.#inner.get(digest, options);
    if (!this.#log.debugEnabled) return source;
    const { range } = options ?? {};
    return told(source, (found) => this.#log.debug('get', { digest: digest.toString(), offset: range?.offset, length: range?.length, found: found !== undefined, inMemory: found?.inMemory !== undefined }));
  }

  getMany(digests: DigestList, options?: CallOptions): MaybePromise<GetResults> {
    const results = this.#inner.getMany(digests, options);
    if (!this.#log.debugEnabled) return results;
    return told(results, (found) => {
      this.#log.debug('get many', { requested: digests.length, missing: found.filter((result) => result === undefined).length, failed: failuresIn(found), function: digests.function.name, digests: named(digests) });
    });
  }

  put(digest: Digest, bytes: AsyncIterable<Uint8Array>, options?: CallOptions): Promise<void> {
    const done = this.#inner.put(digest, bytes, options);
    return this.#log.debugEnabled ? this.#toldPut(digest, done) : done;
  }

  async #toldPut(digest: Digest, done: Promise<void>): Promise<void> {
    try {
      await done;
    } catch (thrown) {
      this.#log.debug('put', { digest: digest.toString(), failed: CacheError.from(thrown).code });
      throw thrown;
    }
    this.#log.debug('put', { digest: digest.toString() });
  }

  putMany(blobs: readonly BlobBytes[], options?: CallOptions): Promise<readonly PutResult[]> {
    const results = this.#inner.putMany(blobs, options);
    if (!this.#log.debugEnabled) return results;
    return results.then((outcomes) => {
      const digests = blobs.slice(0, namedDigestsMax).map(({ digest }) => digest.toString());
      this.#log.debug('put many', { blobs: blobs.length, failed: failuresIn(outcomes), digests: listed(digests, blobs.length) });
      return outcomes;
    });
  }
}

/** `value` itself, after `tell` was called with it. */
function told<T>(value: MaybePromise<T>, tell: (value: T) => void): MaybePromise<T> {
  if (isPromise(value)) {
    return value.then((settled) => {
      tell(settled);
      return settled;
    });
  }
  tell(value);
  return value;
}

function named(digests: DigestList): string {
  const names: string[] = [];
  for (const { hash, sizeBytes } of digests) {
    if (names.length === namedDigestsMax) break;
    names.push(`${hash}/${sizeBytes}`);
  }
  return listed(names, digests.length);
}

function listed(names: readonly string[], count: number): string {
  return count > names.length ? `${names.join(',')},… ${count - names.length} more` : names.join(',');
}

function failuresIn(results: readonly (GetResult | PutResult)[]): number {
  return results.filter((result) => result instanceof CacheError).length;
}
