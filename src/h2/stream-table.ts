// The streams of one connection that are not closed, by id.
//
// Not a Map: when a Map has seen as many deletions as it has room it moves to a new table, and the old one keeps a
// reference to the new. Once one of them is promoted to the old space, dead or not, it keeps alive every table after
// it with all the streams in there, until a full collection: scavenges of 20 to 43 ms instead of 0.4 (--trace-gc).
import { assert } from '../base/assert.ts';

/** What the table needs of its entries. */
export interface TableEntry {
  readonly id: number;
  /** The next one in the same place; the table's own. */
  nextInTable: this | undefined;
}

/** Places at first: of thousands of connections most do little. A power of two, as all sizes that it grows by. */
const placesMin = 16;

/** Ids count up and few are present at a time, so low bits spread them evenly. */
export class StreamTable<T extends TableEntry> {
  #places: (T | undefined)[] = emptyPlaces(placesMin);
  readonly #placesMax: number;
  #size = 0;

  /** Quick for up to about `entriesMax` entries; the caller sees to it that there are no more. */
  constructor(entriesMax: number) {
    this.#placesMax = 2 ** Math.ceil(Math.log2(Math.max(placesMin, entriesMax)));
  }

  get size(): number {
    return this.#size;
  }

  get(id: number): T | undefined {
    let entry = this.#places[this.#placeOf(id)];
    while (entry !== undefined && entry.id !== id) entry = entry.nextInTable;
    return entry;
  }

  /** `entry` must not be present. */
  add(entry: T): void {
    if (this.#size >= this.#places.length && this.#places.length < this.#placesMax) this.#grow();
    this.#put(entry);
    this.#size++;
  }

  /** An entry with that id must be present. */
  remove(id: number): void {
    const place = this.#placeOf(id);
    let before: T | undefined = undefined;
    let entry = this.#places[place];
    while (entry !== undefined && entry.id !== id) {
      before = entry;
      entry = entry.nextInTable;
    }
    assert(entry !== undefined, 'a stream is in the table until it is removed');
    if (before === undefined) this.#places[place] = entry.nextInTable;
    else before.nextInTable = entry.nextInTable;
    entry.nextInTable = undefined;
    this.#size--;
  }

  /** All entries at the moment; the table may be changed meanwhile. */
  all(): T[] {
    const entries: T[] = [];
    for (const first of this.#places) {
      if (entries.length === this.#size) break; // mostly there are few, and they began one after the other
      for (let entry = first; entry !== undefined; entry = entry.nextInTable) entries.push(entry);
    }
    return entries;
  }

  #put(entry: T): void {
    const place = this.#placeOf(entry.id);
    entry.nextInTable = this.#places[place];
    this.#places[place] = entry;
  }

  #grow(): void {
    const entries = this.all();
    this.#places = emptyPlaces(Math.min(this.#placesMax, 4 * this.#places.length));
    for (const entry of entries) this.#put(entry);
  }

  #placeOf(id: number): number {
    return (id >>> 1) & (this.#places.length - 1); // clients use odd ids only
  }
}

function emptyPlaces<T>(count: number): (T | undefined)[] {
  return Array.from({ length: count }, () => undefined);
}
