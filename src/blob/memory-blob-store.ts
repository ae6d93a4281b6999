// Blobs in memory: for tests, for hot tiers, and as the plain model of what the contract says.
import { byteSourceOf } from '../base/byte-source.ts';
import type { ByteSource } from '../base/byte-source.ts';
import { CacheError } from '../base/cache-error.ts';
import type { CallOptions } from '../base/call-options.ts';
import { Digest, digestKey } from '../digest/digest.ts';
import type { DigestKey } from '../digest/digest.ts';
import type { DigestFunction } from '../digest/digest-function.ts';
import type { DigestList } from '../digest/digest-list.ts';
import { ByteBoundedMap } from '../engine/byte-bounded-map.ts';
import { DigestCheck, checkWhole } from '../engine/digest-check.ts';
import type { BlobBytes, BlobStore, BlobStoreCapabilities, GetOptions, GetResult, PutResult } from './blob-store.ts';
import { checkAccepted, checkKnownSize, checkRange, wrongSize } from './known-blob.ts';
import { SeenKeys } from './seen-keys.ts';

/** Enough for every test that does not care. */
const defaultLimits = { bytesMax: 256 * 1024 * 1024, blobBytesMax: 64 * 1024 * 1024 };

/** How soon a put that found all room taken by other puts may be tried again. */
const busyRetryMs = 100;

/**
 * Keeps the blobs used last, within `bytesMax` (bytes being received included), and forgets all with the process.
 * Every verb that needs no bytes from outside answers synchronously.
 */
export class MemoryBlobStore implements BlobStore {
  readonly capabilities: BlobStoreCapabilities;
  readonly #blobs: ByteBoundedMap<DigestKey>;

  constructor(limits: { readonly bytesMax: number; readonly blobBytesMax: number } = defaultLimits) {
    this.#blobs = new ByteBoundedMap(limits.bytesMax);
    // Nothing expires: a blob goes only when room is needed for another.
    this.capabilities = { leaseMs: Infinity, survives: 'nothing', blobBytesMax: limits.blobBytesMax };
  }

  findMissing(digests: DigestList): DigestList {
    const missing = new SeenKeys();
    return digests.select((index) => {
      const key = digests.keyAt(index);
      const known = this.#blobs.get(key);
      if (known !== undefined) {
        if (known.byteLength !== digests.sizeAt(index)) throw wrongSize(digests.at(index), known.byteLength);
        return false;
      }
      return missing.add(key);
    });
  }

  resolve(digestFunction: DigestFunction, hash: string): Digest | undefined {
    const known = this.#blobs.get(digestKey(digestFunction, hash));
    return known && Digest.parse(digestFunction, hash, known.byteLength);
  }

  get(digest: Digest, options?: GetOptions): ByteSource | undefined {
    const bytes = this.#whole(digest);
    if (bytes === undefined) return undefined;
    const range = options?.range;
    if (range === undefined) return byteSourceOf(bytes);
    checkRange(digest, range);
    return byteSourceOf(bytes.subarray(range.offset, range.offset + range.length));
  }

  getMany(digests: DigestList): readonly GetResult[] {
    return Array.from(digests, (digest) => settled(() => this.#whole(digest)));
  }

  async put(digest: Digest, bytes: AsyncIterable<Uint8Array>, options?: CallOptions): Promise<void> {
    if (this.#whole(digest) !== undefined) return;
    checkAccepted(digest, this.capabilities);
    const whole = await this.#receive(digest, bytes, options);
    this.#blobs.set(digest.key, whole);
  }

  async putMany(blobs: readonly BlobBytes[]): Promise<readonly PutResult[]> {
    return blobs.map(({ digest, bytes }) =>
      settled((): undefined => {
        if (this.#whole(digest) !== undefined) return;
        checkAccepted(digest, this.capabilities);
        checkWhole(digest, bytes);
        this.#reserve(digest)[Symbol.dispose](); // refused as a stream would be
        this.#blobs.set(digest.key, new Uint8Array(bytes)); // slice() of a Buffer copies nothing
      }),
    );
  }

  /** The bytes, checked, in an array of their own. The room they need is reserved before the first comes. */
  async #receive(digest: Digest, bytes: AsyncIterable<Uint8Array>, options?: CallOptions): Promise<Uint8Array> {
    using _room = this.#reserve(digest);
    const whole = new Uint8Array(digest.sizeBytes);
    const check = new DigestCheck(digest);
    for await (const chunk of bytes) {
      if (options?.signal?.aborted) throw new CacheError('cancelled', `the put of ${digest.toString()} was cancelled`);
      const offset = check.seenBytes;
      check.update(chunk);
      whole.set(chunk, offset);
    }
    check.finish();
    return whole;
  }

  /** @throws CacheError `invalid_argument` when the blob is known with another size. */
  #whole(digest: Digest): Uint8Array | undefined {
    const bytes = this.#blobs.get(digest.key);
    if (bytes !== undefined) checkKnownSize(digest, bytes.byteLength);
    return bytes;
  }

  #reserve(digest: Digest): Disposable {
    if (!this.#blobs.fits(digest.sizeBytes)) {
      throw new CacheError('disk_full', `blob ${digest.toString()} does not fit into a memory store of ${this.#blobs.bytesMax} bytes`);
    }
    const room = this.#blobs.reserve(digest.sizeBytes);
    if (room !== undefined) return room;
    throw new CacheError('busy', 'all memory of the store is taken by uploads in progress', {
      details: [{ kind: 'retry_after', delayMs: busyRetryMs }],
    });
  }
}

/** The value, or the CacheError that `compute` threw; anything else goes on. */
function settled<T>(compute: () => T): T | CacheError {
  try {
    return compute();
  } catch (thrown) {
    if (thrown instanceof CacheError) return thrown;
    throw thrown;
  }
}
