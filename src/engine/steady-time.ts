// Wall time that does not jump within a run, so that a changed clock neither ages nor rejuvenates a file.
import type { MonotonicClock, WallClock } from '../base/clock.ts';

/** Milliseconds since the Unix epoch by the wall clock at the start, and by the monotonic clock from there. */
export class SteadyTime {
  readonly #clock: MonotonicClock;
  readonly #offsetMs: number;

  constructor(clock: MonotonicClock, wallClock: WallClock) {
    this.#clock = clock;
    this.#offsetMs = wallClock.nowMs() - clock.nowMs();
  }

  nowMs(): number {
    return this.#clock.nowMs() + this.#offsetMs;
  }
}
