// Which digests came before, of those of one list.
import { hashWordCount, sameWords } from '../base/hex-words.ts';
import type { DigestList } from '../digest/digest-list.ts';

/** Places for each digest that may be added; a power of two of them in all. */
const placesPerDigest = 2;
/** Of all searches together, for each digest: whoever chooses hashes that all fall into one place gets a slower way, not a stop. */
const stepsPerDigest = 8;

/**
 * A set of positions in a list, by hash. Costs nothing for the first one, since most calls have only one that is added, and
 * no text where the hashes are words.
 */
export class SeenDigests {
  readonly #digests: DigestList;
  #first = -1;
  /** Positions plus one; 0 is free. */
  #places: Uint32Array | undefined;
  #steps = 0;
  /** Instead of all that, where there are no words, or too many of them fall into one place. */
  #texts: Set<string> | undefined;
  readonly #added: number[] = [];

  constructor(digests: DigestList) {
    this.#digests = digests;
  }

  /** False when one with the same hash was added before. */
  add(index: number): boolean {
    if (this.#first === -1) {
      this.#first = index;
      return true;
    }
    const { words } = this.#digests;
    if (this.#texts !== undefined || words === undefined) return this.#addText(index);
    if (this.#places === undefined) {
      this.#places = new Uint32Array(2 ** Math.ceil(Math.log2(this.#digests.length * placesPerDigest)));
      this.#addWords(words, this.#places, this.#first);
    }
    return this.#steps > this.#digests.length * stepsPerDigest ? this.#addText(index) : this.#addWords(words, this.#places, index);
  }

  #addWords(words: Uint32Array, places: Uint32Array, index: number): boolean {
    const at = index * hashWordCount;
    const mask = places.length - 1;
    for (let place = ((words[at] ?? 0) ^ (words[at + 1] ?? 0)) & mask; ; place = (place + 1) & mask) {
      const found = places[place] ?? 0;
      this.#steps += 1;
      if (found === 0) {
        places[place] = index + 1;
        this.#added.push(index);
        return true;
      }
      if (sameWords(words, at, words, (found - 1) * hashWordCount)) return false;
    }
  }

  #addText(index: number): boolean {
    const digests = this.#digests;
    this.#texts ??= new Set((this.#added.length > 0 ? this.#added : [this.#first]).map((added) => digests.hashAt(added)));
    return this.#texts.size < this.#texts.add(digests.hashAt(index)).size;
  }
}
