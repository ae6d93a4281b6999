// Which bytes of the segments are likely in the page cache, so that a read may be made on the loop: those that were
// written or read lately. The system does not say, so this is a guess in both directions, and the time that reads on the
// loop took corrects it: where several were slow, nothing is believed for a while. A wrong guess costs some slow reads.
import { assert } from '../base/assert.ts';

/** What is known of a segment at once. A multiple of a page; smaller would cost memory, larger would believe more. */
const blockBytes = 16_384;
/** The longest segment there is. */
const segmentBytesMax = 67_108_864;
const wordsPerSegment = segmentBytesMax / blockBytes / 32;
/** A read on the loop that took longer went to the disk, or as good as: the page cache takes 1 to 50 us. */
const slowRead = { microseconds: 300, perKiB: 1 } as const;
/** Nothing is believed for so long where reads were slow. */
const doubtMs = 1_000;
/**
 * So many slow ones among the last reads of a segment on the loop. From the disk nearly all are slow; but where the
 * processors have too much to do, one read in some hundreds waits for its turn in the middle, and says nothing of the disk.
 */
const segmentDoubt = { reads: 8, slow: 3 } as const;
/** Of the last 32 of all segments, the bits of a number: then nothing at all is believed. */
const generalSlow = 8;

interface Segment {
  /** A bit per block: noted in `generation`, and in the one before. */
  recent: Uint32Array;
  older: Uint32Array;
  generation: number;
  /** Nothing is noted before. */
  doubtedUntilMs: number;
  /** A bit for each of the last reads on the loop: it was slow. The lowest is the latest. */
  slowReads: number;
}

/** Time is the caller's, milliseconds of a monotonic clock. */
export class PageCacheGuess {
  readonly #segments = new Map<number, Segment>();
  /** Of each of the two generations. */
  readonly #blocksMax: number;
  #generation = 0;
  /** Noted in this generation. */
  #blocks = 0;
  /** As that of a segment. */
  #slowReads = 0;
  #doubtedUntilMs = -Infinity;
  #isDoubted = false;

  /** `believedBytesMax`: what the page cache can be expected to hold of the segments; what was used longest ago is forgotten beyond it. */
  constructor(believedBytesMax: number) {
    this.#blocksMax = Math.max(1, Math.floor(believedBytesMax / blockBytes / 2));
  }

  /** These bytes were written, or read in any way. */
  note(segment: number, offset: number, bytes: number, nowMs: number): void {
    assert(offset >= 0 && offset + bytes <= segmentBytesMax, 'bytes lie within a segment');
    if (this.#isDoubted && nowMs >= this.#doubtedUntilMs) this.#isDoubted = false;
    const known = this.#known(segment);
    if (nowMs < known.doubtedUntilMs) return;
    for (let block = blockOf(offset); block <= blockOf(offset + bytes - 1); block += 1) {
      const [word, bit] = [block >>> 5, 1 << (block & 31)];
      const bits = known.recent[word] ?? 0;
      if ((bits & bit) !== 0) continue;
      known.recent[word] = bits | bit;
      this.#blocks += 1;
    }
    if (this.#blocks >= this.#blocksMax) this.#nextGeneration();
  }

  /** All of these bytes were noted, and nothing spoke against it since. */
  isLikely(segment: number, offset: number, bytes: number): boolean {
    if (this.#isDoubted) return false;
    const known = this.#segments.get(segment);
    if (known === undefined) return false;
    const isCurrent = known.generation === this.#generation;
    for (let block = blockOf(offset); block <= blockOf(offset + bytes - 1); block += 1) {
      const word = block >>> 5;
      // Of a segment that was not touched in this generation, `recent` is from the one before, and `older` is past.
      const bits = (known.recent[word] ?? 0) | (isCurrent ? (known.older[word] ?? 0) : 0);
      if ((bits & (1 << (block & 31))) === 0) return false;
    }
    return true;
  }

  /** A read on the loop took so long. */
  measured(segment: number, bytes: number, microseconds: number, nowMs: number): void {
    const slow = microseconds > slowRead.microseconds + (bytes / 1024) * slowRead.perKiB ? 1 : 0;
    const known = this.#known(segment);
    known.slowReads = ((known.slowReads << 1) | slow) & (2 ** segmentDoubt.reads - 1);
    this.#slowReads = (this.#slowReads << 1) | slow;
    if (slow === 0) return;
    if (onesIn(known.slowReads) >= segmentDoubt.slow) {
      known.recent.fill(0);
      known.older.fill(0);
      known.doubtedUntilMs = nowMs + doubtMs;
      known.slowReads = 0;
    }
    if (onesIn(this.#slowReads) < generalSlow) return;
    this.#doubtedUntilMs = nowMs + doubtMs;
    this.#isDoubted = true;
    this.#slowReads = 0;
  }

  /** The segment is gone, or its bytes are to be others. */
  forget(segment: number): void {
    this.#segments.delete(segment);
  }

  /** The segment as of this generation. */
  #known(segment: number): Segment {
    const known = this.#segments.get(segment);
    if (known === undefined) {
      const made: Segment = { recent: new Uint32Array(wordsPerSegment), older: new Uint32Array(wordsPerSegment), generation: this.#generation, doubtedUntilMs: -Infinity, slowReads: 0 };
      this.#segments.set(segment, made);
      return made;
    }
    if (known.generation !== this.#generation) {
      [known.recent, known.older] = [known.older, known.recent];
      known.recent.fill(0);
      if (known.generation !== this.#generation - 1) known.older.fill(0);
      known.generation = this.#generation;
    }
    return known;
  }

  /** What was noted in neither of the last two is forgotten, and the memory of segments with nothing else is given back. */
  #nextGeneration(): void {
    this.#generation += 1;
    this.#blocks = 0;
    for (const [segment, { generation }] of this.#segments) if (generation < this.#generation - 1) this.#segments.delete(segment);
  }
}

function onesIn(bits: number): number {
  let count = 0;
  for (let rest = bits; rest !== 0; rest &= rest - 1) count += 1;
  return count;
}

function blockOf(offset: number): number {
  return Math.floor(offset / blockBytes);
}
