// Sums of what stands before a place in a row of amounts that change all the time: a Fenwick tree. Each question and change looks
// at no more numbers than the length of the row has binary digits (21 for two million places), and takes 8 bytes a place.
import { assert } from '../base/assert.ts';

/** Amounts are whole numbers of at least 0, and all of them together are below 2^53: sums are exact. */
export class PrefixSums {
  readonly length: number;
  /** At `end`: the sum of the places below `end` from where the lowest bit of `end` is taken away. */
  readonly #sums: Float64Array;
  readonly #highestBit: number;

  constructor(length: number) {
    assert(Number.isSafeInteger(length) && length > 0 && length < 2 ** 31, 'a row has places');
    this.length = length;
    this.#sums = new Float64Array(length + 1);
    this.#highestBit = 2 ** (31 - Math.clz32(length));
  }

  /** Of all places. */
  get total(): number {
    return this.before(this.length);
  }

  /** The sum of all places below `end`; 0 to `length`. */
  before(end: number): number {
    let sum = 0;
    for (let at = end; at > 0; at &= at - 1) sum += this.#sums[at] ?? 0;
    return sum;
  }

  at(place: number): number {
    return this.before(place + 1) - this.before(place);
  }

  /** `amount` may be negative; what there is does not become so. */
  add(place: number, amount: number): void {
    assert(place >= 0 && place < this.length, 'the row has that place');
    for (let at = place + 1; at <= this.length; at += at & -at) this.#sums[at] = (this.#sums[at] ?? 0) + amount;
  }

  /** The last place, or the end of the row, with less than `sum` before it; `sum` is above 0. */
  lastBelow(sum: number): number {
    let [place, rest] = [0, sum];
    for (let step = this.#highestBit; step > 0; step >>>= 1) {
      const part = place + step > this.length ? Infinity : (this.#sums[place + step] ?? 0);
      if (part >= rest) continue;
      place += step;
      rest -= part;
    }
    return place;
  }

  clear(): void {
    this.#sums.fill(0);
  }
}
