// Least recently used: the oldest rule, and what most caches of builds do.
import { ObjectOrder } from './object-order.ts';
import type { EvictionPolicy, PolicyOptions } from './policy.ts';

export class Lru implements EvictionPolicy {
  readonly #options: PolicyOptions;
  readonly #order: ObjectOrder;
  #movedBytes = 0;

  constructor(options: PolicyOptions) {
    this.#options = options;
    this.#order = new ObjectOrder(options.sizes);
  }

  get usedBytes(): number {
    return this.#order.bytes;
  }

  get movedBytes(): number {
    return this.#movedBytes;
  }

  request(object: number): boolean {
    const { sizes, capacityBytes } = this.#options;
    const size = sizes[object] ?? 0;
    if (this.#order.has(object)) {
      this.#order.renew(object);
      this.#movedBytes += size;
      return true;
    }
    if (size > capacityBytes) return false;
    while (this.#order.bytes + size > capacityBytes) this.#order.remove(this.#order.oldest);
    this.#order.add(object);
    return false;
  }
}
