// A decorator that makes reads wait for room in the byte budget of the process before memory is allocated for them.
// What is delivered is the receiver's to account for.
import type { ByteBudget } from '../base/byte-budget.ts';
import type { ByteSource } from '../base/byte-source.ts';
import type { CallOptions } from '../base/call-options.ts';
import { isPromise } from '../base/maybe-promise.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import type { Digest } from '../digest/digest.ts';
import type { DigestFunction } from '../digest/digest-function.ts';
import type { DigestList } from '../digest/digest-list.ts';
import type { BlobBytes, BlobStore, BlobStoreCapabilities, GetOptions, GetResults, PutResult } from './blob-store.ts';
import { heldSource } from './observed-byte-source.ts';

export interface ReadBudgetLimits {
  /** The pieces in which the store delivers a large blob. */
  readonly pieceBytes: number;
  /** Blobs up to here are read as a whole. */
  readonly wholeBytesMax: number;
}

/** Those of `SegmentBlobStore`. */
export const readBudgetLimits: ReadBudgetLimits = { pieceBytes: 256 * 1024, wholeBytesMax: 1024 * 1024 };

/**
 * Reads stand in line when memory is short, and throw `unavailable` with `retry_after` when it stays short. They do so once,
 * for all that they can come to hold with what is on its way, and before anything is opened: whoever holds an open file
 * needs nothing more to get on, so readers cannot wait for each other, and who is refused has not begun to answer. Who
 * sends accounts for what is on its way too; counted twice, it cannot be more than was reserved for.
 * What the store answers at once is in memory already and costs two additions.
 */
export class BudgetedBlobStore implements BlobStore {
  readonly capabilities: BlobStoreCapabilities;
  readonly #inner: BlobStore;
  readonly #budget: ByteBudget;
  readonly #limits: ReadBudgetLimits;

  constructor(inner: BlobStore, budget: ByteBudget, limits: ReadBudgetLimits) {
    this.capabilities = inner.capabilities;
    this.#inner = inner;
    this.#budget = budget;
    this.#limits = limits;
  }

  findMissing(digests: DigestList, options?: CallOptions): MaybePromise<DigestList> {
    return this.#inner.findMissing(digests, options);
  }

  resolve(digestFunction: DigestFunction, hash: string, options?: CallOptions): MaybePromise<Digest | undefined> {
    return this.#inner.resolve(digestFunction, hash, options);
  }

  get(digest: Digest, options?: GetOptions): MaybePromise<ByteSource | undefined> {
    const bytes = this.#readBytes(digest, options);
    const read = (): MaybePromise<ByteSource | undefined> => {
      try {
        const source = this.#inner.get(digest, options);
        if (isPromise(source)) return this.#opened(source, bytes);
        if (source !== undefined && source.inMemory === undefined) return this.#held(source, bytes);
        this.#budget.give(bytes);
        return source;
      } catch (thrown) {
        this.#budget.give(bytes);
        throw thrown;
      }
    };
    return this.#budget.tryReserve(bytes) ? read() : this.#budget.reserve(bytes, options).then(read);
  }

  getMany(digests: DigestList, options?: CallOptions): MaybePromise<GetResults> {
    const bytes = digests.totalBytes;
    const awaitedBytes = Math.min(bytes, Math.floor(this.#budget.maxBytes * awaitedShare));
    const read = (): MaybePromise<GetResults> => {
      this.#budget.take(bytes - awaitedBytes);
      try {
        const results = this.#inner.getMany(digests, options);
        if (isPromise(results)) return results.finally(() => this.#budget.give(bytes));
        this.#budget.give(bytes);
        return results;
      } catch (thrown) {
        this.#budget.give(bytes);
        throw thrown;
      }
    };
    return this.#budget.tryReserve(awaitedBytes) ? read() : this.#budget.reserve(awaitedBytes, options).then(read);
  }

  put(digest: Digest, bytes: AsyncIterable<Uint8Array>, options?: CallOptions): Promise<void> {
    return this.#inner.put(digest, bytes, options);
  }

  putMany(blobs: readonly BlobBytes[], options?: CallOptions): Promise<readonly PutResult[]> {
    return this.#inner.putMany(blobs, options);
  }

  /** Once for what is read, and once for what will be on its way of it. */
  #readBytes({ sizeBytes }: Digest, options: GetOptions | undefined): number {
    const { pieceBytes, wholeBytesMax } = this.#limits;
    if (sizeBytes <= wholeBytesMax) return 2 * sizeBytes;
    return Math.min(piecesMax * pieceBytes, 2 * Math.max(0, options?.range?.length ?? sizeBytes));
  }

  /** `bytes` are reserved. */
  async #opened(opening: Promise<ByteSource | undefined>, bytes: number): Promise<ByteSource | undefined> {
    let source: ByteSource | undefined;
    let keptBytes = 0;
    try {
      source = await opening;
      // What is whole in memory was read for this one, and views of it may be sent for long.
      if (source !== undefined) keptBytes = source.inMemory === undefined ? bytes : Math.floor(bytes / 2);
    } finally {
      this.#budget.give(bytes - keptBytes);
    }
    return source && this.#held(source, keptBytes);
  }

  /** `source`, with the `bytes` that are reserved for it given back when it has ended. */
  #held(source: ByteSource, bytes: number): ByteSource {
    return heldSource(source, { pulled: (piece) => piece, ended: () => this.#budget.give(bytes) });
  }
}

/**
 * What a batch may have to wait for, as a part of the budget: the Tree of a large result may be as large as all of it, and
 * would wait for a moment at which nobody else holds anything.
 */
const awaitedShare = 1 / 8;

/** Pieces that an open blob may take: one read ahead, one at work, and up to two on their way to a slow reader. */
const piecesMax = 4;
