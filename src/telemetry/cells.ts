// Counters and histograms as numbers in typed arrays: adding to one is a load, an addition and a store.
import type { Counter, Histogram } from '../base/metrics.ts';
import type { LogBuckets } from './log-buckets.ts';

/** Cells per array: many metrics share a few cache lines, and no array is ever copied to grow. */
const chunkCells = 1024;

/** A run of cells that belongs to one metric. */
export interface CellRange {
  readonly cells: Float64Array;
  readonly from: number;
}

/** Gives out cells, which start at 0. Doubles count exactly up to 2 to the power of 53. */
export class CellAllocator {
  #chunk = new Float64Array(chunkCells);
  #used = 0;

  take(count: number): CellRange {
    if (count > chunkCells) return { cells: new Float64Array(count), from: 0 };
    if (this.#used + count > chunkCells) {
      this.#chunk = new Float64Array(chunkCells);
      this.#used = 0;
    }
    const from = this.#used;
    this.#used += count;
    return { cells: this.#chunk, from };
  }
}

export class CellCounter implements Counter {
  readonly #cells: Float64Array;
  readonly #at: number;

  constructor({ cells, from }: CellRange) {
    this.#cells = cells;
    this.#at = from;
  }

  add(amount = 1): void {
    // Written out instead of `+=` with a default: an index that may be undefined is what the type says, and never is.
    this.#cells[this.#at] = (this.#cells[this.#at] ?? 0) + amount;
  }

  get value(): number {
    return this.#cells[this.#at] ?? 0;
  }
}

/** Counts per bucket, and behind them the sum of all values. */
export class CellHistogram implements Histogram {
  readonly buckets: LogBuckets;
  readonly #cells: Float64Array;
  readonly #from: number;
  readonly #sumAt: number;

  /** Cells that a histogram over `buckets` takes. */
  static cellsFor(buckets: LogBuckets): number {
    return buckets.count + 1;
  }

  constructor(buckets: LogBuckets, { cells, from }: CellRange) {
    this.buckets = buckets;
    this.#cells = cells;
    this.#from = from;
    this.#sumAt = from + buckets.count;
  }

  record(value: number, times = 1): void {
    const at = this.#from + this.buckets.indexOf(value);
    this.#cells[at] = (this.#cells[at] ?? 0) + times;
    if (value > 0) this.#cells[this.#sumAt] = (this.#cells[this.#sumAt] ?? 0) + value * times;
  }

  get sum(): number {
    return this.#cells[this.#sumAt] ?? 0;
  }

  get count(): number {
    let count = 0;
    for (let index = 0; index < this.buckets.count; index += 1) count += this.countIn(index);
    return count;
  }

  countIn(bucket: number): number {
    return this.#cells[this.#from + bucket] ?? 0;
  }
}
