// A stream of stored bytes that somebody watches while it is read.
import type { ByteSource } from '../base/byte-source.ts';
import { CacheError } from '../base/cache-error.ts';

/** Told what happens to a stream. Must not throw. */
export interface SourceObserver {
  /** The consumer waits for `piece`. What is returned is what it gets: `piece`, or a promise for the same. */
  pulled<T>(piece: Promise<T>): Promise<T>;
  /** The stream was read to its end, failed, was left or was disposed; once. */
  ended(failure?: Error): void;
}

/** `source`, watched, unless it is in memory: then there is nothing to wait for, and it ends at once. */
export function observedSource(source: ByteSource, observer: SourceObserver): ByteSource {
  if (source.inMemory === undefined) return new ObservedByteSource(source, observer);
  observer.ended();
  return source;
}

/** `source`, watched until it is read to its end, fails, is left or disposed, also when it is in memory. */
export function heldSource(source: ByteSource, observer: SourceObserver): ByteSource {
  return new ObservedByteSource(source, observer);
}

class ObservedByteSource implements ByteSource {
  readonly sizeBytes: number;
  readonly inMemory: Uint8Array | undefined;
  readonly #inner: ByteSource;
  readonly #observer: SourceObserver;
  #ended = false;

  constructor(inner: ByteSource, observer: SourceObserver) {
    this.sizeBytes = inner.sizeBytes;
    this.inMemory = inner.inMemory;
    this.#inner = inner;
    this.#observer = observer;
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
      const next = await this.#observer.pulled(pieces.next());
      if (next.done !== true) return next;
      this.#end();
      return { done: true, value: undefined };
    } catch (thrown) {
      this.#end(CacheError.from(thrown));
      throw thrown;
    }
  }

  #end(failure?: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#observer.ended(failure);
  }
}
