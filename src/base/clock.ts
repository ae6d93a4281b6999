// The ports of time. Apart, because they answer different questions: the monotonic one never jumps and means
// nothing outside the process, the wall clock may jump and is only for people and for files.

/** Milliseconds since an arbitrary start, with fractions. Never goes back. */
export interface MonotonicClock {
  nowMs(): number;
}

/** Milliseconds since the Unix epoch. May jump both ways. */
export interface WallClock {
  nowMs(): number;
}

/** Resolves in a later turn of the event loop, when what waits meanwhile has had its turn. For long work in parts. */
export type NextTurn = () => Promise<void>;

/** A callback later. Disposing the timer cancels it; disposing twice, or after it fired, does nothing. */
export interface Timers {
  /** Calls `callback` once, not before `delayMs` have passed. */
  after(delayMs: number, callback: () => void): Disposable;
}
