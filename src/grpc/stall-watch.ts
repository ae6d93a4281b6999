// Ends the wait for a client that does nothing any more. Its connection may live for hours, and a waiting call holds
// what others need: a permit to write, an open file.
import type { Timers } from '../base/clock.ts';

/** Calls `onStall` once when `progress` has given the same number for `stallMs` (up to twice that), until disposed. */
export class StallWatch implements Disposable {
  readonly #timers: Timers;
  readonly #stallMs: number;
  readonly #progress: () => number;
  readonly #onStall: () => void;
  #timer: Disposable;

  constructor(timers: Timers, stallMs: number, progress: () => number, onStall: () => void) {
    this.#timers = timers;
    this.#stallMs = stallMs;
    this.#progress = progress;
    this.#onStall = onStall;
    this.#timer = this.#arm();
  }

  [Symbol.dispose](): void {
    this.#timer[Symbol.dispose]();
  }

  /** One timer per wait, not per step of progress. */
  #arm(): Disposable {
    const before = this.#progress();
    return this.#timers.after(this.#stallMs, () => {
      if (this.#progress() === before) this.#onStall();
      else this.#timer = this.#arm();
    });
  }
}
