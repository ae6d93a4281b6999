// Time that passes only when a test says so.
import type { MonotonicClock, Timers, WallClock } from '../base/clock.ts';

/** One clock for all three ports of time. Starts at `startMs`. */
export class ManualClock implements MonotonicClock, WallClock, Timers {
  #nowMs: number;
  readonly #pending = new Set<{ readonly dueMs: number; readonly callback: () => void }>();

  constructor(startMs = 1_000_000) {
    this.#nowMs = startMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, callback: () => void): Disposable {
    const timer = { dueMs: this.#nowMs + delayMs, callback };
    this.#pending.add(timer);
    return { [Symbol.dispose]: () => void this.#pending.delete(timer) };
  }

  /** Timers that have not fired. */
  get pendingTimers(): number {
    return this.#pending.size;
  }

  /** Lets `durationMs` pass, firing what falls due in order, each at its own time. */
  advance(durationMs: number): void {
    const untilMs = this.#nowMs + durationMs;
    for (let next = this.#next(untilMs); next !== undefined; next = this.#next(untilMs)) {
      this.#pending.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.dueMs);
      next.callback();
    }
    this.#nowMs = untilMs;
  }

  #next(untilMs: number): { readonly dueMs: number; readonly callback: () => void } | undefined {
    let first: { readonly dueMs: number; readonly callback: () => void } | undefined;
    for (const timer of this.#pending) {
      if (timer.dueMs <= untilMs && (first === undefined || timer.dueMs < first.dueMs)) first = timer;
    }
    return first;
  }
}
