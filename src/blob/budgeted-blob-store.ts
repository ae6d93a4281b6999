// A decorator that makes reads wait for room in the byte budget of the process before memory is allocated for them.
// What is delivered is the receiver's to account for.
import { HeldBytes } from '../base/byte-budget.ts';
import type { ByteBudget } from '../base/byte-budget.ts';
import type { ByteSource } from '../base/byte-source.ts';
import type { CallOptions } from '../base/call-options.ts';
import { isPromise } from '../base/maybe-promise.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import type { Digest } from '../digest/digest.ts';
import type { DigestFunction } from '../digest/digest-function.ts';
import type { DigestList } from '../digest/digest-list.ts';
import type { BlobBytes, BlobStore, BlobStoreCapabilities, GetOptions, GetResult, PutResult } from './blob-store.ts';

export interface ReadBudgetLimits {
  /** The pieces in which the store delivers a large blob. */
  readonly pieceBytes: number;
  /** Blobs up to here are read as a whole. */
  readonly wholeBytesMax: number;
}

/** Those of `FileBlobStore`. */
export const readBudgetLimits: ReadBudgetLimits = { pieceBytes: 256 * 1024, wholeBytesMax: 1024 * 1024 };

/**
 * Reads stand in line when memory is short, and throw `unavailable` with `retry_after` when it stays short. What the store
 * answers at once is in memory already and costs two additions.
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
    // A large blob takes its pieces when it is read.
    if (digest.sizeBytes > this.#limits.wholeBytesMax) {
      const source = this.#inner.get(digest, options);
      return isPromise(source) ? source.then((opened) => opened && this.#inPieces(opened, options)) : source && this.#inPieces(source, options);
    }
    // Once for what is read, and once for what will be on its way of it, which is accounted by others then.
    const bytes = 2 * digest.sizeBytes;
    const read = (): MaybePromise<ByteSource | undefined> => {
      try {
        const source = this.#inner.get(digest, options);
        if (isPromise(source)) return this.#whole(source, digest.sizeBytes);
        this.#budget.give(bytes);
        return source;
      } catch (thrown) {
        this.#budget.give(bytes);
        throw thrown;
      }
    };
    return this.#budget.tryReserve(bytes) ? read() : this.#budget.reserve(bytes, options).then(read);
  }

  getMany(digests: DigestList, options?: CallOptions): MaybePromise<readonly GetResult[]> {
    const bytes = digests.totalBytes;
    const read = (): MaybePromise<readonly GetResult[]> => {
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
    return this.#budget.tryReserve(bytes) ? read() : this.#budget.reserve(bytes, options).then(read);
  }

  put(digest: Digest, bytes: AsyncIterable<Uint8Array>, options?: CallOptions): Promise<void> {
    return this.#inner.put(digest, bytes, options);
  }

  putMany(blobs: readonly BlobBytes[], options?: CallOptions): Promise<readonly PutResult[]> {
    return this.#inner.putMany(blobs, options);
  }

  /** Twice `bytes` are reserved. They are kept once until the source is disposed: views of it may be sent for long. */
  async #whole(opening: Promise<ByteSource | undefined>, bytes: number): Promise<ByteSource | undefined> {
    let source: ByteSource | undefined;
    try {
      source = await opening;
    } finally {
      this.#budget.give(source === undefined ? 2 * bytes : bytes);
    }
    return source && heldSource(source, () => this.#budget.give(bytes));
  }

  #inPieces(source: ByteSource, options: CallOptions | undefined): ByteSource {
    return source.inMemory === undefined ? new BudgetedByteSource(source, this.#budget, { ...options, pieceBytes: this.#limits.pieceBytes }) : source;
  }
}

/** `source`, with `release` called once when it is disposed. */
function heldSource(source: ByteSource, release: () => void): ByteSource {
  let held = true;
  return {
    sizeBytes: source.sizeBytes,
    inMemory: source.inMemory,
    [Symbol.asyncIterator]: () => source[Symbol.asyncIterator](),
    async [Symbol.asyncDispose]() {
      if (held) release();
      held = false;
      await source[Symbol.asyncDispose]();
    },
  };
}

/** Pieces that an open blob may take: one read ahead, one at work, and up to two on their way to a slow reader. */
const piecesMax = 4;

/**
 * Stands in line once, before its first piece, for all that it can come to hold, with what is on its way: it holds no
 * memory while it waits for more, so readers cannot wait for each other. Who sends accounts for what is on its way too;
 * counted twice, it cannot be more than was reserved for.
 */
class BudgetedByteSource implements ByteSource {
  readonly sizeBytes: number;
  readonly #inner: ByteSource;
  readonly #budget: ByteBudget;
  readonly #held: HeldBytes;
  readonly #pieceBytes: number;
  readonly #options: CallOptions;
  #admitted = false;
  #disposed = false;

  constructor(inner: ByteSource, budget: ByteBudget, { pieceBytes, ...options }: CallOptions & { readonly pieceBytes: number }) {
    this.sizeBytes = inner.sizeBytes;
    this.#inner = inner;
    this.#budget = budget;
    this.#held = new HeldBytes(budget);
    this.#pieceBytes = pieceBytes;
    this.#options = options;
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array, undefined> {
    const pieces = this.#inner[Symbol.asyncIterator]();
    return {
      next: () => this.#next(pieces),
      return: async () => {
        this.#end();
        await pieces.return?.();
        return { done: true, value: undefined };
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end();
    await this.#inner[Symbol.asyncDispose]();
  }

  async #next(pieces: AsyncIterator<Uint8Array, unknown>): Promise<IteratorResult<Uint8Array, undefined>> {
    try {
      if (!this.#admitted) await this.#admit();
      const next = await pieces.next();
      if (next.done === true) {
        this.#end();
        return { done: true, value: undefined };
      }
      return next;
    } catch (thrown) {
      this.#end();
      throw thrown;
    }
  }

  async #admit(): Promise<void> {
    this.#admitted = true;
    const bytes = Math.min(piecesMax * this.#pieceBytes, 2 * this.sizeBytes);
    await this.#budget.reserve(bytes, this.#options);
    if (this.#disposed) this.#budget.give(bytes);
    else this.#held.adopt(bytes);
  }

  #end(): void {
    this.#disposed = true;
    this.#held.set(0);
  }
}
