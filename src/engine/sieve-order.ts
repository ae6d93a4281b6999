// In which order large files go: SIEVE (Zhang et al., NSDI 2024). A hand goes from the oldest to the newest and begins
// anew; what was used since it last came by stays where it is, the first that was not goes. Nothing moves when it is used.
// Holds the first 8 bytes of each key and nothing else: what became of an entry is asked when the hand comes to it.
import { assert } from '../base/assert.ts';

/**
 * What becomes of the entry under the hand. `gone`: there is none any more, the order forgets it. `used`: it was used, and
 * whoever looked has cleared the mark of that. `kept`: leased, pinned or locked, so it may not go now. `take`: it goes.
 */
export type SieveLook = 'gone' | 'used' | 'kept' | 'take';

/** The first two words of a key. */
export interface KeyPrefix {
  readonly low: number;
  readonly high: number;
}

export class SieveOrder {
  /** Not passed by the hand since it began anew, oldest first; the first is under the hand. Empty only if all is. */
  #ahead = new PrefixList();
  /** Passed, in the same order: all of it is older than what is ahead. */
  #behind = new PrefixList();
  #isLooking = false;

  /** Entries, those included that are gone and were not looked at since. */
  get count(): number {
    return this.#ahead.count + this.#behind.count;
  }

  get allocatedBytes(): number {
    return this.#ahead.allocatedBytes + this.#behind.allocatedBytes;
  }

  /** Adds a new entry as the newest. What was there and is gone may be added again: the hand then meets it twice, once for each time. */
  append(low: number, high: number): void {
    assert(!this.#isLooking, 'the order does not change while the hand moves');
    this.#ahead.push(low, high);
  }

  /**
   * Moves the hand until `look` takes an entry, and returns that; the order has forgotten it then. Undefined: there is none,
   * or `looksMax` were looked at. After two rounds, `2 * count` looks in all, none can be taken at present.
   * What `look` throws is passed on, and the hand stays where it was.
   */
  victim(look: (low: number, high: number) => SieveLook, looksMax: number): KeyPrefix | undefined {
    assert(!this.#isLooking, 'the hand is moved by one at a time');
    this.#isLooking = true;
    try {
      for (let looks = 0; looks < looksMax && this.#ahead.count > 0; looks += 1) {
        const { firstLow: low, firstHigh: high } = this.#ahead;
        const found = look(low, high);
        this.#ahead.shift();
        if (found === 'used' || found === 'kept') this.#behind.push(low, high);
        // At once, and not when the hand moves again: what comes until then is newer than all that was passed.
        if (this.#ahead.count === 0) [this.#ahead, this.#behind] = [this.#behind, this.#ahead];
        if (found === 'take') return { low, high };
      }
      return undefined;
    } finally {
      this.#isLooking = false;
    }
  }
}

/** Entries of a block, 8 KiB. */
const blockEntries = 1_024;

/** First in, first out, in blocks: it neither copies when it grows nor keeps what it does not need. */
class PrefixList {
  /** All full, but for the begin of the first and the end of the last. */
  readonly #blocks: Uint32Array[] = [];
  /** Place of the first entry in the first block. */
  #first = 0;
  count = 0;

  get allocatedBytes(): number {
    return this.#blocks.length * blockEntries * 2 * Uint32Array.BYTES_PER_ELEMENT;
  }

  get firstLow(): number {
    return this.#blocks[0]?.[this.#first * 2] ?? 0;
  }

  get firstHigh(): number {
    return this.#blocks[0]?.[this.#first * 2 + 1] ?? 0;
  }

  push(low: number, high: number): void {
    const at = this.#first + this.count;
    const number = Math.floor(at / blockEntries);
    if (number === this.#blocks.length) this.#blocks.push(new Uint32Array(blockEntries * 2));
    const block = this.#blocks[number];
    assert(block !== undefined, 'blocks are filled one after the other');
    const place = (at % blockEntries) * 2;
    block[place] = low;
    block[place + 1] = high;
    this.count += 1;
  }

  shift(): void {
    assert(this.count > 0, 'there is a first entry');
    this.#first += 1;
    this.count -= 1;
    if (this.#first < blockEntries) return;
    this.#blocks.shift();
    this.#first = 0;
  }
}
