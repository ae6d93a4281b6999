// A store that a test has changed in places: to count, to fail, to answer late.
import type { BlobStore } from '../blob/blob-store.ts';

/** `inner` with some of its verbs replaced. Replacements may call those of `inner`. */
export function blobStoreWith(inner: BlobStore, replaced: Partial<BlobStore>): BlobStore {
  return {
    capabilities: inner.capabilities,
    findMissing: (digests, options) => inner.findMissing(digests, options),
    resolve: (digestFunction, hash, options) => inner.resolve(digestFunction, hash, options),
    get: (digest, options) => inner.get(digest, options),
    getMany: (digests, options) => inner.getMany(digests, options),
    put: (digest, bytes, options) => inner.put(digest, bytes, options),
    putMany: (blobs, options) => inner.putMany(blobs, options),
    ...replaced,
  };
}
