// Places of keys: by definition, spread evenly, and by a salt.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SeededRandom, seededRandom } from '../testing/seeded-random.ts';
import { KeyMix } from './key-mix.ts';

const rotated = (word: number, bits: number): number => ((word << bits) | (word >>> (32 - bits))) >>> 0;
const sum = (a: number, b: number): number => (a + b) >>> 0;

/** A round of HalfSipHash, as it is written down. */
function plainRound([v0, v1, v2, v3]: readonly [number, number, number, number]): readonly [number, number, number, number] {
  const a0 = sum(v0, v1);
  const a1 = (rotated(v1, 5) ^ a0) >>> 0;
  const a2 = sum(v2, v3);
  const a3 = (rotated(v3, 8) ^ a2) >>> 0;
  const b0 = sum(rotated(a0, 16), a3);
  const b3 = (rotated(a3, 7) ^ b0) >>> 0;
  const b2 = sum(a2, a1);
  const b1 = (rotated(a1, 13) ^ b2) >>> 0;
  return [b0, b1, rotated(b2, 16), b3];
}

/** The plain twin of KeyMix. */
function plainMix(salt: readonly [number, number], low: number, high: number): { readonly table: number; readonly fingerprint: number } {
  let [v0, v1, v2, v3] = plainRound([salt[0] >>> 0, salt[1] >>> 0, (salt[0] ^ 0x6c796765) >>> 0, (salt[1] ^ 0x74656462 ^ low) >>> 0]);
  [v0, v1, v2, v3] = plainRound([(v0 ^ low) >>> 0, v1, v2, (v3 ^ high) >>> 0]);
  [v0, v1, v2, v3] = plainRound([(v0 ^ high) >>> 0, v1, (v2 ^ 0xff) >>> 0, v3]);
  [v0, v1, v2, v3] = plainRound(plainRound([v0, v1, v2, v3]));
  return { table: v1 ^ v3, fingerprint: (v0 ^ v2) || 1 };
}

/** How many of `count` keys belong in the fullest of 64 places, over how many do on the average. */
function crowding(mix: KeyMix, keys: Iterable<readonly [number, number]>, placeOf: (mix: KeyMix) => number): number {
  const places = new Array<number>(64).fill(0);
  let count = 0;
  for (const [low, high] of keys) {
    mix.of(low, high);
    const place = placeOf(mix);
    places[place] = (places[place] ?? 0) + 1;
    count += 1;
  }
  return Math.max(...places) / (count / places.length);
}

describe('KeyMix', () => {
  it('gives for a row what it gives for each of its keys', (t) => {
    const random = seededRandom(t);
    const mix = new KeyMix([random.integer(0, 2 ** 32 - 1), random.integer(0, 2 ** 32 - 1)]);
    const words = Uint32Array.from({ length: 300 }, () => random.integer(0, 2 ** 32 - 1));
    const mixed = { tables: new Int32Array(20), fingerprints: new Uint32Array(20) };
    mix.row(words, { at: 7, stride: 16, count: 18 }, mixed);
    for (let key = 0; key < 18; key += 1) {
      mix.of(words[7 + 16 * key] ?? 0, words[8 + 16 * key] ?? 0);
      assert.deepEqual([mixed.tables[key], mixed.fingerprints[key]], [mix.table, mix.fingerprint >>> 0]);
    }
    assert.deepEqual([mixed.tables[18], mixed.fingerprints[19]], [0, 0], 'and nothing beyond');
  });

  it('gives what its definition says', (t) => {
    const random = seededRandom(t);
    const word = () => random.integer(0, 2 ** 32 - 1);
    for (let round = 0; round < 2_000; round += 1) {
      const salt = [word(), word()] as const;
      const [low, high] = [word(), word()];
      const mix = new KeyMix(salt);
      mix.of(low, high);
      assert.deepEqual({ table: mix.table, fingerprint: mix.fingerprint }, plainMix(salt, low, high));
      const first = [mix.table, mix.fingerprint];
      mix.of(low | 0, high | 0);
      assert.deepEqual([mix.table, mix.fingerprint], first, 'signed or not is the same');
    }
  });

  it('spreads keys that differ little, under any salt', () => {
    const random = new SeededRandom(7);
    const counted = Array.from({ length: 32_768 }, (_, number) => number);
    const families: readonly (readonly (readonly [number, number])[])[] = [
      counted.map((number) => [number, 0] as const),
      counted.map((number) => [0, number] as const),
      counted.map((number) => [(number << 17) >>> 0, 0xffff_ffff] as const),
      counted.map((number) => [0xdead_beef, (number << 17) >>> 0] as const),
      counted.map((number) => [number, number] as const),
    ];
    for (let round = 0; round < 3; round += 1) {
      const mix = new KeyMix([random.integer(0, 2 ** 32 - 1), random.integer(0, 2 ** 32 - 1)]);
      for (const keys of families) {
        // 512 are expected in each; six times the deviation of a fair share is a quarter more.
        assert.ok(crowding(mix, keys, ({ table }) => table >>> 26) < 1.27);
        assert.ok(crowding(mix, keys, ({ fingerprint }) => fingerprint >>> 26) < 1.27);
        assert.ok(crowding(mix, keys, ({ fingerprint }) => fingerprint & 63) < 1.27);
      }
    }
  });

  it('has no fingerprint 0, which means a free slot', () => {
    const mix = new KeyMix([0, 0]);
    for (let number = 0; number < 10_000; number += 1) {
      mix.of(number, 0);
      assert.notEqual(mix.fingerprint, 0);
    }
  });
});
