// The one place of the rule of the empty blob (REAPI DG-10): it is always there and never anywhere.
import { byteSourceOf } from '../base/byte-source.ts';
import type { ByteSource } from '../base/byte-source.ts';
import type { CallOptions } from '../base/call-options.ts';
import { isPromise } from '../base/maybe-promise.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import { Digest } from '../digest/digest.ts';
import type { DigestFunction } from '../digest/digest-function.ts';
import type { DigestList } from '../digest/digest-list.ts';
import { DigestCheck, checkWhole } from '../engine/digest-check.ts';
import type { BlobBytes, BlobStore, BlobStoreCapabilities, GetOptions, GetResult, GetResults, PutResult } from './blob-store.ts';
import { checkRange } from './known-blob.ts';
import { sizeOfBlob } from './listed-blob.ts';
import { CacheError } from '../base/cache-error.ts';

const nothing = new Uint8Array(0);

/**
 * Answers for the empty blob of every digest function, so that no inner store ever holds, sends or is asked for
 * it: some clients upload it and others take it for granted. Stands outermost among the stores of a server.
 */
export class EmptyAwareBlobStore implements BlobStore {
  readonly capabilities: BlobStoreCapabilities;
  readonly #inner: BlobStore;

  constructor(inner: BlobStore) {
    this.capabilities = inner.capabilities;
    this.#inner = inner;
  }

  findMissing(digests: DigestList, options?: CallOptions): MaybePromise<DigestList> {
    if (!digests.sizes.includes(0)) return this.#inner.findMissing(digests, options); // nearly always
    const others = digests.select((index) => digests.sizeAt(index) !== 0);
    return others.length === 0 ? others : this.#inner.findMissing(others, options);
  }

  resolve(digestFunction: DigestFunction, hash: string, options?: CallOptions): MaybePromise<Digest | undefined> {
    if (hash === digestFunction.emptyHash) return Digest.empty(digestFunction);
    return this.#inner.resolve(digestFunction, hash, options);
  }

  get(digest: Digest, options?: GetOptions): MaybePromise<ByteSource | undefined> {
    if (digest.sizeBytes !== 0) return this.#inner.get(digest, options);
    if (options?.range !== undefined) checkRange(digest, options.range);
    return byteSourceOf(nothing);
  }

  getMany(digests: DigestList, options?: CallOptions): MaybePromise<GetResults> {
    if (!digests.sizes.includes(0)) return this.#inner.getMany(digests, options);
    const others = digests.select((index) => digests.sizeAt(index) !== 0);
    const weave = (found: readonly GetResult[]): readonly GetResult[] => {
      const next = found.values();
      return Array.from(digests.sizes, (sizeBytes) => (sizeBytes === 0 ? nothing : next.next().value));
    };
    const found = others.length === 0 ? [] : this.#inner.getMany(others, options);
    return isPromise(found) ? found.then(weave) : weave(found);
  }

  async put(digest: Digest, bytes: AsyncIterable<Uint8Array>, options?: CallOptions): Promise<void> {
    if (digest.sizeBytes !== 0) return this.#inner.put(digest, bytes, options);
    // Read all the same: who sends bytes under the empty digest must learn of the mistake.
    const check = new DigestCheck(digest);
    for await (const chunk of bytes) check.update(chunk);
    check.finish();
  }

  async putMany(blobs: readonly BlobBytes[], options?: CallOptions): Promise<readonly PutResult[]> {
    const others = blobs.filter((blob) => sizeOfBlob(blob) !== 0);
    if (others.length === blobs.length) return this.#inner.putMany(blobs, options);
    const next = (others.length === 0 ? [] : await this.#inner.putMany(others, options)).values();
    return blobs.map(({ digest, bytes }) => (digest.sizeBytes === 0 ? emptyPut(digest, bytes) : next.next().value));
  }
}

function emptyPut(digest: Digest, bytes: Uint8Array): PutResult {
  try {
    checkWhole(digest, bytes);
    return undefined;
  } catch (thrown) {
    return CacheError.from(thrown);
  }
}
