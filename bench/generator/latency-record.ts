// Latencies of calls that were due at fixed times. Each counts from when it was due, not from when it was sent: a
// server that stalls delays the calls behind the stall as well, and a record from the moment of sending would leave
// just those out (coordinated omission).
import { percentile } from '../harness/statistics.ts';
import type { LatencyOutcome } from '../traffic/traffic.ts';

export class LatencyRecord {
  readonly #startMs: number;
  readonly #intervalMs: number;
  readonly #latencies: Float64Array;
  readonly #lags: Float64Array;
  #done = 0;

  constructor(startMs: number, ratePerSecond: number, operations: number) {
    this.#startMs = startMs;
    this.#intervalMs = 1_000 / ratePerSecond;
    this.#latencies = new Float64Array(operations).fill(NaN);
    this.#lags = new Float64Array(operations);
  }

  /** When the call of that number is due. */
  dueMs(index: number): number {
    return this.#startMs + index * this.#intervalMs;
  }

  /** How many calls are due by `nowMs`, all told. */
  dueCount(nowMs: number): number {
    return Math.min(this.#latencies.length, Math.max(0, Math.floor((nowMs - this.#startMs) / this.#intervalMs) + 1));
  }

  /** The generator got round to the call; whether the server let it go out is another matter. */
  noticed(index: number, nowMs: number): void {
    this.#lags[index] = nowMs - this.dueMs(index);
  }

  answered(index: number, nowMs: number): void {
    this.#latencies[index] = nowMs - this.dueMs(index);
    this.#done += 1;
  }

  /** Whoever was not answered by now has waited at least so long. */
  giveUp(nowMs: number): void {
    for (const [index, latency] of this.#latencies.entries()) if (Number.isNaN(latency)) this.answered(index, nowMs);
  }

  get complete(): boolean {
    return this.#done >= this.#latencies.length; // an answer may come after it was given up
  }

  /** Microseconds. */
  outcome(): LatencyOutcome {
    const sorted = this.#latencies.toSorted();
    const at = (share: number): number => percentile(sorted, share) * 1_000;
    return {
      p50: at(0.5),
      p90: at(0.9),
      p99: at(0.99),
      p999: at(0.999),
      worst: at(1),
      sendLagP99: percentile(this.#lags.toSorted(), 0.99) * 1_000,
    };
  }
}
