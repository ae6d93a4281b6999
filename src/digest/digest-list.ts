// Many digests of one call, packed: a call with 10,000 digests must not make 10,000 objects (design of
// FindMissingBlobs). One function for all of them, as REAPI has it (DG-5).
import { assert } from '../base/assert.ts';
import { Digest, checkHash, checkSize, digestKey } from './digest.ts';
import type { DigestKey } from './digest.ts';
import { sha256 } from './digest-function.ts';
import type { DigestFunction } from './digest-function.ts';

/** Digests in the order given, duplicates kept. Immutable; may be empty. */
export class DigestList implements Iterable<Digest> {
  static readonly empty: DigestList = new DigestList(sha256, Buffer.alloc(0), new Float64Array(0));

  readonly function: DigestFunction;
  /** `length` times `function.hashBytes` bytes, binary. */
  readonly hashes: Buffer;
  readonly sizes: Float64Array;
  /** The hashes as they came, where they came as text: a store that looks them up as text need not make it again. */
  readonly #texts: readonly string[] | undefined;

  private constructor(digestFunction: DigestFunction, hashes: Buffer, sizes: Float64Array, texts?: readonly string[]) {
    this.function = digestFunction;
    this.hashes = hashes;
    this.sizes = sizes;
    this.#texts = texts;
  }

  /** @throws AssertionError unless all have one function. */
  static of(...digests: readonly Digest[]): DigestList {
    return DigestList.from(digests);
  }

  static from(digests: readonly Digest[]): DigestList {
    const first = digests[0];
    if (first === undefined) return DigestList.empty;
    return DigestList.parse(first.function, digests, (digest) => {
      assert(digest.function === first.function, 'a digest list has one digest function');
      return digest;
    });
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
    const { hashBytes } = digestFunction;
    const hashes = Buffer.allocUnsafe(items.length * hashBytes);
    const sizes = new Float64Array(items.length);
    const texts: string[] = [];
    let index = 0;
    for (const item of items) {
      const { hash, sizeBytes } = read(item);
      checkHash(digestFunction, hash);
      sizes[index] = checkSize(digestFunction, hash, sizeBytes);
      hashes.write(hash, index * hashBytes, hashBytes, 'hex');
      texts.push(hash);
      index += 1;
    }
    return new DigestList(digestFunction, hashes, sizes, texts);
  }

  get length(): number {
    return this.sizes.length;
  }

  hashAt(index: number): string {
    const text = this.#texts?.[index];
    if (text !== undefined) return text;
    const { hashBytes } = this.function;
    return this.hashes.toString('hex', index * hashBytes, (index + 1) * hashBytes);
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
    return Digest.parse(this.function, this.hashAt(index), this.sizeAt(index));
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
    const kept: number[] = [];
    for (let index = 0; index < this.length; index += 1) if (keep(index)) kept.push(index);
    if (kept.length === this.length) return this;
    if (kept.length === 0) return DigestList.empty;
    const { hashBytes } = this.function;
    const hashes = Buffer.allocUnsafe(kept.length * hashBytes);
    const sizes = new Float64Array(kept.length);
    for (const [to, from] of kept.entries()) {
      this.hashes.copy(hashes, to * hashBytes, from * hashBytes, (from + 1) * hashBytes);
      sizes[to] = this.sizeAt(from);
    }
    return new DigestList(this.function, hashes, sizes);
  }

  /** Sum of the sizes, in bytes. */
  get totalBytes(): number {
    return this.sizes.reduce((sum, size) => sum + size, 0);
  }
}
