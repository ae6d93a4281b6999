// W-TinyLFU, after Einziger, Friedman, Manes: "TinyLFU: A Highly Efficient Cache Admission Policy", ACM Transactions on Storage
// 13(4), 2017, section 4. A window of one per cent, least recently used, which new objects go through; what falls out of it is
// let into the main part only if it was asked for more often than what would have to go. The main part is a segmented LRU: a
// fifth is on probation, objects used there are protected. With sizes: one after the other has to go, until there is room or one
// of them was asked for as often as the newcomer, which then goes itself.
import { ObjectOrder } from './object-order.ts';
import type { EvictionPolicy, PolicyOptions } from './policy.ts';
import { UseSketch } from './use-sketch.ts';

const windowShare = 0.01;
const protectedShare = 0.8;

export class WTinyLfu implements EvictionPolicy {
  readonly #options: PolicyOptions;
  readonly #window: ObjectOrder;
  readonly #probation: ObjectOrder;
  readonly #protected: ObjectOrder;
  readonly #sketch: UseSketch;
  readonly #windowBytes: number;
  readonly #protectedBytes: number;
  #movedBytes = 0;

  constructor(options: PolicyOptions) {
    const { sizes, capacityBytes } = options;
    this.#options = options;
    this.#window = new ObjectOrder(sizes);
    this.#probation = new ObjectOrder(sizes);
    this.#protected = new ObjectOrder(sizes);
    const meanBytes = sizes.reduce((sum, size) => sum + size, 0) / Math.max(1, sizes.length);
    this.#sketch = new UseSketch(Math.ceil(capacityBytes / Math.max(1, meanBytes)));
    this.#windowBytes = windowShare * capacityBytes;
    this.#protectedBytes = protectedShare * (capacityBytes - this.#windowBytes);
  }

  get usedBytes(): number {
    return this.#window.bytes + this.#probation.bytes + this.#protected.bytes;
  }

  get movedBytes(): number {
    return this.#movedBytes;
  }

  request(object: number): boolean {
    this.#sketch.add(object);
    const size = this.#options.sizes[object] ?? 0;
    if (this.#window.has(object)) this.#window.renew(object);
    else if (this.#protected.has(object)) this.#protected.renew(object);
    else if (this.#probation.has(object)) this.#protect(object);
    else {
      if (size <= this.#options.capacityBytes) this.#insert(object);
      return false;
    }
    this.#movedBytes += size;
    return true;
  }

  #protect(object: number): void {
    this.#probation.remove(object);
    this.#protected.add(object);
    while (this.#protected.bytes > this.#protectedBytes) {
      const demoted = this.#protected.oldest;
      this.#protected.remove(demoted);
      this.#probation.add(demoted);
      this.#movedBytes += this.#options.sizes[demoted] ?? 0;
    }
  }

  #insert(object: number): void {
    this.#window.add(object);
    // As long as there is room nobody is compared with anybody.
    while (this.#window.bytes > this.#windowBytes) {
      const candidate = this.#window.oldest;
      this.#window.remove(candidate);
      this.#admit(candidate);
    }
  }

  #admit(candidate: number): void {
    const size = this.#options.sizes[candidate] ?? 0;
    const mainBytes = this.#options.capacityBytes - this.#windowBytes;
    while (this.#probation.bytes + this.#protected.bytes + size > mainBytes) {
      const order = this.#probation.oldest === -1 ? this.#protected : this.#probation;
      const victim = order.oldest;
      if (victim === -1 || this.#sketch.count(candidate) <= this.#sketch.count(victim)) return;
      order.remove(victim);
    }
    this.#probation.add(candidate);
    this.#movedBytes += size;
  }
}
