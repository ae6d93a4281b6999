// Where a key belongs in an index. Keys are hashes, but of contents that others choose: whoever grinds thousands that
// begin alike could send them all to one place. So places come from a mix of the key with a secret of this process.

const add1 = 0x6c796765;
const add3 = 0x74656462;
const rounds = 5;

/** Keys that stand one behind the other: the first begins at the word `at`, each other `stride` words later. */
export interface KeyRow {
  readonly at: number;
  readonly stride: number;
  readonly count: number;
}

/** What `KeyMix.of` gives for each key of a row, as long as the longest. */
export interface MixedRow {
  readonly tables: Int32Array;
  readonly fingerprints: Uint32Array;
}

/**
 * HalfSipHash (Aumasson and Bernstein's SipHash with words of 32 bits) with 2 + 3 rounds over 64 bits of the key. The
 * length is left out, since it is always the same, and all of the state goes into two words, since nobody sees them.
 * Of the key the first 64 bits only: they name an entry in logs of uses, which must find it too. Two hashes that share
 * them cost 2^32 tries and do no harm; thousands are out of reach.
 */
export class KeyMix {
  readonly #salt0: number;
  readonly #salt1: number;
  /** The last result, as int32: which table. A field and no return value, since a look-up must not allocate. */
  table = 0;
  /** The last result, as int32, never 0: which slot, and what is compared before the key is. */
  fingerprint = 1;

  constructor(salt: readonly [number, number]) {
    this.#salt0 = salt[0] | 0;
    this.#salt1 = salt[1] | 0;
  }

  /** `low` and `high` are the first two words of a key. */
  of(low: number, high: number): void {
    let v0 = this.#salt0;
    let v1 = this.#salt1;
    let v2 = v0 ^ add1;
    let v3 = v1 ^ add3 ^ low;
    for (let round = 0; round < rounds; round += 1) {
      v0 = (v0 + v1) | 0;
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
      v0 = (v0 << 16) | (v0 >>> 16);
      v2 = (v2 + v3) | 0;
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
      v2 = (v2 << 16) | (v2 >>> 16);
      if (round === 0) {
        v0 ^= low;
        v3 ^= high;
      } else if (round === 1) {
        v0 ^= high;
        v2 ^= 0xff;
      }
    }
    this.table = v1 ^ v3;
    this.fingerprint = (v0 ^ v2) || 1;
  }

  /** As `of`, of all keys of the row, into `mixed`: in a loop of its own it takes half of the time. */
  row(words: Uint32Array, { at, stride, count }: KeyRow, mixed: MixedRow): void {
    const { tables, fingerprints } = mixed;
    for (let key = 0, low = at; key < count; key += 1, low += stride) {
      this.of(words[low] ?? 0, words[low + 1] ?? 0);
      tables[key] = this.table;
      fingerprints[key] = this.fingerprint;
    }
  }
}
