// What Kiln's index is compared with: the plainest table that could hold the same. Open addressing with linear probing over
// one buffer, slots of 52 bytes (fingerprint, key, details), placed by the key as it is, no salt, no locks, as large
// from the begin as it will ever be. It cannot grow, and whoever grinds keys can fill one place of it.

const slotWords = 13;
const keyAt = 1;
const keyWords = 8;
const detailsAt = 9;

export class PlainTable {
  readonly #slots: number;
  readonly #words: Uint32Array;

  constructor(slots: number) {
    this.#slots = slots;
    this.#words = new Uint32Array(new SharedArrayBuffer(slots * slotWords * Uint32Array.BYTES_PER_ELEMENT));
  }

  get allocatedBytes(): number {
    return this.#words.byteLength;
  }

  /** Where its slot begins; -1: absent. */
  find(key: Uint32Array): number {
    const table = this.#words;
    const fingerprint = fingerprintOf(key);
    for (let slot = this.#homeOf(key[0] ?? 0); ; slot = slot + 1 === this.#slots ? 0 : slot + 1) {
      const at = slot * slotWords;
      const found = table[at];
      if (found === 0) return -1;
      if (found === fingerprint && hasKey(table, at + keyAt, key)) return at;
    }
  }

  /** The key must not be there yet; what it is inserted with is one number, four times. */
  insert(key: Uint32Array, detail: number): void {
    const table = this.#words;
    let slot = this.#homeOf(key[0] ?? 0);
    while (table[slot * slotWords] !== 0) slot = slot + 1 === this.#slots ? 0 : slot + 1;
    const at = slot * slotWords;
    table[at] = fingerprintOf(key);
    for (let word = 0; word < keyWords; word += 1) table[at + keyAt + word] = key[word] ?? 0;
    for (let word = detailsAt; word < slotWords; word += 1) table[at + word] = detail;
  }

  /** A sum of all details of the slot that begins there. */
  details(at: number): number {
    const table = this.#words;
    return (table[at + detailsAt] ?? 0) + (table[at + detailsAt + 1] ?? 0) + (table[at + detailsAt + 2] ?? 0) + (table[at + detailsAt + 3] ?? 0);
  }

  /** By backward shift, as in Kiln's index. */
  remove(at: number): void {
    const table = this.#words;
    let hole = at / slotWords;
    for (let from = hole + 1 === this.#slots ? 0 : hole + 1; table[from * slotWords] !== 0; from = from + 1 === this.#slots ? 0 : from + 1) {
      const home = this.#homeOf(table[from * slotWords + keyAt] ?? 0);
      const isBehind = hole <= from ? hole < home && home <= from : hole < home || home <= from;
      if (isBehind) continue;
      for (let word = 0; word < slotWords; word += 1) table[hole * slotWords + word] = table[from * slotWords + word] ?? 0;
      hole = from;
    }
    table[hole * slotWords] = 0;
  }

  #homeOf(firstWord: number): number {
    return Math.floor((firstWord * this.#slots) / 2 ** 32);
  }
}

/** Never 0. */
function fingerprintOf(key: Uint32Array): number {
  return ((key[2] ?? 0) | 1) >>> 0;
}

function hasKey(table: Uint32Array, at: number, key: Uint32Array): boolean {
  return (
    table[at] === key[0] && table[at + 1] === key[1] && table[at + 2] === key[2] && table[at + 3] === key[3] &&
    table[at + 4] === key[4] && table[at + 5] === key[5] && table[at + 6] === key[6] && table[at + 7] === key[7]
  );
}
