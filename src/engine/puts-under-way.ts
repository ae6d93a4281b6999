// Puts of small blobs that have not ended, by key. By a number, not by the text of the hash: as a key of a Map, a text that came
// from a client goes through the table of all texts of the runtime first, which costs twice as much as all else
// that is done here. And no Map: each of its tables, once it is full of what was deleted, points to the next, and so to what
// was in there; where one has become old, all puts since are kept and copied until the next full collection of garbage, which
// were a quarter of all that small writes allocate (docs/benchmarks.md, store-small-writes).
import { assert } from '../base/assert.ts';
import type { Digest } from '../digest/digest.ts';

/** In one list with others of its place. */
export interface KeyedPut<Put> {
  readonly digest: Digest;
  /** The same for the same hash, and not to be foreseen by who makes blobs: all of their bits say where a put belongs. */
  readonly number: number;
  next: Put | undefined;
}

/** Lists to begin with; always a power of two. */
const listsLeast = 256;

/** At most one for each digest. */
export class PutsUnderWay<Put extends KeyedPut<Put>> {
  #first: (Put | undefined)[] = lists(listsLeast);
  #count = 0;

  find(digest: Digest, number: number): Put | undefined {
    let put = this.#first[this.#listOf(number)];
    while (put !== undefined && !isSame(put.digest, digest)) put = put.next;
    return put;
  }

  /** There is none of that digest. */
  add(put: Put): void {
    if (this.#count === this.#first.length) this.#double();
    const list = this.#listOf(put.number);
    put.next = this.#first[list];
    this.#first[list] = put;
    this.#count += 1;
  }

  /** It was added. */
  remove(put: Put): void {
    const list = this.#listOf(put.number);
    const { next } = put;
    const first = this.#first[list];
    if (first === put) {
      this.#first[list] = next;
    } else {
      let before = first;
      while (before !== undefined && before.next !== put) before = before.next;
      assert(before !== undefined, 'a put ends once');
      before.next = next;
    }
    put.next = undefined; // else one that has become old would keep those that came before it
    this.#count -= 1;
  }

  #listOf(number: number): number {
    return number & (this.#first.length - 1);
  }

  /** So that lists stay short. It never shrinks: what may be under way at once is bounded. */
  #double(): void {
    const before = this.#first;
    this.#first = lists(2 * before.length);
    for (const first of before) {
      for (let put = first, next: Put | undefined; put !== undefined; put = next) {
        ({ next } = put);
        const list = this.#listOf(put.number);
        put.next = this.#first[list];
        this.#first[list] = put;
      }
    }
  }
}

function lists<Put>(count: number): (Put | undefined)[] {
  return new Array<Put | undefined>(count).fill(undefined);
}

function isSame(one: Digest, other: Digest): boolean {
  return one.hash === other.hash && one.function === other.function;
}
