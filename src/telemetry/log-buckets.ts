// The buckets of our histograms: equal steps within each doubling, so that the relative error is the same for
// microseconds and minutes, and finding one's bucket costs two loads and a shift.

/** Each doubling has 2 to the power of this many buckets: 8, so that a bucket is at most 12.5 % wide. */
const stepBits = 3;
export const bucketsPerDoubling: number = 1 << stepBits;

/** Of the upper half of an IEEE 754 double: sign and exponent, then 20 bits of mantissa. */
const mantissaBits = 20;
const exponentBias = 1023;

/** Which values a histogram tells apart. */
export interface BucketRange {
  /** What is recorded is multiplied by this before it is put into a bucket, so that bounds are round in that unit. */
  readonly scale: number;
  /** Everything below `2 ** lowestPower` (scaled) is one bucket. */
  readonly lowestPower: number;
  /** Everything from `2 ** highestPower` (scaled) on is one bucket. */
  readonly highestPower: number;
}

/** 32 us to 67 s: from what a call costs in memory to what a client waits for. Bounds are round in microseconds. */
export const secondsRange: BucketRange = { scale: 1e6, lowestPower: 5, highestPower: 26 };
/** 64 bytes to 64 GiB. */
export const bytesRange: BucketRange = { scale: 1, lowestPower: 6, highestPower: 36 };

/** Numbers buckets from 0 (all that is too small) to `count - 1` (all that is too large). */
export class LogBuckets {
  readonly range: BucketRange;
  readonly count: number;
  readonly #first: number;
  /** One double, seen as two words, whichever way round this machine has them. */
  readonly #double = new Float64Array(1);
  readonly #words = new Uint32Array(this.#double.buffer);
  readonly #high: 0 | 1;

  constructor(range: BucketRange) {
    this.range = range;
    this.count = (range.highestPower - range.lowestPower) * bucketsPerDoubling + 2;
    this.#double[0] = 1;
    this.#high = this.#words[0] === 0 ? 1 : 0;
    this.#first = (range.lowestPower + exponentBias) * bucketsPerDoubling - 1;
  }

  /** The bucket of a value in its own unit. What is no number at all counts as too small. */
  indexOf(value: number): number {
    this.#double[0] = value * this.range.scale;
    // The bits of a positive double order as its value does; those of a negative one, or of NaN, are caught here.
    if (!(value > 0)) return 0;
    const index = ((this.#words[this.#high] ?? 0) >>> (mantissaBits - stepBits)) - this.#first;
    return index < 0 ? 0 : index >= this.count ? this.count - 1 : index;
  }

  /** What is in bucket `index` is below this, in the unit of the values; Infinity for the last. */
  upperBound(index: number): number {
    if (index >= this.count - 1) return Infinity;
    const doublings = Math.floor(index / bucketsPerDoubling);
    const scaled = 2 ** (this.range.lowestPower + doublings) * (1 + (index % bucketsPerDoubling) / bucketsPerDoubling);
    return scaled / this.range.scale;
  }
}
