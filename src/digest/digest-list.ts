// Many digests of one call: with 10,000 digests it must not make 10,000 objects, nor as many texts where nobody wants them. One
// function for all of them, as REAPI has it (DG-5).
import { assert } from '../base/assert.ts';
import { hashDigits, hashWordCount, hexOfWords, newHashWords, readHexWords, sameWords } from '../base/hex-words.ts';
import { Digest, checkHash, checkSize, digestKey } from './digest.ts';
import type { DigestKey } from './digest.ts';
import { digestFunctions, sha256 } from './digest-function.ts';
import type { DigestFunction } from './digest-function.ts';

/** Digests as a message has them: hashes and sizes of any kind, as many of the one as of the other. */
export interface UncheckedDigests {
  readonly hashes: readonly string[];
  /** A number is a safe integer, a bigint is beyond those. */
  readonly sizes: readonly (number | bigint)[];
  /** No hash has anything but lower-case hex digits in it, so that only lengths are left to check. */
  readonly lowerHex: boolean;
  /** The hashes as well, eight words each (base/hex-words.ts), if all have 64 lower-case digits; there may be more behind them. */
  readonly words?: Uint32Array | undefined;
}

/** Digests in the order given, duplicates kept. Immutable; may be empty. */
export class DigestList implements Iterable<Digest> {
  static readonly empty: DigestList = new DigestList(sha256, [], []);

  readonly function: DigestFunction;
  readonly sizes: readonly number[];
  /** Of the hashes eight each, where they came so; there may be more behind them. Then nothing is known as text. */
  readonly words: Uint32Array | undefined;
  readonly #hashes: readonly string[];

  private constructor(digestFunction: DigestFunction, hashes: readonly string[] | Uint32Array, sizes: readonly number[]) {
    this.function = digestFunction;
    this.words = hashes instanceof Uint32Array ? hashes : undefined;
    this.#hashes = hashes instanceof Uint32Array ? [] : hashes;
    this.sizes = sizes;
  }

  /** @throws AssertionError unless all have one function. */
  static of(...digests: readonly Digest[]): DigestList {
    return DigestList.from(digests);
  }

  static from(digests: readonly Digest[]): DigestList {
    const first = digests[0];
    if (first === undefined) return DigestList.empty;
    const hashes: string[] = [];
    const sizes: number[] = [];
    for (const { function: digestFunction, hash, sizeBytes } of digests) {
      assert(digestFunction === first.function, 'a digest list has one digest function');
      sizes.push(sizeBytes);
      hashes.push(hash);
    }
    return new DigestList(first.function, hashes, sizes);
  }

  /**
   * Checks and packs what a client sent; `read` gives hash and size of one item.
   * @throws CacheError `invalid_argument` for the first digest that is malformed (CAS-10).
   */
  static parse<T>(
    digestFunction: DigestFunction,
    items: readonly T[],
    read: (item: T) => { readonly hash: string; readonly sizeBytes: number | bigint },
  ): DigestList {
    const sizes: number[] = [];
    const hashes: string[] = [];
    for (const item of items) {
      const { hash, sizeBytes } = read(item);
      checkHash(digestFunction, hash);
      sizes.push(checkSize(digestFunction, hash, sizeBytes));
      hashes.push(hash);
    }
    return new DigestList(digestFunction, hashes, sizes);
  }

  /**
   * As `parse`. Takes over the arrays: nobody adds to them any more.
   * @throws CacheError `invalid_argument` for the first digest that is malformed (CAS-10).
   */
  static check(digestFunction: DigestFunction, unchecked: UncheckedDigests): DigestList {
    const { hexLength, emptyHash } = digestFunction;
    const { sizes, lowerHex, words } = unchecked;
    if (words !== undefined && hexLength === hashDigits) return DigestList.#ofWords(digestFunction, words, sizes);
    const { hashes } = unchecked;
    for (let index = 0; index < hashes.length; index += 1) {
      const hash = hashes[index] ?? '';
      const size = sizes[index] ?? 0;
      if (lowerHex && hash.length === hexLength && typeof size === 'number' && size > 0 && hash !== emptyHash) continue;
      checkHash(digestFunction, hash);
      checkSize(digestFunction, hash, size);
    }
    // All of them are numbers: a bigint is beyond the safe integers, which checkSize refuses.
    return new DigestList(digestFunction, hashes, sizes as readonly number[]);
  }

