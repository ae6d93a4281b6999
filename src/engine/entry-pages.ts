// Memory of an index: pages of equal size, cut from slabs and used again. Memory that a growing table gives back is what
// the next one grows into, so nothing waits for the garbage collector, which does not see how much a buffer holds.
import { assert } from '../base/assert.ts';

/** Slots of a page. 4096 make a table of two or three pages that is rebuilt in about a millisecond. */
export const pageSlots = 4_096;
/** A slot's place in its page is its low bits, so many. */
export const pageSlotBits = 12;

/**
 * The words of a page: 4096 fingerprints (0: the slot is free), so that a search reads nothing else until one fits; then
 * 4096 records: a key of 8 words and its details, together, since who finds the one reads the other.
 */
export type EntryPage = Uint32Array<SharedArrayBuffer>;

export const keyWords = 8;
/** Where the records begin in a page, in words. */
export const recordsAt = pageSlots;

/** Pages of the slabs: from 0.4 MB for a store that is nearly empty to 3.4 MB, so that a large one has few buffers. */
const slabPagesLeast = 2;
const slabPagesMost = 16;

export class EntryPages {
  /** Words of a slot beside its fingerprint. */
  readonly recordWords: number;
  readonly #slabs: SharedArrayBuffer[] = [];
  /** By number, in the order of the slabs. */
  readonly #pages: EntryPage[] = [];
  /** Numbers of pages whose slots are all free; never more than were made. */
  readonly #free: number[] = [];

  constructor(recordWords: number) {
    this.recordWords = recordWords;
  }

  /** Bytes of all slabs, in use or not. */
  get allocatedBytes(): number {
    return this.#pages.length * this.#pageBytes;
  }

  /** Pages that are not in use. */
  get freeCount(): number {
    return this.#free.length;
  }

  /** The number of a page whose slots are all free. It is the caller's until he gives it back. */
  take(): number {
    const number = this.#free.pop();
    if (number !== undefined) return number;
    this.#addSlab();
    return this.take();
  }

  at(number: number): EntryPage {
    const page = this.#pages[number];
    assert(page !== undefined, 'the index has no page of that number');
    return page;
  }

  /** Frees all slots of the page and takes it back. */
  give(number: number): void {
    this.at(number).fill(0, 0, pageSlots);
    this.#free.push(number);
    assert(this.#free.length <= this.#pages.length, 'a page was given back twice');
  }

  get #pageBytes(): number {
    return pageSlots * (1 + this.recordWords) * Uint32Array.BYTES_PER_ELEMENT;
  }

  #addSlab(): void {
    const first = this.#pages.length;
    const slabPages = Math.min(Math.max(first, slabPagesLeast), slabPagesMost); // as much again, up to the most
    const slab = new SharedArrayBuffer(slabPages * this.#pageBytes);
    this.#slabs.push(slab);
    for (let place = 0; place < slabPages; place += 1) this.#pages.push(new Uint32Array(slab, place * this.#pageBytes, pageSlots * (1 + this.recordWords)));
    // Backwards, so that they are taken in order and memory that was never written stays together.
    for (let place = slabPages - 1; place >= 0; place -= 1) this.#free.push(first + place);
  }
}
