// How many pieces of work go on, for whoever has to wait for their end before taking things away from them.
import { assert } from './assert.ts';

/** Counts up and down; whoever shuts down waits for zero. */
export class RunningCount {
  #count = 0;
  #idle: PromiseWithResolvers<void> | undefined;

  get value(): number {
    return this.#count;
  }

  started(): void {
    this.#count += 1;
  }

  ended(): void {
    assert(this.#count > 0, 'what ends has started');
    this.#count -= 1;
    if (this.#count > 0) return;
    this.#idle?.resolve();
    this.#idle = undefined;
  }

  /** Resolves when the count is zero, at once if it is. What starts later is not waited for. */
  idle(): Promise<void> {
    if (this.#count === 0) return Promise.resolve();
    this.#idle ??= Promise.withResolvers();
    return this.#idle.promise;
  }
}
