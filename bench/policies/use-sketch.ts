// About how often an object was asked for lately: a count-min sketch whose counters are halved from time to time, so that what was
// popular once is forgotten. Einziger, Friedman, Manes: "TinyLFU: A Highly Efficient Cache Admission Policy", ACM Transactions
// on Storage 13(4), 2017, sections 3.1 to 3.4 (without the doorkeeper).

const rows = 4;
/** Counters have four bits. */
const countMax = 15;
/** Requests until all are halved, as a multiple of the objects that the cache holds. */
const sampleFactor = 10;
const rowSeeks: readonly number[] = [0x9e37_79b1, 0x85eb_ca77, 0xc2b2_ae3d, 0x27d4_eb2f];

export class UseSketch {
  readonly #counts: Uint8Array;
  readonly #mask: number;
  readonly #sampleMax: number;
  #sample = 0;

  /** @param objects about as many as the cache holds. */
  constructor(objects: number) {
    const width = 2 ** Math.ceil(Math.log2(Math.max(16, objects)));
    this.#counts = new Uint8Array(rows * width);
    this.#mask = width - 1;
    this.#sampleMax = sampleFactor * Math.max(1, objects);
  }

  add(object: number): void {
    for (let row = 0; row < rows; row += 1) {
      const at = this.#placeOf(object, row);
      const count = this.#counts[at] ?? 0;
      if (count < countMax) this.#counts[at] = count + 1;
    }
    this.#sample += 1;
    if (this.#sample >= this.#sampleMax) this.#halve();
  }

  count(object: number): number {
    let least = countMax;
    for (let row = 0; row < rows; row += 1) least = Math.min(least, this.#counts[this.#placeOf(object, row)] ?? 0);
    return least;
  }

  #halve(): void {
    for (let at = 0; at < this.#counts.length; at += 1) this.#counts[at] = (this.#counts[at] ?? 0) >> 1;
    this.#sample = Math.floor(this.#sample / 2);
  }

  #placeOf(object: number, row: number): number {
    let mixed = Math.imul(object + 1, rowSeeks[row] ?? 1);
    mixed ^= mixed >>> 15;
    mixed = Math.imul(mixed, 0x2c1b_3c6d);
    mixed ^= mixed >>> 13;
    return row * (this.#mask + 1) + (mixed & this.#mask);
  }
}
