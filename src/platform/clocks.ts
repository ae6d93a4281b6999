// The real clocks and timers.
import type { MonotonicClock, NextTurn, Timers, WallClock } from '../base/clock.ts';

export const monotonicClock: MonotonicClock = { nowMs: () => performance.now() };

export const wallClock: WallClock = { nowMs: () => Date.now() };

/** After sockets and files were looked at once. */
export const nextTurn: NextTurn = () => new Promise((resolve) => setImmediate(resolve));

/** Node fires a timer at once, with a warning, when its delay is above this; a longer wait is cut to it. */
const delayMsMax = 2 ** 31 - 1;

/** Of a server, whose sockets say how long it lives: a pending timer does not keep the process alive. */
export const timers: Timers = {
  after(delayMs, callback) {
    const timer = setTimeout(callback, Math.min(delayMs, delayMsMax));
    timer.unref();
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  },
};

/** Of a client, which may wait for nothing else: a pending timer keeps the process alive. */
export const waitingTimers: Timers = {
  after(delayMs, callback) {
    const timer = setTimeout(callback, Math.min(delayMs, delayMsMax));
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  },
};
