// When what counts in each segment was used, on the average of its bytes: how old a segment is to whoever compares it with a file, however
// long ago it was written. Exact, so that what is added and taken away leaves nothing.
import { assert } from '../base/assert.ts';

interface Sums {
  bytes: number;
  /** Bytes times seconds since the base. Below 2^53 in a segment of 64 MiB for times within four years of it. */
  byteSeconds: number;
}

export class SegmentUses {
  readonly #baseS: number;
  /** By ordinal of the segment. */
  readonly #sums: Sums[] = [];

  /** @param baseS about now, seconds since 1970. */
  constructor(baseS: number) {
    assert(Number.isSafeInteger(baseS), 'the base is a whole second');
    this.#baseS = baseS;
  }

  add(segment: number, bytes: number, usedAtS: number): void {
    const sums = (this.#sums[segment] ??= { bytes: 0, byteSeconds: 0 });
    sums.bytes += bytes;
    sums.byteSeconds += bytes * (usedAtS - this.#baseS);
    assert(Number.isSafeInteger(sums.byteSeconds), 'uses of a segment are counted exactly');
  }

  take(segment: number, bytes: number, usedAtS: number): void {
    assert((this.#sums[segment]?.bytes ?? 0) >= bytes, 'no more is taken from a segment than counted in it');
    this.add(segment, -bytes, usedAtS);
  }

  /** Bytes that are counted were used so many seconds later than was known. */
  move(segment: number, bytes: number, laterS: number): void {
    const sums = this.#sums[segment];
    assert(sums !== undefined && sums.bytes >= bytes, 'only what is counted in a segment was used in it');
    sums.byteSeconds += bytes * laterS;
    assert(Number.isSafeInteger(sums.byteSeconds), 'uses of a segment are counted exactly');
  }

  /** Undefined: nothing in it counts. */
  meanS(segment: number): number | undefined {
    const { bytes, byteSeconds } = this.#sums[segment] ?? { bytes: 0, byteSeconds: 0 };
    return bytes === 0 ? undefined : this.#baseS + byteSeconds / bytes;
  }
}
