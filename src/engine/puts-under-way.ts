// Puts of small blobs that have not ended, by key. By a number, not by the text of the hash: as a key of a Map, a text that came
// from a client goes through the table of all texts of the runtime first, which costs twice as much as all else
// that is done here (docs/benchmarks.md, store-small-writes).
import { assert } from '../base/assert.ts';
import type { Digest } from '../digest/digest.ts';

/** In one list with others of its number. */
export interface KeyedPut<Put> {
  readonly digest: Digest;
  /** A part of the hash; the same for the same hash. */
  readonly number: number;
  next: Put | undefined;
}

/** At most one for each digest. Lists are short: to find a thousand blobs with the same 32 bits takes four million million hashes, and to put them at once then half a million comparisons. */
export class PutsUnderWay<Put extends KeyedPut<Put>> {
  readonly #first = new Map<number, Put>();

  find(digest: Digest, number: number): Put | undefined {
    let put = this.#first.get(number);
    while (put !== undefined && !isSame(put.digest, digest)) put = put.next;
    return put;
  }

  /** There is none of that digest. */
  add(put: Put): void {
    put.next = this.#first.get(put.number);
    this.#first.set(put.number, put);
  }

  /** It was added. */
  remove(put: Put): void {
    const first = this.#first.get(put.number);
    if (first === put) {
      if (put.next === undefined) this.#first.delete(put.number);
      else this.#first.set(put.number, put.next);
      return;
    }
    let before = first;
    while (before !== undefined && before.next !== put) before = before.next;
    assert(before !== undefined, 'a put ends once');
    before.next = put.next;
  }
}

function isSame(one: Digest, other: Digest): boolean {
  return one.hash === other.hash && one.function === other.function;
}
