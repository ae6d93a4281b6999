// A decorator that hashes what is read: for stores that are reached over something that may change bytes.
import type { ByteSource } from '../base/byte-source.ts';
import { CacheError } from '../base/cache-error.ts';
import type { CallOptions } from '../base/call-options.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import type { BlobBytes, BlobStore, BlobStoreCapabilities, GetOptions, GetResult, PutResult } from '../blob/blob-store.ts';
import type { Digest } from '../digest/digest.ts';
import type { DigestFunction } from '../digest/digest-function.ts';
import type { DigestList } from '../digest/digest-list.ts';

/** Whole blobs end with `data_loss` before their last piece if they are not what was asked for. Ranges pass as they are. */
export class VerifyingBlobStore implements BlobStore {
  readonly capabilities: BlobStoreCapabilities;
  readonly #inner: BlobStore;

  constructor(inner: BlobStore) {
    this.capabilities = inner.capabilities;
    this.#inner = inner;
  }

  findMissing(digests: DigestList, options?: CallOptions): MaybePromise<DigestList> {
    return this.#inner.findMissing(digests, options);
  }

  resolve(digestFunction: DigestFunction, hash: string, options?: CallOptions): MaybePromise<Digest | undefined> {
    return this.#inner.resolve(digestFunction, hash, options);
  }

  async get(digest: Digest, options?: GetOptions): Promise<ByteSource | undefined> {
    const source = await this.#inner.get(digest, options);
    if (source === undefined || source.sizeBytes !== digest.sizeBytes) return source;
    const { inMemory } = source;
    if (inMemory !== undefined && digest.function.hashHex(inMemory) !== digest.hash) {
      await source[Symbol.asyncDispose]();
      throw wrongBytes(digest);
    }
    const bytes = inMemory === undefined ? verified(source, digest) : source[Symbol.asyncIterator]();
    return { sizeBytes: source.sizeBytes, inMemory, [Symbol.asyncIterator]: () => bytes, [Symbol.asyncDispose]: () => source[Symbol.asyncDispose]() };
  }

  async getMany(digests: DigestList, options?: CallOptions): Promise<readonly GetResult[]> {
    const results = await this.#inner.getMany(digests, options);
    return results.map((result, index) => {
      if (!(result instanceof Uint8Array)) return result;
      return digests.function.hashHex(result) === digests.hashAt(index) ? result : wrongBytes(digests.at(index));
    });
  }

  put(digest: Digest, bytes: AsyncIterable<Uint8Array>, options?: CallOptions): Promise<void> {
    return this.#inner.put(digest, bytes, options);
  }

  putMany(blobs: readonly BlobBytes[], options?: CallOptions): Promise<readonly PutResult[]> {
    return this.#inner.putMany(blobs, options);
  }
}

/** One piece behind, so that the last one is held back until all are known to be right. */
async function* verified(source: ByteSource, digest: Digest): AsyncGenerator<Uint8Array, void, undefined> {
  const hasher = digest.function.createHasher();
  let held: Uint8Array | undefined;
  for await (const chunk of source) {
    hasher.update(chunk);
    if (held !== undefined) yield held;
    held = chunk;
  }
  if (hasher.hex() !== digest.hash) throw wrongBytes(digest);
  if (held !== undefined) yield held;
}

function wrongBytes(digest: Digest): CacheError {
  return new CacheError('corrupt', `what was read as blob ${digest.toString()} does not have its hash`);
}
