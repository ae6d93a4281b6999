// A decorator that spares the inner store repeated questions about blobs that are there.
import { assert } from '../base/assert.ts';
import { BoundedMap } from '../base/bounded-map.ts';
import type { ByteSource } from '../base/byte-source.ts';
import type { CallOptions } from '../base/call-options.ts';
import type { MonotonicClock } from '../base/clock.ts';
import { isPromise } from '../base/maybe-promise.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import type { Digest, DigestKey } from '../digest/digest.ts';
import type { DigestFunction } from '../digest/digest-function.ts';
import { DigestList } from '../digest/digest-list.ts';
import type { BlobBytes, BlobStore, BlobStoreCapabilities, GetOptions, GetResult, GetResults, PutResult } from './blob-store.ts';
import { wrongSize } from './known-blob.ts';

/** What was present: until when that may be repeated without asking, and which size it has. */
interface Sighting {
  readonly untilMs: number;
  readonly sizeBytes: number;
}

/**
 * Remembers which blobs were present lately, so that repeated questions stop here.
 * Never remembers absence: the next moment anyone may put the blob.
 */
export class ExistenceCachingBlobStore implements BlobStore {
  readonly capabilities: BlobStoreCapabilities;
  readonly #inner: BlobStore;
  readonly #clock: MonotonicClock;
  readonly #ttlMs: number;
  readonly #present: BoundedMap<DigestKey, Sighting>;

  constructor(inner: BlobStore, clock: MonotonicClock, limits: { readonly ttlMs: number; readonly entriesMax: number }) {
    // A remembered answer does not renew the inner lease, so the lease promised here is that much shorter.
    const leaseMs = inner.capabilities.leaseMs - limits.ttlMs;
    assert(leaseMs > 0, 'ttlMs must be shorter than the inner lease');
    this.capabilities = { ...inner.capabilities, leaseMs };
    this.#inner = inner;
    this.#clock = clock;
    this.#ttlMs = limits.ttlMs;
    this.#present = new BoundedMap(limits.entriesMax);
  }

  findMissing(digests: DigestList, options?: CallOptions): MaybePromise<DigestList> {
    const nowMs = this.#clock.nowMs(); // before asking: the inner lease cannot have begun earlier
    const unknown = digests.select((index) => !this.#seen(digests, index, nowMs));
    if (unknown.length === 0) return DigestList.empty;
    const missing = this.#inner.findMissing(unknown, options);
    if (isPromise(missing)) return missing.then((absent) => this.#learn(unknown, absent, nowMs));
    return this.#learn(unknown, missing, nowMs);
  }

  resolve(digestFunction: DigestFunction, hash: string, options?: CallOptions): MaybePromise<Digest | undefined> {
    return this.#inner.resolve(digestFunction, hash, options);
  }

  get(digest: Digest, options?: GetOptions): MaybePromise<ByteSource | undefined> {
    const source = this.#inner.get(digest, options);
    if (isPromise(source)) return source.then((found) => this.#noteLoss(digest, found));
    return this.#noteLoss(digest, source);
  }

  getMany(digests: DigestList, options?: CallOptions): MaybePromise<GetResults> {
    const results = this.#inner.getMany(digests, options);
    if (isPromise(results)) return results.then((found) => this.#noteLosses(digests, found));
    return this.#noteLosses(digests, results);
  }

  put(digest: Digest, bytes: AsyncIterable<Uint8Array>, options?: CallOptions): Promise<void> {
    return this.#inner.put(digest, bytes, options);
  }

  putMany(blobs: readonly BlobBytes[], options?: CallOptions): Promise<readonly PutResult[]> {
    return this.#inner.putMany(blobs, options);
  }

  /** @throws CacheError `invalid_argument` when the blob was seen with another size. */
  #seen(digests: DigestList, index: number, nowMs: number): boolean {
    const sighting = this.#present.get(digests.keyAt(index));
    if (sighting === undefined || sighting.untilMs <= nowMs) return false;
    if (sighting.sizeBytes !== digests.sizeAt(index)) throw wrongSize(digests.at(index), sighting.sizeBytes);
    return true;
  }

  #learn(asked: DigestList, missing: DigestList, askedAtMs: number): DigestList {
    const absent = new Set<DigestKey>();
    for (let index = 0; index < missing.length; index += 1) absent.add(missing.keyAt(index));
    const untilMs = askedAtMs + this.#ttlMs;
    for (let index = 0; index < asked.length; index += 1) {
      const key = asked.keyAt(index);
      if (!absent.has(key)) this.#present.set(key, { untilMs, sizeBytes: asked.sizeAt(index) });
    }
    return missing;
  }

  /** Lost earlier than promised: the next asker must learn it. */
  #noteLoss(digest: Digest, source: ByteSource | undefined): ByteSource | undefined {
    if (source === undefined) this.#present.delete(digest.key);
    return source;
  }

  #noteLosses(digests: DigestList, results: readonly GetResult[]): readonly GetResult[] {
    for (const [index, result] of results.entries()) if (result === undefined) this.#present.delete(digests.keyAt(index));
    return results;
  }
}
