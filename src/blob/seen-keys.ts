// Which keys came before, of those of one call.
import type { DigestKey } from '../digest/digest.ts';

/** A set that costs nothing for the first key, since most calls have only one (docs/decisions/0023-transport-speed.md). */
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
