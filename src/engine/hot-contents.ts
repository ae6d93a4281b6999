// Contents of files in memory, so that what is asked for often costs no disk. Knows nothing of what they mean.
import { assert } from '../base/assert.ts';
import { BoundedMap } from '../base/bounded-map.ts';
import { entryOverheadBytes } from './byte-bounded-map.ts';

/** Up to here a content is kept as soon as it was read or written. */
const smallBytesMax = 64 * 1024;
/** Above that it is kept when it is read again, up to here: a file of that size is read in one piece anyway. */
const largeBytesMax = 1024 * 1024;
/** What large contents may take of all. A hundred small ones fit in the place of one, and each of them is asked for. */
const largeShare = 0.5;
/** So many large contents are remembered to have been read once. */
const seenOnceMax = 4096;

/**
 * At most `bytesMax` bytes, what an entry costs beside its content included. Room is made by dropping what was used
 * longest ago. Large contents have a share of it at most and must be asked for twice: whoever reads every large file
 * once, or too many of them again and again, flushes no more than that share.
 */
export class HotContents<K> {
  readonly bytesMax: number;
  readonly #largeSumMax: number;
  /** All of them, in the order of last use, oldest first: re-inserting moves to the end. */
  readonly #contents = new Map<K, Uint8Array>();
  /** The large ones again, in the same order. */
  readonly #large = new Map<K, Uint8Array>();
  readonly #seenOnce = new BoundedMap<K, true>(seenOnceMax);
  #usedBytes = 0;
  #largeSum = 0;

  constructor(bytesMax: number) {
    assert(bytesMax >= 0, 'a bound in bytes is not negative');
    this.bytesMax = bytesMax;
    this.#largeSumMax = Math.floor(bytesMax * largeShare);
  }

  get size(): number {
    return this.#contents.size;
  }

  /** What is kept, in bytes, overhead included. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Counts as a use. */
  get(key: K): Uint8Array | undefined {
    const bytes = this.#contents.get(key);
    if (bytes === undefined) return undefined;
    this.#contents.delete(key);
    this.#contents.set(key, bytes);
    if (isLarge(bytes)) {
      this.#large.delete(key);
      this.#large.set(key, bytes);
    }
    return bytes;
  }

  /** Whether a content of that length is ever kept: no need to copy or collect it otherwise. */
  static takes(byteLength: number): boolean {
    return byteLength <= largeBytesMax;
  }

  /** Whether a content of that length is kept when it is written. */
  static takesWritten(byteLength: number): boolean {
    return byteLength <= smallBytesMax;
  }

  /** Takes a content that was just read or written: `bytes` owns its buffer, and nobody writes to it any more. */
  offer(key: K, bytes: Uint8Array): void {
    this.delete(key);
    if (!HotContents.takes(bytes.byteLength)) return;
    const cost = bytes.byteLength + entryOverheadBytes;
    if (isLarge(bytes)) {
      if (!this.#isSecondUse(key)) return;
      if (!this.#makeRoom(this.#large, () => this.#largeSum + cost <= this.#largeSumMax)) return;
    }
    if (!this.#makeRoom(this.#contents, () => this.#usedBytes + cost <= this.bytesMax)) return;
    this.#usedBytes += cost;
    this.#contents.set(key, bytes);
    if (!isLarge(bytes)) return;
    this.#largeSum += cost;
    this.#large.set(key, bytes);
  }

  delete(key: K): void {
    const bytes = this.#contents.get(key);
    if (bytes === undefined) return;
    const cost = bytes.byteLength + entryOverheadBytes;
    this.#contents.delete(key);
    this.#usedBytes -= cost;
    if (this.#large.delete(key)) this.#largeSum -= cost;
  }

  #isSecondUse(key: K): boolean {
    if (this.#seenOnce.delete(key)) return true;
    this.#seenOnce.set(key, true);
    return false;
  }

  #makeRoom(oldestFirst: Map<K, Uint8Array>, fits: () => boolean): boolean {
    for (const key of oldestFirst.keys()) {
      if (fits()) break;
      this.delete(key);
    }
    return fits();
  }
}

function isLarge(bytes: Uint8Array): boolean {
  return bytes.byteLength > smallBytesMax;
}
