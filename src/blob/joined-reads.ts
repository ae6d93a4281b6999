// Reads of the same thing at the same time, done once. Knows nothing of what is read.
import { CacheError } from '../base/cache-error.ts';
import type { CallOptions } from '../base/call-options.ts';

interface JoinedRead<T> {
  readonly result: Promise<T>;
  /** Ends the read when nobody waits for it any more. */
  readonly end: AbortController;
  waiters: number;
}

/** Holds no more than its callers have under way; remembers nothing. */
export class JoinedReads<K, T> {
  readonly #reads = new Map<K, JoinedRead<T>>();

  /**
   * What `read` resolves to, or what it resolves to for who asked before and still waits. `read` is ended by the signal
   * it is given, when the last caller has gone.
   * @throws what `read` throws, to all that wait; CacheError `cancelled` by the caller's own signal, to that one alone.
   */
  async of(key: K, read: (options: CallOptions) => Promise<T>, options?: CallOptions): Promise<T> {
    const signal = options?.signal;
    if (signal?.aborted) throw cancelled();
    const shared = this.#reads.get(key) ?? this.#begin(key, read);
    shared.waiters += 1;
    const { promise: left, reject } = Promise.withResolvers<never>();
    const leave = (): void => reject(cancelled());
    signal?.addEventListener('abort', leave, { once: true });
    try {
      return await Promise.race([shared.result, left]);
    } finally {
      signal?.removeEventListener('abort', leave);
      shared.waiters -= 1;
      if (shared.waiters === 0) {
        this.#forget(key, shared); // whoever comes now must not join a read that is being ended
        shared.end.abort();
      }
    }
  }

  #begin(key: K, read: (options: CallOptions) => Promise<T>): JoinedRead<T> {
    const end = new AbortController();
    const result = read({ signal: end.signal });
    const shared: JoinedRead<T> = { result, end, waiters: 0 };
    this.#reads.set(key, shared);
    const done = (): void => this.#forget(key, shared);
    result.then(done, done); // also where nobody waits any more to hear of a failure
    return shared;
  }

  #forget(key: K, shared: JoinedRead<T>): void {
    if (this.#reads.get(key) === shared) this.#reads.delete(key);
  }
}

function cancelled(): CacheError {
  return new CacheError('cancelled', 'the call was cancelled while a blob was read');
}
