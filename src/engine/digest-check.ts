// Checks in passing that bytes are what a digest says. Holds no bytes itself.
import { CacheError } from '../base/cache-error.ts';
import type { Digest } from '../digest/digest.ts';
import type { Hasher } from '../digest/digest-function.ts';

/** Running hash and length of what a put receives in pieces: `update` for each, then `finish` once. */
export class DigestCheck {
  readonly #digest: Digest;
  readonly #hasher: Hasher;
  #seenBytes = 0;

  constructor(digest: Digest) {
    this.#digest = digest;
    this.#hasher = digest.function.createHasher();
  }

  get seenBytes(): number {
    return this.#seenBytes;
  }

  /** @throws CacheError `invalid_argument` as soon as the piece shows that the bytes are others. */
  update(chunk: Uint8Array): void {
    this.#seenBytes += chunk.byteLength;
    // Now, not at the end: an endless stream must not fill memory or disk.
    if (this.#seenBytes > this.#digest.sizeBytes) throw tooLong(this.#digest);
    this.#hasher.update(chunk);
  }

  /** @throws CacheError `invalid_argument` when all pieces together are not what the digest says. */
  finish(): void {
    if (this.#seenBytes !== this.#digest.sizeBytes) throw wrongLength(this.#digest, this.#seenBytes);
    const hash = this.#hasher.hex();
    if (hash !== this.#digest.hash) throw wrongHash(this.#digest, hash);
  }
}

/** `DigestCheck` for bytes at hand, in one go. @throws CacheError `invalid_argument`. */
export function checkWhole(digest: Digest, bytes: Uint8Array): void {
  if (bytes.byteLength !== digest.sizeBytes) throw wrongLength(digest, bytes.byteLength);
  const hash = digest.function.hashHex(bytes);
  if (hash !== digest.hash) throw wrongHash(digest, hash);
}

/** The refusal of an upload that goes on after its last byte. */
export function tooLong(digest: Digest): CacheError {
  return new CacheError('invalid_argument', `more than the ${digest.sizeBytes} bytes of digest ${digest.toString()} were sent`);
}

/** The refusal of bytes that are at an end and are not as many as the digest says. */
export function wrongLength(digest: Digest, seenBytes: number): CacheError {
  return new CacheError('invalid_argument', `${seenBytes} bytes were sent for digest ${digest.toString()}, whose size is ${digest.sizeBytes}`);
}

/** The refusal of bytes whose hash is another one. */
export function wrongHash(digest: Digest, hash: string): CacheError {
  return new CacheError('invalid_argument', `the ${digest.sizeBytes} bytes sent do not have digest ${digest.toString()}: their hash is ${hash}`);
}
