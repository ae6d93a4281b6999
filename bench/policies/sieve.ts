// SIEVE, after Zhang, Yang, Yue, Vigfusson, Rashmi: "SIEVE is Simpler than LRU: an Efficient Turn-Key Eviction Algorithm for Web
// Caches", NSDI 2024, algorithm 1. A queue in the order of insertion; a hand goes from its oldest end to its newest, takes away
// marks of use, and evicts the first object without one; it stays where it is, and what was used does not move.
// With sizes: as many are evicted as it takes.
import { ObjectOrder } from './object-order.ts';
import type { EvictionPolicy, PolicyOptions } from './policy.ts';

export class Sieve implements EvictionPolicy {
  readonly #options: PolicyOptions;
  readonly #order: ObjectOrder;
  readonly #wasUsed: Uint8Array;
  /** -1: at the oldest end. */
  #hand = -1;
  readonly movedBytes = 0;

  constructor(options: PolicyOptions) {
    this.#options = options;
    this.#order = new ObjectOrder(options.sizes);
    this.#wasUsed = new Uint8Array(options.sizes.length);
  }

  get usedBytes(): number {
    return this.#order.bytes;
  }

  request(object: number): boolean {
    const { sizes, capacityBytes } = this.#options;
    if (this.#order.has(object)) {
      this.#wasUsed[object] = 1;
      return true;
    }
    const size = sizes[object] ?? 0;
    if (size > capacityBytes) return false;
    while (this.#order.bytes + size > capacityBytes) this.#evict();
    this.#order.add(object);
    this.#wasUsed[object] = 0;
    return false;
  }

  #evict(): void {
    let object = this.#hand === -1 ? this.#order.oldest : this.#hand;
    while (this.#wasUsed[object] === 1) {
      this.#wasUsed[object] = 0;
      object = this.#order.newerThan(object);
      if (object === -1) object = this.#order.oldest;
    }
    this.#hand = this.#order.newerThan(object);
    this.#order.remove(object);
  }
}
