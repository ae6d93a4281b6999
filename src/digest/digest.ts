// A digest: what names a blob. Parsed once at the edge; inside Kiln every Digest is well formed.
import { CacheError } from '../base/cache-error.ts';
import { sha256 } from './digest-function.ts';
import type { DigestFunction } from './digest-function.ts';

/** Identity of a blob, (digest function, hash), as one string for use in maps and file names. */
export type DigestKey = string;

/** Sizes are safe integers; anything above is refused where it is parsed. */
const lowerHex = /^[0-9a-f]+$/;

/** (digest function, hash, size). Immutable; equal digests have equal `key` and `sizeBytes`. */
export class Digest {
  readonly function: DigestFunction;
  /** Lower-case hex of the function's full length. */
  readonly hash: string;
  readonly sizeBytes: number;

  private constructor(digestFunction: DigestFunction, hash: string, sizeBytes: number) {
    this.function = digestFunction;
    this.hash = hash;
    this.sizeBytes = sizeBytes;
  }

  /**
   * Checks what a client sent (DG-1, DG-6).
   * @throws CacheError `invalid_argument` that names the value at fault.
   */
  static parse(digestFunction: DigestFunction, hash: string, sizeBytes: number | bigint): Digest {
    checkHash(digestFunction, hash);
    return new Digest(digestFunction, hash, checkSize(digestFunction, hash, sizeBytes));
  }

  /** For who has checked hash and size before, as `parse` does. */
  static ofChecked(digestFunction: DigestFunction, hash: string, sizeBytes: number): Digest {
    return new Digest(digestFunction, hash, sizeBytes);
  }

  /** The digest of bytes at hand. */
  static of(bytes: Uint8Array, digestFunction: DigestFunction = sha256): Digest {
    return new Digest(digestFunction, digestFunction.hashHex(bytes), bytes.byteLength);
  }

  static empty(digestFunction: DigestFunction): Digest {
    return new Digest(digestFunction, digestFunction.emptyHash, 0);
  }

  get key(): DigestKey {
    return digestKey(this.function, this.hash);
  }

  /** For people: `sha256/e3b0.../0`. */
  toString(): string {
    return `${this.function.name}/${this.hash}/${this.sizeBytes}`;
  }
}

/** The identity of the blob with that hash, for whoever has no size (HTTP paths). */
export function digestKey(digestFunction: DigestFunction, hash: string): DigestKey {
  // SHA-256 goes bare: it is nearly all of the traffic, and every map key saved from joining is a string less.
  return digestFunction === sha256 ? hash : `${digestFunction.name}/${hash}`;
}

/** @throws CacheError `invalid_argument` unless `hash` is lower-case hex of the function's length (DG-1). */
export function checkHash(digestFunction: DigestFunction, hash: string): void {
  if (hash.length === digestFunction.hexLength && lowerHex.test(hash)) return;
  throw new CacheError(
    'invalid_argument',
    `hash ${JSON.stringify(hash.slice(0, 140))} is not a ${digestFunction.name.toUpperCase()} hash: ` +
      `expected ${digestFunction.hexLength} lower-case hex digits${hash.length === digestFunction.hexLength ? '' : `, got ${hash.length} characters`}`,
  );
}

/** The size as a number. @throws CacheError `invalid_argument` (negative, too large, or not the empty blob's; DG-6). */
export function checkSize(digestFunction: DigestFunction, hash: string, sizeBytes: number | bigint): number {
  const size = Number(sizeBytes);
  if (size < 0 || !Number.isSafeInteger(size)) {
    throw new CacheError('invalid_argument', `size ${sizeBytes} of digest ${hash} is not between 0 and 2^53 - 1`);
  }
  if ((size === 0) !== (hash === digestFunction.emptyHash)) {
    throw new CacheError(
      'invalid_argument',
      size === 0
        ? `digest ${hash}/0 is impossible: size 0 belongs to ${digestFunction.emptyHash} only`
        : `digest ${hash}/${size} is impossible: this is the hash of no bytes, so its size is 0`,
    );
  }
  return size;
}
