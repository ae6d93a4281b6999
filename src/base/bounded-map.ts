// A map that cannot grow without limit.
import { assert } from './assert.ts';

/** At most `entriesMax` entries; setting one more drops the one set or read longest ago. */
export class BoundedMap<K, V> {
  readonly #entriesMax: number;
  /** In the order of last use, oldest first: a Map keeps insertion order and re-inserting moves to the end. */
  readonly #entries = new Map<K, V>();

  constructor(entriesMax: number) {
    assert(entriesMax > 0, 'a bounded map holds at least one entry');
    this.#entriesMax = entriesMax;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: K): V | undefined {
    const value = this.#entries.get(key);
    if (value !== undefined) {
      this.#entries.delete(key);
      this.#entries.set(key, value);
    }
    return value;
  }

  set(key: K, value: V): void {
    this.#entries.delete(key);
    this.#entries.set(key, value);
    if (this.#entries.size > this.#entriesMax) {
      for (const oldest of this.#entries.keys()) {
        this.#entries.delete(oldest);
        break;
      }
    }
  }

  delete(key: K): boolean {
    return this.#entries.delete(key);
  }
}
