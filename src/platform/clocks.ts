// The real clocks and timers.
import type { MonotonicClock, Timers, WallClock } from '../base/clock.ts';

export const monotonicClock: MonotonicClock = { nowMs: () => performance.now() };

export const wallClock: WallClock = { nowMs: () => Date.now() };

/** Node fires a timer at once, with a warning, when its delay is above this; a longer wait is cut to it. */
const delayMsMax = 2 ** 31 - 1;

export const timers: Timers = {
  after(delayMs, callback) {
    const timer = setTimeout(callback, Math.min(delayMs, delayMsMax));
    timer.unref(); // a pending timer does not keep the process alive
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  },
};
