// So many at a time, and so many in line; the next one is refused.
import { assert } from './assert.ts';
import { CacheError } from './cache-error.ts';
import type { CallOptions } from './call-options.ts';

export interface SemaphoreLimits {
  /** Permits given out at the same time. */
  readonly permitsMax: number;
  /** Callers in line; one more is told that the server is busy. */
  readonly waitersMax: number;
}

/** How soon a caller that found the line full may come again. */
const busyRetryMs = 250;

/** Gives out permits in the order in which they were asked for. */
export class Semaphore {
  readonly #purpose: string;
  readonly #limits: SemaphoreLimits;
  #givenOut = 0;
  readonly #waiters = new Set<() => void>();

  /** `purpose` says in a refusal what there is too much of: "open files". */
  constructor(purpose: string, limits: SemaphoreLimits) {
    assert(limits.permitsMax > 0, 'a semaphore has at least one permit');
    this.#purpose = purpose;
    this.#limits = limits;
  }

  /** Permits given out and not given back. */
  get givenOut(): number {
    return this.#givenOut;
  }

  /** Callers in line. */
  get waiting(): number {
    return this.#waiters.size;
  }

  get permitsMax(): number {
    return this.#limits.permitsMax;
  }

  /**
   * A permit; dispose it to give it back, once or more often.
   * @throws CacheError `unavailable` with `retry_after` (the line is full), `cancelled` by the signal while in line.
   */
  async acquire(options?: CallOptions): Promise<Disposable> {
    if (this.#givenOut < this.#limits.permitsMax) {
      this.#givenOut += 1;
      return this.#permit();
    }
    if (this.#waiters.size >= this.#limits.waitersMax) {
      throw new CacheError('busy', `too many ${this.#purpose} at the same time: ${this.#limits.permitsMax} in use, ${this.#waiters.size} waiting`, {
        details: [{ kind: 'retry_after', delayMs: busyRetryMs }],
      });
    }
    await this.#turn(options?.signal);
    return this.#permit();
  }

  /** Resolves with a permit handed over: the count stays as it is. */
  #turn(signal: AbortSignal | undefined): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const cancelled = (): void => {
      this.#waiters.delete(go);
      reject(new CacheError('cancelled', `the call was cancelled while it waited for ${this.#purpose}`));
    };
    const go = (): void => {
      signal?.removeEventListener('abort', cancelled);
      resolve();
    };
    if (signal?.aborted) cancelled();
    else {
      signal?.addEventListener('abort', cancelled, { once: true });
      this.#waiters.add(go);
    }
    return promise;
  }

  #permit(): Disposable {
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        for (const next of this.#waiters) {
          this.#waiters.delete(next);
          next();
          return;
        }
        this.#givenOut -= 1;
      },
    };
  }
}

/**
 * The results of `work` on each item, in order, at most `concurrencyMax` at a time.
 * The first failure is thrown once nothing runs any more; items not begun by then are left out.
 */
export async function mapBounded<T, R>(items: readonly T[], concurrencyMax: number, work: (item: T, index: number) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const entries = items.entries();
  let failed = false;
  const lane = async (): Promise<void> => {
    for (const [index, item] of entries) {
      if (failed) return;
      try {
        results[index] = await work(item, index);
      } catch (thrown) {
        failed = true;
        throw thrown;
      }
    }
  };
  const lanes = await Promise.allSettled(Array.from({ length: Math.min(concurrencyMax, items.length) }, lane));
  for (const outcome of lanes) if (outcome.status === 'rejected') throw outcome.reason;
  return results;
}
