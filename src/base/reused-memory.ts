// Memory that is used for a short while and then again, instead of memory of its own for each use: of 110 KB at a time
// the collector must run for every 200 of them, and the system clears the pages of each (docs/benchmarks.md).
import { assert } from './assert.ts';

/** Memory that somebody has until it is given back. Who never does leaves it to the collector. */
export interface LentMemory {
  readonly bytes: Buffer;
  /** Of all of it. */
  readonly view: DataView;
  /** Nobody reads or writes `bytes`, or a view of them, any more. Once. */
  giveBack(): void;
}

/** Smaller ones cost nothing worth keeping. */
const leastBytes = 8 * 1024;
/** Sizes are so close that a quarter is unused at most: 8, 10, 12, 14, 16, 20, ... KiB. */
const sizesPerDoubling = 4;
/** Up to 4 MiB, what a message may have. */
const doublings = 9;

const sizes: readonly number[] = Array.from({ length: doublings * sizesPerDoubling + 1 }, (_, step) => {
  const whole = leastBytes * 2 ** Math.floor(step / sizesPerDoubling);
  return whole + (whole / sizesPerDoubling) * (step % sizesPerDoubling);
});

/** Larger memory is made anew each time. */
export const lentBytesMax: number = sizes.at(-1) ?? leastBytes;

/** Of one use, for all of a process. What is lent is for its users to bound. */
export class ReusedMemory {
  readonly #keptBytesMax: number;
  /** By index in `sizes`. */
  readonly #kept: Lent[][] = sizes.map(() => []);
  #keptBytes = 0;

  /** `keptBytesMax`: what waits to be used again. */
  constructor(keptBytesMax: number) {
    this.#keptBytesMax = keptBytesMax;
  }

  /** What waits to be used again. */
  get keptBytes(): number {
    return this.#keptBytes;
  }

  /** At least so many bytes, of any content. */
  take(bytes: number): LentMemory {
    const step = stepFor(bytes);
    const kept = this.#kept[step]?.pop();
    if (kept === undefined) return new Lent(this, Buffer.allocUnsafeSlow(sizes[step] ?? bytes), step);
    this.#keptBytes -= kept.bytes.length;
    kept.isLent = true;
    return kept;
  }

  /** Called by what was lent only. */
  takeBack(memory: Lent): void {
    const { length } = memory.bytes;
    const kept = this.#kept[memory.step];
    if (kept === undefined || this.#keptBytes + length > this.#keptBytesMax) return;
    this.#keptBytes += length;
    kept.push(memory);
  }
}

class Lent implements LentMemory {
  readonly bytes: Buffer;
  readonly view: DataView;
  /** In `sizes`. */
  readonly step: number;
  isLent = true;
  readonly #owner: ReusedMemory;

  constructor(owner: ReusedMemory, bytes: Buffer, step: number) {
    this.#owner = owner;
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.step = step;
  }

  giveBack(): void {
    assert(this.isLent, 'memory is given back once');
    this.isLent = false;
    this.#owner.takeBack(this);
  }
}

/** Of the smallest size that has room; beyond the last one where none has. */
function stepFor(bytes: number): number {
  if (bytes <= leastBytes) return 0;
  const doubled = 31 - Math.clz32((bytes - 1) / leastBytes);
  const whole = leastBytes * 2 ** doubled;
  return doubled * sizesPerDoubling + Math.ceil((bytes - whole) / (whole / sizesPerDoubling));
}
