// Puts of one call that are waited for together: one promise for all of them, the one that the call returns
// (docs/benchmarks.md, store-small-writes).
import { CacheError } from '../base/cache-error.ts';
import type { PutSettled } from '../engine/small-puts.ts';
import type { PutResult } from './blob-store.ts';

/** Begun one after the other, then ended. */
export class PutBatch {
  /** By index; what has not settled, and what needed no put, is undefined, as what was put. */
  readonly results: PutResult[];
  /** Not settled, and one more until all are begun. */
  #openCount = 1;
  readonly #all = Promise.withResolvers<readonly PutResult[]>();

  constructor(count: number) {
    this.results = new Array<PutResult>(count).fill(undefined);
  }

  /** What `put` throws, and what it tells its argument later, is the result. @throws what is no CacheError: a mistake of ours. */
  begin(index: number, put: (settled: PutSettled) => void): void {
    this.#openCount += 1;
    const settled: PutSettled = (failure) => {
      this.results[index] = failure;
      this.#settledOne();
    };
    try {
      put(settled);
    } catch (thrown) {
      if (!(thrown instanceof CacheError)) throw thrown;
      settled(thrown);
    }
  }

  /** What puts otherwise: it writes their results itself. What it rejects with is what `end` rejects with. */
  add(others: Promise<void>): void {
    this.#openCount += 1;
    others.then(() => this.#settledOne(), this.#all.reject);
  }

  /** None follows. Resolves to `results` when all have settled. */
  end(): Promise<readonly PutResult[]> {
    this.#settledOne();
    return this.#all.promise;
  }

  #settledOne(): void {
    this.#openCount -= 1;
    if (this.#openCount === 0) this.#all.resolve(this.results);
  }
}
