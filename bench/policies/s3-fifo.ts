// S3-FIFO, after Yang, Zhang, Qiu, Yue, Rashmi: "FIFO queues are all you need for cache eviction", SOSP 2023, algorithm 1. A small
// queue of a tenth, which new objects go through; a main queue, into which those come that were used more than once in the small
// one, or that come back soon after they fell out of it; and a ghost queue that remembers those for as long. Objects of the main
// queue go around again once for each use, up to three. With sizes: queues are measured in bytes, the ghost queue in bytes of
// what it remembers, as much as the main queue holds.
import { ObjectOrder } from './object-order.ts';
import type { EvictionPolicy, PolicyOptions } from './policy.ts';

const smallShare = 0.1;
const usesMax = 3;
/** Used more often than so in the small queue: it goes to the main one. */
const usesToMove = 1;

export class S3Fifo implements EvictionPolicy {
  readonly #options: PolicyOptions;
  readonly #small: ObjectOrder;
  readonly #main: ObjectOrder;
  readonly #ghost: ObjectOrder;
  readonly #uses: Uint8Array;
  readonly #smallBytes: number;
  #movedBytes = 0;

  constructor(options: PolicyOptions) {
    const { sizes, capacityBytes } = options;
    this.#options = options;
    this.#small = new ObjectOrder(sizes);
    this.#main = new ObjectOrder(sizes);
    this.#ghost = new ObjectOrder(sizes);
    this.#uses = new Uint8Array(sizes.length);
    this.#smallBytes = smallShare * capacityBytes;
  }

  get usedBytes(): number {
    return this.#small.bytes + this.#main.bytes;
  }

  get movedBytes(): number {
    return this.#movedBytes;
  }

  request(object: number): boolean {
    if (this.#small.has(object) || this.#main.has(object)) {
      this.#uses[object] = Math.min(usesMax, (this.#uses[object] ?? 0) + 1);
      return true;
    }
    const size = this.#options.sizes[object] ?? 0;
    if (size > this.#options.capacityBytes) return false;
    while (this.usedBytes + size > this.#options.capacityBytes) this.#evict();
    this.#uses[object] = 0;
    if (this.#ghost.has(object)) {
      this.#ghost.remove(object);
      this.#main.add(object);
    } else this.#small.add(object);
    return false;
  }

  #evict(): void {
    const isSmallFull = this.#small.bytes > 0 && this.#small.bytes >= this.#smallBytes;
    if (isSmallFull || this.#main.bytes === 0) this.#evictSmall();
    else this.#evictMain();
  }

  /** Until one has left the cache; those that were used go to the main queue. */
  #evictSmall(): void {
    for (let object = this.#small.oldest; object !== -1; object = this.#small.oldest) {
      this.#small.remove(object);
      if ((this.#uses[object] ?? 0) <= usesToMove) {
        this.#remember(object);
        return;
      }
      const size = this.#options.sizes[object] ?? 0;
      while (this.#main.bytes > 0 && this.#main.bytes + size > this.#options.capacityBytes - this.#smallBytes) this.#evictMain();
      this.#uses[object] = 0;
      this.#main.add(object);
      this.#movedBytes += size;
    }
  }

  #evictMain(): void {
    for (let object = this.#main.oldest; object !== -1; object = this.#main.oldest) {
      const uses = this.#uses[object] ?? 0;
      if (uses === 0) {
        this.#main.remove(object);
        return;
      }
      this.#uses[object] = uses - 1;
      this.#main.renew(object);
      this.#movedBytes += this.#options.sizes[object] ?? 0;
    }
  }

  #remember(object: number): void {
    this.#ghost.add(object);
    while (this.#ghost.bytes > this.#options.capacityBytes - this.#smallBytes) this.#ghost.remove(this.#ghost.oldest);
  }
}
