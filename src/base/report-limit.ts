// Keeps what goes wrong thousands of times from being said thousands of times.
import { assert } from './assert.ts';
import type { MonotonicClock } from './clock.ts';

/** Lets one report through per period and counts the rest, so that the next one can say how many there were. */
export class ReportLimit {
  readonly #clock: MonotonicClock;
  readonly #periodMs: number;
  #quietUntilMs = -Infinity;
  #heldBack = 0;

  constructor(clock: MonotonicClock, periodMs: number) {
    assert(periodMs > 0, 'a period has a length');
    this.#clock = clock;
    this.#periodMs = periodMs;
  }

  /** Undefined when it is not time for a report; else how many were held back since the last one. */
  next(): number | undefined {
    const nowMs = this.#clock.nowMs();
    if (nowMs < this.#quietUntilMs) {
      this.#heldBack += 1;
      return undefined;
    }
    const heldBack = this.#heldBack;
    this.#heldBack = 0;
    this.#quietUntilMs = nowMs + this.#periodMs;
    return heldBack;
  }
}
