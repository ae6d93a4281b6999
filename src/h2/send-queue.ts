// DATA that one stream may not send yet.
import { assert } from '../base/assert.ts';
import type { LentMemory } from '../base/reused-memory.ts';
import type { OutputBatch } from './output-batch.ts';

/** Slices in order, taken off by frames of any size. Whoever fills it watches `bytes`: that is its backpressure. */
export class SendQueue {
  readonly #slices: Uint8Array[] = [];
  /** What goes back once the slice at the same place, the last in it, has been written. */
  readonly #lent: (LentMemory | undefined)[] = [];
  /** Where the next frame begins: this slice, from this offset on. */
  #first = 0;
  #offset = 0;
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  /** `lent`: what all slices stand in. */
  push(slices: readonly Uint8Array[], bytes: number, lent?: LentMemory): void {
    for (const slice of slices) {
      if (slice.length === 0) continue;
      this.#slices.push(slice);
      this.#lent.push(undefined);
    }
    if (lent !== undefined) this.#lent[this.#lent.length - 1] = lent;
    this.#bytes += bytes;
  }

  /** Moves exactly `count` bytes, at most what is queued. */
  moveTo(batch: OutputBatch, count: number): void {
    this.#bytes -= count;
    let left = count;
    while (left > 0) {
      const slice = this.#slices[this.#first];
      assert(slice !== undefined, 'no more is moved than is queued');
      const available = slice.length - this.#offset;
      if (available > left) {
        batch.append(slice.subarray(this.#offset, this.#offset + left));
        this.#offset += left;
        return;
      }
      batch.append(this.#offset === 0 ? slice : slice.subarray(this.#offset));
      left -= available;
      const lent = this.#lent[this.#first];
      if (lent !== undefined) batch.hold(lent);
      this.#dropFirst();
    }
  }

  #dropFirst(): void {
    this.#offset = 0;
    this.#first++;
    if (this.#first * 2 < this.#slices.length) return;
    this.#slices.splice(0, this.#first);
    this.#lent.splice(0, this.#first);
    this.#first = 0;
  }
}
