// Large bodies that nobody has yet, made in no time: all alike but for a number at their end, so that the hash of what is alike
// is computed once, and all share the memory of it.
import { createHash, randomFillSync } from 'node:crypto';
import type { Hash } from 'node:crypto';
import { Digest } from '../../src/digest/digest.ts';
import { sha256 } from '../../src/digest/digest-function.ts';

/** As much as comes in a message of a stream. */
export const pieceBytes = 64 * 1024;
/** The pieces of a body repeat after so many. */
const distinctPieces = 32;
/** What differs is in a last piece of this size. */
const lastBytes = 4_096;
/** The number of the body, as a double, at its end. */
export const stampBytes = Float64Array.BYTES_PER_ELEMENT;

/** In pieces, in order. Nobody writes to them. */
export interface StampedBody {
  readonly digest: Digest;
  pieces(): Iterable<Uint8Array>;
}

export class StampedBodies {
  readonly #sizeBytes: number;
  readonly #pieces: readonly Uint8Array[];
  readonly #last = randomFillSync(Buffer.alloc(lastBytes));
  readonly #begun: Hash = createHash('sha256');
  readonly #hashes: string[] = [];

  /** `sizeBytes` is a multiple of 4 KiB. */
  constructor(sizeBytes: number) {
    this.#sizeBytes = sizeBytes;
    const bytes = randomFillSync(Buffer.alloc(pieceBytes * distinctPieces));
    this.#pieces = Array.from({ length: distinctPieces }, (_, piece) => bytes.subarray(piece * pieceBytes, (piece + 1) * pieceBytes));
    for (const piece of this.#alike()) this.#begun.update(piece);
  }

  next(): StampedBody {
    const last = Buffer.from(this.#last);
    last.writeDoubleBE(this.#hashes.length, lastBytes - stampBytes);
    const hash = this.#begun.copy().update(last).digest('hex');
    this.#hashes.push(hash);
    const alike = (): Iterable<Uint8Array> => this.#alike();
    return {
      digest: Digest.ofChecked(sha256, hash, this.#sizeBytes),
      *pieces() {
        yield* alike();
        yield last;
      },
    };
  }

  /** Of the body that ends like this. */
  hashOf(end: Buffer): string {
    const hash = this.#hashes[end.readDoubleBE(end.length - stampBytes)];
    if (hash === undefined) throw new Error('no body ends like this');
    return hash;
  }

  *#alike(): Generator<Uint8Array> {
    for (let left = this.#sizeBytes - lastBytes, number = 0; left > 0; left -= pieceBytes, number += 1) {
      const piece = this.#pieces[number % distinctPieces];
      if (piece !== undefined) yield left < pieceBytes ? piece.subarray(0, left) : piece;
    }
  }
}

/** As fast as they are taken. */
export async function* streamed(body: StampedBody): AsyncGenerator<Uint8Array> {
  yield* body.pieces();
}

/** As a body that comes over a connection: each piece in a turn of the loop of its own. */
export async function* arriving(body: StampedBody): AsyncGenerator<Uint8Array> {
  for (const piece of body.pieces()) {
    await new Promise((resolve) => setImmediate(resolve));
    yield piece;
  }
}
