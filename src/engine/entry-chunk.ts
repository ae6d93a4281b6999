// One of the tables that an index consists of: linear probing over two or three pages, removal by backward shift. Knows slots and
// fingerprints; keys are compared by who searches.
import { assert } from '../base/assert.ts';
import { pageSlotBits, pageSlots, recordsAt } from './entry-pages.ts';
import type { EntryPage, EntryPages } from './entry-pages.ts';

/** At that share of slots in use a chunk grows: a search for what is absent then reads some 20 fingerprints, which stand together. */
const loadMax = 0.85;
const placeMask = pageSlots - 1;
/** The first 16 bits of a fingerprint say where its slot is, so entries stand nearly in the order of their fingerprints. */
const homeShift = 16 - pageSlotBits;

export class EntryChunk {
  readonly pages: readonly EntryPage[];
  readonly pageNumbers: readonly number[];
  readonly slots: number;
  /** One more, and it must grow. Always leaves free slots, at which each search ends. */
  readonly countMax: number;
  /** How many bits of the mix all its keys share. */
  readonly depth: number;
  /** Those bits. */
  readonly prefix: number;
  count = 0;
  readonly #recordWords: number;

  /** Takes `pageCount` pages, 2 or 3. */
  constructor(pages: EntryPages, pageCount: number, prefix: { readonly depth: number; readonly prefix: number }) {
    this.pageNumbers = Array.from({ length: pageCount }, () => pages.take());
    this.pages = this.pageNumbers.map((number) => pages.at(number));
    this.#recordWords = pages.recordWords;
    this.slots = pageCount * pageSlots;
    this.countMax = Math.floor(this.slots * loadMax);
    this.depth = prefix.depth;
    this.prefix = prefix.prefix;
  }

  /** Gives all pages back; the chunk is of no use after that. */
  end(pages: EntryPages): void {
    for (const number of this.pageNumbers) pages.give(number);
  }

  pageOf(slot: number): EntryPage {
    return this.page(slot >> pageSlotBits);
  }

  page(number: number): EntryPage {
    const page = this.pages[number];
    assert(page !== undefined, 'a chunk has no such page');
    return page;
  }

  nextPage(number: number): number {
    return number + 1 === this.pages.length ? 0 : number + 1;
  }

  /** The first slot that a search looks at; the fingerprint may be signed. */
  homeOf(fingerprint: number): number {
    return ((fingerprint >>> 16) * this.pages.length) >>> homeShift;
  }

  next(slot: number): number {
    return slot + 1 === this.slots ? 0 : slot + 1;
  }

  /** Copies an entry of another chunk, whose key is not here, to where it belongs. */
  adopt(from: EntryPage, place: number): void {
    const fingerprint = from[place] ?? 0;
    let slot = this.homeOf(fingerprint);
    let page = this.pageOf(slot);
    while (page[slot & placeMask] !== 0) {
      slot = this.next(slot);
      page = this.pageOf(slot);
    }
    this.#copy(from, place, page, slot & placeMask);
    this.count += 1;
    assert(this.count < this.slots, 'a chunk is never full');
  }

  /** Frees a slot and closes the gap: what a search would no longer find behind it moves up. */
  remove(slot: number): void {
    let hole = slot;
    for (let from = this.next(slot); ; from = this.next(from)) {
      const page = this.pageOf(from);
      const fingerprint = page[from & placeMask] ?? 0;
      if (fingerprint === 0) break;
      const home = this.homeOf(fingerprint);
      // A search for it begins behind the hole: it may not stand before its home.
      const isBehind = hole <= from ? hole < home && home <= from : hole < home || home <= from;
      if (isBehind) continue;
      this.#copy(page, from & placeMask, this.pageOf(hole), hole & placeMask);
      hole = from;
    }
    this.pageOf(hole)[hole & placeMask] = 0;
    this.count -= 1;
  }

  #copy(from: EntryPage, place: number, to: EntryPage, target: number): void {
    const words = this.#recordWords;
    const source = recordsAt + place * words;
    const shift = recordsAt + target * words - source;
    for (let at = source; at < source + words; at += 1) to[at + shift] = from[at] ?? 0;
    to[target] = from[place] ?? 0;
  }

  /** All slots in use, in their order. */
  *usedSlots(): Generator<number, void, undefined> {
    if (this.count === 0) return;
    for (const [number, page] of this.pages.entries()) {
      for (let place = 0; place < pageSlots; place += 1) if (page[place] !== 0) yield number * pageSlots + place;
    }
  }
}
