// What programs get that use a cache: the verbs of the contracts for one instance, with plain values for what the
// contracts pack. Says nothing about how the server is reached.
import { create } from '@bufbuild/protobuf';
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ActionCache } from '../actions/action-cache.ts';
import { byteSourceOf, collect } from '../base/byte-source.ts';
import type { ByteSource } from '../base/byte-source.ts';
import { CacheError } from '../base/cache-error.ts';
import type { BlobStore, ByteRange } from '../blob/blob-store.ts';
import { Digest } from '../digest/digest.ts';
import type { DigestFunction } from '../digest/digest-function.ts';
import { DigestList } from '../digest/digest-list.ts';
import type { InstanceName } from '../digest/instance-name.ts';
import { EncodedActionResult } from '../proto/encoded-action-result.ts';
import { ActionResultSchema } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import type { ActionResult } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import type { RestartableBytes } from './retrying-blob-store.ts';

/**
 * The bytes of a blob: at hand; a stream, which is consumed once; or a function that opens the stream, which is
 * called again when the upload has to start over.
 */
export type BlobSource = Uint8Array | AsyncIterable<Uint8Array> | (() => AsyncIterable<Uint8Array>);

/** Options of every verb. */
export interface CacheCallOptions {
  /** Ends the call with `cancelled`, and a stream that it gave. */
  readonly signal?: AbortSignal | undefined;
}

export interface GetBlobOptions extends CacheCallOptions {
  /** Default: all of the blob. */
  readonly range?: ByteRange | undefined;
}

export interface GetBytesOptions extends CacheCallOptions {
  /** A larger blob is refused with `resource_exhausted`. Default: 64 MiB. */
  readonly bytesMax?: number;
}

/** The fields of an action result as a plain object, or a message. */
export type ActionResultFields = MessageInitShape<typeof ActionResultSchema>;

/**
 * One instance of a cache. Every verb throws CacheError, ends with `cancelled` when its `signal` is aborted, and has
 * been tried again by then if it failed for a reason that may pass. Absence is undefined, never an error.
 */
export interface CacheClient extends AsyncDisposable {
  /** The name space of action results; blobs are shared by all. */
  readonly instance: string;

  /** Whether the blob is there. */
  has(digest: Digest, options?: CacheCallOptions): Promise<boolean>;

  /** Those that are not there, in the order given, without duplicates. */
  findMissing(digests: Iterable<Digest>, options?: CacheCallOptions): Promise<Digest[]>;

  /**
   * The bytes of the blob or of `range`, or undefined. Read the stream to its end or dispose it (`await using`): it
   * holds a connection. A whole blob is hashed in passing and fails with `data_loss` before its last piece if it is
   * not what was asked for. @throws CacheError `out_of_range` (the range leaves the blob).
   */
  get(digest: Digest, options?: GetBlobOptions): Promise<ByteSource | undefined>;

  /** The whole blob, verified, or undefined. */
  getBytes(digest: Digest, options?: GetBytesOptions): Promise<Uint8Array | undefined>;

  /**
   * Stores a blob; resolves when the server has acknowledged it, which it does when the blob is on its disk.
   * A blob that is there already may be left unread.
   * @throws CacheError `invalid_argument` (the bytes do not have the digest), `resource_exhausted` (the store is full),
   *   `permission_denied`, `unauthenticated`.
   */
  put(digest: Digest, source: BlobSource, options?: CacheCallOptions): Promise<void>;

  /** Stores bytes at hand under their digest (SHA-256 unless told otherwise), which it gives back. */
  putBytes(bytes: Uint8Array, options?: CacheCallOptions & { readonly function?: DigestFunction }): Promise<Digest>;

  /** The result of the action, or undefined; never one that refers to a blob that is gone. */
  getActionResult(actionDigest: Digest, options?: CacheCallOptions): Promise<ActionResult | undefined>;

  /** Stores the result of an action; the last put wins. Put the blobs it refers to before. @throws as `put`. */
  putActionResult(actionDigest: Digest, result: ActionResultFields, options?: CacheCallOptions): Promise<void>;
}

/** Bounds what a careless `getBytes` takes. */
const defaultBytesMax = 64 * 1024 * 1024;

/** A call that fails is repeated as a whole; of more digests it would hardly ever get through a bad connection. */
const digestsPerCallMax = 500;

export interface CacheClientParts {
  readonly instance: InstanceName;
  readonly blobs: BlobStore;
  readonly actions: ActionCache;
  /** Ends the connections. */
  readonly close: () => Promise<void>;
}

export class StoreCacheClient implements CacheClient {
  readonly instance: string;
  readonly #parts: CacheClientParts;

  constructor(parts: CacheClientParts) {
    this.instance = parts.instance;
    this.#parts = parts;
  }

  async has(digest: Digest, options?: CacheCallOptions): Promise<boolean> {
    return (await this.#parts.blobs.findMissing(DigestList.of(digest), options)).length === 0;
  }

  async findMissing(digests: Iterable<Digest>, options?: CacheCallOptions): Promise<Digest[]> {
    const asked = [...digests];
    const byFunction = Map.groupBy(asked, (digest) => digest.function);
    const missing = new Map<string, Digest>();
    for (const group of byFunction.values()) {
      for (let from = 0; from < group.length; from += digestsPerCallMax) {
        const part = DigestList.from(group.slice(from, from + digestsPerCallMax));
        for (const digest of await this.#parts.blobs.findMissing(part, options)) missing.set(digest.key, digest);
      }
    }
    return asked.filter(({ key }) => missing.delete(key));
  }

  async get(digest: Digest, options?: GetBlobOptions): Promise<ByteSource | undefined> {
    return this.#parts.blobs.get(digest, options);
  }

  async getBytes(digest: Digest, options: GetBytesOptions = {}): Promise<Uint8Array | undefined> {
    const { bytesMax = defaultBytesMax, signal } = options;
    if (digest.sizeBytes > bytesMax) {
      throw new CacheError('resource_exhausted', `blob ${digest.toString()} is larger than the ${bytesMax} bytes allowed here; give bytesMax, or read it with get()`);
    }
    const source = await this.#parts.blobs.get(digest, { signal });
    if (source === undefined) return undefined;
    await using owned = source;
    return await collect(owned, bytesMax, { signal });
  }

  async put(digest: Digest, source: BlobSource, options?: CacheCallOptions): Promise<void> {
    return this.#parts.blobs.put(digest, bytesOf(source), options);
  }

  async putBytes(bytes: Uint8Array, options: CacheCallOptions & { readonly function?: DigestFunction } = {}): Promise<Digest> {
    const digest = Digest.of(bytes, options.function);
    await this.put(digest, bytes, options);
    return digest;
  }

  async getActionResult(actionDigest: Digest, options?: CacheCallOptions): Promise<ActionResult | undefined> {
    const result = await this.#parts.actions.get({ instance: this.#parts.instance, actionDigest }, options);
    return result?.message;
  }

  async putActionResult(actionDigest: Digest, result: ActionResultFields, options?: CacheCallOptions): Promise<void> {
    const encoded = EncodedActionResult.of(create(ActionResultSchema, result));
    await this.#parts.actions.put({ instance: this.#parts.instance, actionDigest }, encoded, options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts.close();
  }
}

function bytesOf(source: BlobSource): AsyncIterable<Uint8Array> | RestartableBytes {
  if (source instanceof Uint8Array) return byteSourceOf(source);
  return typeof source === 'function' ? { restartable: true, [Symbol.asyncIterator]: () => source()[Symbol.asyncIterator]() } : source;
}
