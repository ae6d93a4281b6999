// Waits that end after a time, sooner when something happens, and all at once when their owner closes.
import type { Timers } from '../base/clock.ts';

export class BoundedWaits {
  readonly #timers: Timers;
  /** Ends every wait that is under way. */
  readonly #wakers = new Set<() => void>();
  #isClosed = false;

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  /** Until so much time has passed, or one of `sooner`, or the end. */
  async pass(durationMs: number, ...sooner: readonly Promise<void>[]): Promise<void> {
    if (this.#isClosed) return;
    const { promise: passed, resolve } = Promise.withResolvers<void>();
    this.#wakers.add(resolve);
    try {
      using _timer = this.#timers.after(durationMs, resolve);
      await Promise.race([passed, ...sooner]);
    } finally {
      this.#wakers.delete(resolve);
    }
  }

  /** Ends all that is waited for, and all that will be. */
  close(): void {
    this.#isClosed = true;
    for (const wake of this.#wakers) wake();
  }
}
