// Randomness that can be had again: a test that fails prints its seed, and KILN_TEST_SEED repeats it.
import { randomInt } from 'node:crypto';
import type { TestContext } from 'node:test';
import type { Random } from '../base/random.ts';

/** Pseudo-random values from a 32-bit seed (mulberry32: tiny, even enough for tests, same everywhere). */
export class SeededRandom implements Random {
  readonly seed: number;
  #state: number;

  constructor(seed: number) {
    this.seed = seed >>> 0;
    this.#state = this.seed;
  }

  /** 0 (inclusive) to 1 (exclusive). */
  fraction(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** `least` to `most`, both included. */
  integer(least: number, most: number): number {
    return least + Math.floor(this.fraction() * (most - least + 1));
  }

  bytes(length: number): Uint8Array {
    const made = new Uint8Array(length);
    for (let index = 0; index < length; index += 1) made[index] = this.integer(0, 255);
    return made;
  }

  /** One of the items, which must not be empty. */
  pick<T>(items: readonly T[]): T {
    const item = items[this.integer(0, items.length - 1)];
    if (item === undefined) throw new RangeError('nothing to pick from');
    return item;
  }
}

/** A generator for one test. Its seed is random unless KILN_TEST_SEED is set, and printed when the test fails. */
export function seededRandom(t: TestContext): SeededRandom {
  const named = process.env['KILN_TEST_SEED'];
  const asked = named === 'any' ? undefined : named;
  const random = new SeededRandom(asked === undefined ? randomInt(2 ** 32) : Number(asked));
  t.after(() => {
    if (!t.passed) t.diagnostic(`seed ${random.seed}: repeat with KILN_TEST_SEED=${random.seed}`);
  });
  return random;
}

/** The bytes in pieces of random length, some of them empty. */
export async function* chunked(bytes: Uint8Array, random: SeededRandom): AsyncGenerator<Uint8Array, void, undefined> {
  let offset = 0;
  while (offset < bytes.byteLength) {
    const length = random.integer(0, Math.min(bytes.byteLength - offset, 20_000));
    yield bytes.subarray(offset, offset + length);
    offset += length;
  }
}