  static #ofWords(digestFunction: DigestFunction, words: Uint32Array, sizes: readonly (number | bigint)[]): DigestList {
    const empty = emptyWordsOf.get(digestFunction);
    assert(empty !== undefined, 'words are hashes of 64 digits');
    for (let index = 0; index < sizes.length; index += 1) {
      const size = sizes[index] ?? 0;
      if (typeof size === 'number' && size > 0 && (words[index * hashWordCount] !== empty[0] || !sameWords(words, index * hashWordCount, empty, 0))) continue;
      checkSize(digestFunction, hexOfWords(words, index * hashWordCount), size);
    }
    return new DigestList(digestFunction, words, sizes as readonly number[]); // as in `check`
  }

  get length(): number {
    return this.sizes.length;
  }

  hashAt(index: number): string {
    if (this.words !== undefined) {
      assert(index < this.length, 'index within the digest list');
      return hexOfWords(this.words, index * hashWordCount);
    }
    const hash = this.#hashes[index];
    assert(hash !== undefined, 'index within the digest list');
    return hash;
  }

  keyAt(index: number): DigestKey {
    return digestKey(this.function, this.hashAt(index));
  }

  sizeAt(index: number): number {
    const size = this.sizes[index];
    assert(size !== undefined, 'index within the digest list');
    return size;
  }

  at(index: number): Digest {
    return Digest.ofChecked(this.function, this.hashAt(index), this.sizeAt(index));
  }

  *[Symbol.iterator](): Generator<Digest, void, undefined> {
    for (let index = 0; index < this.length; index += 1) yield this.at(index);
  }

  /** Those for which `keep` holds, in order. */
  filter(keep: (digest: Digest) => boolean): DigestList {
    return this.select((index) => keep(this.at(index)));
  }

  /** As `filter`, by position and without making objects. Gives the list itself when all stay. */
  select(keep: (index: number) => boolean): DigestList {
    const { length } = this;
    let index = 0;
    while (index < length && keep(index)) index += 1;
    if (index === length) return this;
    if (this.words !== undefined) return this.#selectWords(this.words, index, keep);
    const hashes = this.#hashes.slice(0, index);
    const sizes = this.sizes.slice(0, index);
    for (index += 1; index < length; index += 1) {
      if (!keep(index)) continue;
      sizes.push(this.sizeAt(index));
      hashes.push(this.hashAt(index));
    }
    return hashes.length === 0 ? DigestList.empty : new DigestList(this.function, hashes, sizes);
  }

  /** The first `kept` stay, and the next one does not. */
  #selectWords(words: Uint32Array, kept: number, keep: (index: number) => boolean): DigestList {
    const sizes = this.sizes.slice(0, kept);
    let selected: Uint32Array | undefined;
    for (let index = kept + 1; index < this.length; index += 1) {
      if (!keep(index)) continue;
      selected ??= this.#roomFor(words, kept);
      for (let word = 0; word < hashWordCount; word += 1) selected[sizes.length * hashWordCount + word] = words[index * hashWordCount + word] ?? 0;
      sizes.push(this.sizeAt(index));
    }
    if (sizes.length === 0) return DigestList.empty;
    return new DigestList(this.function, selected ?? words, sizes);
  }

  /** For all that may come: most are kept, or few are looked at. The first `kept` of `words` are in it. */
  #roomFor(words: Uint32Array, kept: number): Uint32Array {
    const room = newHashWords(this.length - 1);
    room.set(words.subarray(0, kept * hashWordCount));
    return room;
  }

  /** Those from `from` on and before `to`. */
  slice(from: number, to: number): DigestList {
    if (from === 0 && to === this.length) return this;
    if (this.words !== undefined) return new DigestList(this.function, this.words.subarray(from * hashWordCount), this.sizes.slice(from, to));
    return new DigestList(this.function, this.#hashes.slice(from, to), this.sizes.slice(from, to));
  }

  /** Sum of the sizes, in bytes. */
  get totalBytes(): number {
    let sum = 0;
    for (let index = 0; index < this.sizes.length; index += 1) sum += this.sizes[index] ?? 0;
    return sum;
  }
}

/** Of each function with 64 digits. */
const emptyWordsOf: ReadonlyMap<DigestFunction, Uint32Array> = new Map(
  digestFunctions.filter(({ hexLength }) => hexLength === hashDigits).map((row) => [row, wordsOf(row.emptyHash)]),
);

function wordsOf(hash: string): Uint32Array {
  const digits = Buffer.from(hash, 'latin1');
  const words = new Uint32Array(hashWordCount);
  assert(readHexWords(new DataView(digits.buffer, digits.byteOffset), 0, words, { at: 0, count: hashWordCount }), 'the hash of the empty blob is lower-case hex');
  return words;
}
