// Unpredictable bytes from the system.
import { randomBytes } from 'node:crypto';
import type { Random } from '../base/random.ts';

/**
 * Small requests are served from bytes asked for together: the way to the system costs a microsecond or two whatever
 * its length, which sampled traces notice (bench/telemetry).
 */
const pooledBytes = 4_096;
const smallBytesMax = 64;

class SystemRandom implements Random {
  #pool: Uint8Array = new Uint8Array(0);
  #given = 0;

  bytes(length: number): Uint8Array {
    if (length > smallBytesMax) return randomBytes(length);
    if (this.#given + length > this.#pool.length) {
      this.#pool = randomBytes(pooledBytes);
      this.#given = 0;
    }
    const from = this.#given;
    this.#given += length;
    const bytes = new Uint8Array(this.#pool.subarray(from, this.#given)); // a copy, which `slice` of a Buffer is not
    this.#pool.fill(0, from, this.#given); // given once, and then to nobody
    return bytes;
  }
}

export const systemRandom: Random = new SystemRandom();
