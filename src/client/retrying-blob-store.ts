// A decorator that tries again what failed for a reason that may pass.
import type { ByteSource } from '../base/byte-source.ts';
import { CacheError } from '../base/cache-error.ts';
import type { CallOptions } from '../base/call-options.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import type { BlobBytes, BlobStore, BlobStoreCapabilities, ByteRange, GetOptions, GetResult, PutResult } from '../blob/blob-store.ts';
import type { Digest } from '../digest/digest.ts';
import type { DigestFunction } from '../digest/digest-function.ts';
import type { DigestList } from '../digest/digest-list.ts';
import type { Retries } from './retries.ts';

/** Bytes that can be read as often as one likes, from the beginning each time. */
export interface RestartableBytes extends AsyncIterable<Uint8Array> {
  readonly restartable: true;
}

/**
 * Every verb may be repeated: a blob is the same however often it is put. A get that breaks in the middle goes on
 * where it broke. A put is repeated as long as nothing was taken from its source, or if the source is in memory or
 * RestartableBytes.
 */
export class RetryingBlobStore implements BlobStore {
  readonly capabilities: BlobStoreCapabilities;
  readonly #inner: BlobStore;
  readonly #retries: Retries;

  constructor(inner: BlobStore, retries: Retries) {
    this.capabilities = inner.capabilities;
    this.#inner = inner;
    this.#retries = retries;
  }

  findMissing(digests: DigestList, options?: CallOptions): Promise<DigestList> {
    return this.#retries.run(async () => this.#inner.findMissing(digests, options), options);
  }

  resolve(digestFunction: DigestFunction, hash: string, options?: CallOptions): Promise<Digest | undefined> {
    return this.#retries.run(async () => this.#inner.resolve(digestFunction, hash, options), options);
  }

  async get(digest: Digest, options: GetOptions = {}): Promise<ByteSource | undefined> {
    const first = await this.#open(digest, options);
    if (first === undefined || first.inMemory !== undefined) return first;
    const range = options.range ?? { offset: 0, length: digest.sizeBytes };
    const reading = new ResumedReading(first, range, (rest) => this.#open(digest, { ...options, range: rest }), (thrown) => this.#retries.isWorthwhile(thrown));
    const bytes = reading.bytes();
    return { sizeBytes: range.length, [Symbol.asyncIterator]: () => bytes, [Symbol.asyncDispose]: () => reading.dispose() };
  }

  async getMany(digests: DigestList, options?: CallOptions): Promise<readonly GetResult[]> {
    return this.#each(digests.length, async (open) => {
      const part = open.length === digests.length ? digests : digests.select((index) => open.includes(index));
      return this.#inner.getMany(part, options);
    }, options);
  }

  async put(digest: Digest, bytes: AsyncIterable<Uint8Array>, options?: CallOptions): Promise<void> {
    const isRestartable = ('inMemory' in bytes && bytes.inMemory !== undefined) || 'restartable' in bytes;
    let touched = false;
    const watched: AsyncIterable<Uint8Array> = {
      [Symbol.asyncIterator]() {
        touched = true;
        return bytes[Symbol.asyncIterator]();
      },
    };
    await this.#retries.run(() => this.#inner.put(digest, isRestartable ? bytes : watched, options), { ...options, isRepeatable: () => isRestartable || !touched });
  }

  async putMany(blobs: readonly BlobBytes[], options?: CallOptions): Promise<readonly PutResult[]> {
    return this.#each(blobs.length, (open) => this.#inner.putMany(open.flatMap((index) => blobs[index] ?? []), options), options);
  }

  #open(digest: Digest, options: GetOptions): Promise<ByteSource | undefined> {
    return this.#retries.run(async () => this.#inner.get(digest, options), options);
  }

  /** The results of `ask` for 0 to `length`, asked again for those alone that failed for a reason that may pass. */
  async #each<T>(length: number, ask: (open: readonly number[]) => MaybePromise<readonly (T | CacheError)[]>, options: CallOptions | undefined): Promise<readonly (T | CacheError)[]> {
    const results = new Array<T | CacheError>(length);
    let open: readonly number[] = Array.from(results.keys());
    const attempt = async (): Promise<void> => {
      const answers = await ask(open);
      for (const [position, index] of open.entries()) results[index] = answers[position] as T | CacheError;
      open = open.filter((index) => this.#retries.isWorthwhile(results[index]));
      const failure = open.map((index) => results[index]).find((result) => result instanceof CacheError);
      if (failure !== undefined) throw failure;
    };
    try {
      await this.#retries.run(attempt, options);
    } catch (thrown) {
      // The last failures are results like others; what is not among them failed the call as a whole.
      if (!open.some((index) => results[index] === thrown)) throw thrown;
    }
    return results;
  }
}

/** Reads a range to its end, over as many openings as it takes. */
class ResumedReading {
  #current: ByteSource | undefined;
  #range: ByteRange;
  #isDisposed = false;
  readonly #reopen: (rest: ByteRange) => Promise<ByteSource | undefined>;
  readonly #isWorthwhile: (thrown: unknown) => boolean;

  constructor(first: ByteSource, range: ByteRange, reopen: (rest: ByteRange) => Promise<ByteSource | undefined>, isWorthwhile: (thrown: unknown) => boolean) {
    this.#current = first;
    this.#range = range;
    this.#reopen = reopen;
    this.#isWorthwhile = isWorthwhile;
  }

  async *bytes(): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      for (let progressed = true; this.#current !== undefined; ) {
        try {
          for await (const chunk of this.#current) {
            progressed ||= chunk.byteLength > 0;
            const { offset, length } = this.#range;
            this.#range = { offset: offset + chunk.byteLength, length: length - chunk.byteLength };
            yield chunk;
          }
          return;
        } catch (thrown) {
          // A connection that breaks twice without a byte between will not get further at the third time.
          if (!progressed || this.#isDisposed || !this.#isWorthwhile(thrown)) throw thrown;
          progressed = false;
          await this.#goOn(thrown);
        }
      }
    } finally {
      await this.dispose();
    }
  }

  async #goOn(thrown: unknown): Promise<void> {
    await this.#close();
    this.#current = await this.#reopen(this.#range);
    if (this.#current === undefined) throw new CacheError('unavailable', 'the blob went away while it was read', { cause: thrown });
    // Disposed while it was opened: nobody else knows of it.
    if (this.#isDisposed) throw new CacheError('cancelled', 'the blob was disposed while it was read', { cause: thrown });
  }

  async dispose(): Promise<void> {
    this.#isDisposed = true;
    await this.#close();
  }

  async #close(): Promise<void> {
    const current = this.#current;
    this.#current = undefined;
    await current?.[Symbol.asyncDispose]();
  }
}
