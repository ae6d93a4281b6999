// Objects in an order: a list that is linked both ways over typed arrays, so that any of them is taken out in constant time.

const none = -1;

export class ObjectOrder {
  readonly #sizes: Float64Array;
  readonly #newer: Int32Array;
  readonly #older: Int32Array;
  readonly #isIn: Uint8Array;
  #newest = none;
  #oldest = none;
  #bytes = 0;

  constructor(sizes: Float64Array) {
    this.#sizes = sizes;
    this.#newer = new Int32Array(sizes.length).fill(none);
    this.#older = new Int32Array(sizes.length).fill(none);
    this.#isIn = new Uint8Array(sizes.length);
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** -1: there is none. */
  get oldest(): number {
    return this.#oldest;
  }

  has(object: number): boolean {
    return this.#isIn[object] === 1;
  }

  /** -1: it is the newest. */
  newerThan(object: number): number {
    return this.#newer[object] ?? none;
  }

  /** As the newest. */
  add(object: number): void {
    if (this.has(object)) throw new Error(`object ${object} is in the order already`);
    this.#isIn[object] = 1;
    this.#newer[object] = none;
    this.#older[object] = this.#newest;
    if (this.#newest === none) this.#oldest = object;
    else this.#newer[this.#newest] = object;
    this.#newest = object;
    this.#bytes += this.#sizes[object] ?? 0;
  }

  remove(object: number): void {
    if (!this.has(object)) throw new Error(`object ${object} is not in the order`);
    this.#isIn[object] = 0;
    const [newer, older] = [this.#newer[object] ?? none, this.#older[object] ?? none];
    if (newer === none) this.#newest = older;
    else this.#older[newer] = older;
    if (older === none) this.#oldest = newer;
    else this.#newer[older] = newer;
    this.#bytes -= this.#sizes[object] ?? 0;
  }

  /** To the newest end. */
  renew(object: number): void {
    this.remove(object);
    this.add(object);
  }
}
