// Contents of files in memory, so that what is asked for often costs no disk. Knows nothing of what they mean.
import { assert } from '../base/assert.ts';
import { BoundedMap } from '../base/bounded-map.ts';
import { entryOverheadBytes } from './byte-bounded-map.ts';
import { RecencyList } from './recency-list.ts';
import type { RecencyLinks } from './recency-list.ts';

/** Up to here a content is kept as soon as it was read or written. */
const smallBytesMax = 64 * 1024;
/** Above that it is kept when it is read again, up to here: a file of that size is read in one piece anyway. */
const largeBytesMax = 1024 * 1024;
/** So many large contents are remembered to have been read once. */
const seenOnceMax = 4096;

/** Beside what an entry of a map costs: the object that stands in a list. */
const contentOverheadBytes = entryOverheadBytes + 64;

interface Content<K> extends RecencyLinks<Content<K>> {
  readonly key: K;
  readonly bytes: Uint8Array;
  /** Uses are counted, so that the oldest of both lists can be told. */
  lastUse: number;
}

/**
 * At most `bytesMax` bytes, what an entry costs beside its content included. Room is made by dropping what was used
 * longest ago. Large contents have a share of it at most and must be asked for twice: whoever reads every large file
 * once, or too many of them again and again, flushes no more than that share.
 *
 * In lists, and not in the order of a Map: finding its first entry is a look at all that were deleted before it. With a
 * full memory of 31,536 contents of 4,000 bytes, taking one more took 28 us instead of 7, and a use 0.7 instead of 0.2.
 */
export class HotContents<K> {
  readonly bytesMax: number;
  readonly #largeSumMax: number;
  readonly #contents = new Map<K, Content<K>>();
  readonly #small = new RecencyList<Content<K>>();
  readonly #large = new RecencyList<Content<K>>();
  readonly #seenOnce = new BoundedMap<K, true>(seenOnceMax);
  #usedBytes = 0;
  #largeSum = 0;
  #uses = 0;

  /** @param largeBytesSumMax what large contents may take of all. Default: half. A hundred small ones fit in the place of one, and each of them is asked for. */
  constructor(bytesMax: number, largeBytesSumMax = Math.floor(bytesMax / 2)) {
    assert(bytesMax >= 0 && largeBytesSumMax <= bytesMax, 'a bound in bytes is not negative');
    this.bytesMax = bytesMax;
    this.#largeSumMax = largeBytesSumMax;
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
    const content = this.#contents.get(key);
    if (content === undefined) return undefined;
    const list = this.#listOf(content.bytes);
    list.remove(content);
    list.append(content);
    content.lastUse = this.#uses += 1;
    return content.bytes;
  }

  /** Takes a content that was just read or written: `bytes` owns its buffer, and nobody writes to it any more. */
  offer(key: K, bytes: Uint8Array): void {
    this.delete(key);
    if (bytes.byteLength > largeBytesMax) return;
    const cost = bytes.byteLength + contentOverheadBytes;
    if (cost > this.bytesMax) return;
    if (isLarge(bytes)) {
      if (cost > this.#largeSumMax || !this.#isSecondUse(key)) return;
      while (this.#largeSum + cost > this.#largeSumMax) this.#drop(this.#large.oldest);
      this.#largeSum += cost;
    }
    while (this.#usedBytes + cost > this.bytesMax) this.#drop(this.#oldest());
    this.#usedBytes += cost;
    const content = { key, bytes, lastUse: (this.#uses += 1), older: undefined, newer: undefined };
    this.#contents.set(key, content);
    this.#listOf(bytes).append(content);
  }

  delete(key: K): void {
    const content = this.#contents.get(key);
    if (content !== undefined) this.#drop(content);
  }

  #drop(content: Content<K> | undefined): void {
    assert(content !== undefined, 'what takes room is in a list');
    const cost = content.bytes.byteLength + contentOverheadBytes;
    this.#contents.delete(content.key);
    this.#listOf(content.bytes).remove(content);
    this.#usedBytes -= cost;
    if (isLarge(content.bytes)) this.#largeSum -= cost;
  }

  #isSecondUse(key: K): boolean {
    if (this.#seenOnce.delete(key)) return true;
    this.#seenOnce.set(key, true);
    return false;
  }

  #oldest(): Content<K> | undefined {
    const small = this.#small.oldest;
    const large = this.#large.oldest;
    return large === undefined || (small !== undefined && small.lastUse < large.lastUse) ? small : large;
  }

  #listOf(bytes: Uint8Array): RecencyList<Content<K>> {
    return isLarge(bytes) ? this.#large : this.#small;
  }
}

function isLarge(bytes: Uint8Array): boolean {
  return bytes.byteLength > smallBytesMax;
}
