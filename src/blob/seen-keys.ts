// Which keys came before, of those of one call.
import type { DigestKey } from '../digest/digest.ts';

/** A set that costs nothing for the first key: most calls have only one, and a Set took 4 % of theirs (bench/unary). */
export class SeenKeys {
  #first: DigestKey | undefined;
  #others: Set<DigestKey> | undefined;

  /** False when it was added before. */
  add(key: DigestKey): boolean {
    if (this.#first === undefined) {
      this.#first = key;
      return true;
    }
    if (key === this.#first) return false;
    this.#others ??= new Set();
    return this.#others.size < this.#others.add(key).size;
  }
}
