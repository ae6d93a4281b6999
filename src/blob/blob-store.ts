// The one interface between those who want bytes and those who keep them.
import type { ByteSource } from '../base/byte-source.ts';
import type { CacheError } from '../base/cache-error.ts';
import type { CallOptions } from '../base/call-options.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import type { Digest } from '../digest/digest.ts';
import type { DigestFunction } from '../digest/digest-function.ts';
import type { DigestList } from '../digest/digest-list.ts';

/** What a store promises beyond the contract. Declared, so that nobody probes or looks inside. */
export interface BlobStoreCapabilities {
  /** How long a blob stays readable after it was put, read or found present, unless the store runs out of space. */
  readonly leaseMs: number;
  /** What an acknowledged put survives. Each includes those before it. */
  readonly survives: 'nothing' | 'process_crash' | 'power_loss';
  /** Larger blobs are refused by `put` with `invalid_argument` (CAP-10). */
  readonly blobBytesMax: number;
}

/** Bytes `offset` (inclusive) to `offset + length` of a blob. Both are at least 0. */
export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

export interface GetOptions extends CallOptions {
  /** Default: all of the blob. A range of length 0 is legal up to and including the end. */
  readonly range?: ByteRange | undefined;
}

/** A whole small blob at hand. */
export interface BlobBytes {
  readonly digest: Digest;
  readonly bytes: Uint8Array;
  /** Where the digest stands, if it is one of a list; see listed-blob.ts. */
  readonly listed?: ListedDigest | undefined;
}

export interface ListedDigest {
  readonly digests: DigestList;
  readonly index: number;
  /** The length of the bytes of its blob. */
  readonly sentBytes: number;
}

/** One digest's outcome of `getMany`: its bytes, absent, or why it could not be told. */
export type GetResult = Uint8Array | undefined | CacheError;
/** Outcomes of `getMany`, in the order of the digests. */
export type GetResults = readonly GetResult[] & {
  /**
   * Whoever has all of them, and needs the bytes of none any more, may say so, once: their memory is written to again. Nobody who
   * keeps a result, or gives one to somebody who may, says it; the collector finds what was not said.
   */
  readonly done?: () => void;
};
/** One blob's outcome of `putMany`: stored, or why not. */
export type PutResult = undefined | CacheError;

/**
 * The contract of every place that holds blobs: digests and bytes, no instances, rights or wire formats.
 *
 * - Absence is a value. A store that cannot tell throws `unavailable`; it never guesses.
 * - A blob is identified by function and hash. Asking for a present blob with another size is
 *   `invalid_argument`; asking for an absent one with any size finds it absent.
 * - Every verb may run at any time beside any other, also for the same digest; concurrent puts converge.
 * - A MaybePromise may be a plain value, so that a hit in memory costs no promise.
 * - `signal` ends the wait with `cancelled` and frees what the call holds; a put may still complete.
 */
export interface BlobStore {
  readonly capabilities: BlobStoreCapabilities;

  /**
   * The digests that `get` would not find, in the order given, without duplicates.
   * What is not returned stays readable for `capabilities.leaseMs`, as far as the store's lease budget reaches.
   */
  findMissing(digests: DigestList, options?: CallOptions): MaybePromise<DigestList>;

  /** The digest of the blob with that hash, for callers who know no size (HTTP); undefined when absent. */
  resolve(digestFunction: DigestFunction, hash: string, options?: CallOptions): MaybePromise<Digest | undefined>;

  /**
   * The bytes of `range` (default: all), or undefined when absent. The caller owns and disposes the stream.
   * @throws CacheError `out_of_range` (range leaves the blob). A stream found corrupt fails with `data_loss`
   *   before its last chunk, so that nobody completes a read of wrong bytes.
   */
  get(digest: Digest, options?: GetOptions): MaybePromise<ByteSource | undefined>;

  /**
   * Whole blobs, one result per digest in the order given, duplicates answered each. The caller has bounded the
   * sum of the sizes: all of it is held in memory. Never throws for a single blob's failure.
   */
  getMany(digests: DigestList, options?: CallOptions): MaybePromise<GetResults>;

  /**
   * Stores exactly `digest.sizeBytes` bytes; resolves once they survive what `capabilities.survives` names.
   * The caller still owns `bytes`, and writes to a chunk again once the next one is asked for. Putting a present blob is cheap, may leave `bytes` unread, renews its lease.
   * @throws CacheError `invalid_argument` (bytes do not have the digest; nothing is kept),
   *   `resource_exhausted` (the store is full and nothing may go; final for this blob).
   */
  put(digest: Digest, bytes: AsyncIterable<Uint8Array>, options?: CallOptions): Promise<void>;

  /**
   * `put` for each, one result per blob in the order given; the store may share syncs between them. All bytes are the caller's
   * again, and may be written to, once it resolves and was not cancelled.
   */
  putMany(blobs: readonly BlobBytes[], options?: CallOptions): Promise<readonly PutResult[]>;
}
