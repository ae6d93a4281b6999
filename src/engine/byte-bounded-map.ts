// Byte strings in memory, bounded by what they take together. Knows nothing of what they mean.
import { assert } from '../base/assert.ts';

/** What an entry costs beside its bytes: key, Map slot, array object. Measured 200 to 270 on Node 26. */
export const entryOverheadBytes = 256;

/** Holds at most `bytesMax`, overhead and reservations included; room is made by dropping what was used longest ago. */
export class ByteBoundedMap<K> {
  readonly bytesMax: number;
  #usedBytes = 0;
  /** In the order of last use, oldest first: re-inserting moves to the end. */
  readonly #entries = new Map<K, Uint8Array>();

  constructor(bytesMax: number) {
    assert(bytesMax >= 0, 'a bound in bytes is not negative');
    this.bytesMax = bytesMax;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Bytes counted, overhead and reservations included. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Counts as a use. */
  get(key: K): Uint8Array | undefined {
    const bytes = this.#entries.get(key);
    if (bytes !== undefined) {
      this.#entries.delete(key);
      this.#entries.set(key, bytes);
    }
    return bytes;
  }

  /**
   * Keeps `bytes`, which must own their buffer: a view would keep alive more than is counted.
   * Returns false, with nothing kept under `key`, when there is no room even with all else dropped.
   */
  set(key: K, bytes: Uint8Array): boolean {
    this.delete(key);
    const cost = bytes.byteLength + entryOverheadBytes;
    if (!this.#makeRoom(cost)) return false;
    this.#usedBytes += cost;
    this.#entries.set(key, bytes);
    return true;
  }

  delete(key: K): boolean {
    const bytes = this.#entries.get(key);
    if (bytes === undefined) return false;
    this.#entries.delete(key);
    this.#usedBytes -= bytes.byteLength + entryOverheadBytes;
    return true;
  }

  /** Whether an entry of that many bytes can ever fit. */
  fits(byteLength: number): boolean {
    return byteLength + entryOverheadBytes <= this.bytesMax;
  }

  /** Room for an entry that is being received; undefined when the others being received leave none. Give it back by disposing. */
  reserve(byteLength: number): Disposable | undefined {
    const cost = byteLength + entryOverheadBytes;
    if (!this.#makeRoom(cost)) return undefined;
    this.#usedBytes += cost;
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (held) this.#usedBytes -= cost;
        held = false;
      },
    };
  }

  #makeRoom(bytes: number): boolean {
    if (bytes > this.bytesMax) return false;
    for (const key of this.#entries.keys()) {
      if (this.#usedBytes + bytes <= this.bytesMax) break;
      this.delete(key);
    }
    return this.#usedBytes + bytes <= this.bytesMax;
  }
}
