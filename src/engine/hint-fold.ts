// Gives the entries of a hint to what a start fills. Nearly all are blobs and values that nothing was known of before: they go into
// the index as they are, words to words, and are counted together. All others take the way of records that were read one by one.
import { allocatedBytes } from './allocated-bytes.ts';
import { fileFlag, pointerFlag } from './entry-codec.ts';
import { rowKeysMax } from './blob-index.ts';
import type { BlobIndex } from './blob-index.ts';
import type { Hint } from './hint.ts';
import { hintEntryWords, hintFlags, hintWord } from './hint-format.ts';
import type { KeyRow } from './key-mix.ts';
import { KeyWords, blobTag, valueTag } from './key-words.ts';
import { blobRecordBytes } from './live-entries.ts';
import type { LiveEntries } from './live-entries.ts';
import { recordAlignment, recordFixedBytes, recordKinds } from './record-codec.ts';
import type { RecoveryFold } from './recovery-fold.ts';
import { segmentHeaderBytes } from './segment-format.ts';
import type { SegmentRow } from './segment-table.ts';

/** An index entry has room for less, in the higher of the two words of a size. */
const sizeHighEnd = 2 ** 10;
/** What the higher of two words counts. */
const wordSpan = 2 ** 32;

/** What is known of a hint while its entries are taken. */
interface Reading {
  readonly row: SegmentRow;
  readonly hint: Hint;
  readonly damage: { readonly from: number; readonly to: number }[];
  /** Of the record before, in its segment. */
  end: number;
  hasGap: boolean;
}

/** Hints one after the other, each at once. */
export class HintFold {
  readonly #fold: RecoveryFold;
  readonly #entries: LiveEntries;
  /** What was used later was used now. */
  readonly #nowS: number;
  readonly #key = new KeyWords();
  #index: BlobIndex;
  /** Of the segment. */
  #ordinal = 0;
  #isOfValues = false;
  // Of the kind of entry that was met last:
  #kinds = -1;
  /** What its records have at least; 0: such entries are for the fold. */
  #leastBytes = 0;
  #tag = 0;
  #flags = 0;
  #isFile = false;
  // Of the time that was met last, the step:
  #usedAtS = -1;
  #usedStep = 0;
  // Of the entries that are in the index and were not told yet, all used in that step:
  #step = 0;
  #count = 0;
  #filesCount = 0;
  #recordsBytes = 0;
  #filesBytes = 0;

  constructor(fold: RecoveryFold, entries: LiveEntries, nowS: number) {
    this.#fold = fold;
    this.#entries = entries;
    this.#nowS = nowS;
    this.#index = entries.blobs;
  }

  /**
   * All of the hint, in its order. True: it leaves something out.
   * @param damage gets what counts for nothing.
   */
  take(row: SegmentRow, hint: Hint, damage: { readonly from: number; readonly to: number }[]): boolean {
    this.#begin(row);
    const reading: Reading = { row, hint, damage, end: segmentHeaderBytes, hasGap: false };
    for (const { from, count } of hint.blocks) {
      for (let first = 0; first < count; first += rowKeysMax) {
        this.#takeRow(reading, { at: from + first * hintEntryWords, stride: hintEntryWords, count: Math.min(rowKeysMax, count - first) });
      }
    }
    this.#tell();
    this.#fold.noteSequence(hint.sequenceMax);
    return reading.hasGap || reading.end + (hint.isSealed ? recordFixedBytes : 0) !== hint.endOffset;
  }

  #takeRow(reading: Reading, entries: KeyRow): void {
    const { row, hint, damage } = reading;
    const { words } = hint;
    this.#index.mixRow(words, entries);
    let [end, hasGap, youngestUseS] = [reading.end, reading.hasGap, row.youngestUseS];
    for (let number = 0, at = entries.at; number < entries.count; number += 1, at += hintEntryWords) {
      const offset = words[at + hintWord.offset] ?? 0;
      if (offset !== end) hasGap = true;
      end = offset + (words[at + hintWord.bytes] ?? 0);
      const usedAtS = Math.min(this.#nowS, words[at + hintWord.usedAt] ?? 0);
      if (usedAtS > youngestUseS) youngestUseS = usedAtS;
      if (this.#insert(words, at, number, usedAtS)) continue;
      this.#tell();
      if (!this.#fold.take(row, this.#key, hint.entryAt(at, this.#key))) damage.push({ from: offset, to: end });
    }
    [reading.end, reading.hasGap, row.youngestUseS] = [end, hasGap, youngestUseS];
  }

  #begin({ ordinal, stream }: SegmentRow): void {
    this.#ordinal = ordinal;
    this.#isOfValues = stream === 'value';
    this.#index = this.#isOfValues ? this.#entries.values : this.#entries.blobs;
    this.#kinds = -1;
    this.#usedAtS = -1;
  }

  /** False: it is for the fold, since it is no blob, file or value, or not all that has to do with its key. */
  #insert(words: Uint32Array, at: number, number: number, usedAtS: number): boolean {
    const kinds = words[at + hintWord.kinds] ?? 0;
    if (kinds !== this.#kinds) this.#meet(kinds);
    if (this.#leastBytes === 0) return false;
    const bytes = words[at + hintWord.bytes] ?? 0;
    const { codec } = this.#index;
    if (usedAtS !== this.#usedAtS) {
      this.#usedAtS = usedAtS;
      this.#usedStep = codec.stepOf(usedAtS);
    }
    const step = this.#usedStep;
    if (this.#isOfValues) {
      if (this.#fold.hasRemovedValues) return false;
      codec.packSize(bytes, 0, step);
      codec.packSequence(words[at + hintWord.sequence] ?? 0, words[at + hintWord.sequence + 1] ?? 0);
    } else {
      // Not as a pair, whose taking apart costs much until the loop is compiled.
      const low = words[at + hintWord.size] ?? 0;
      const high = words[at + hintWord.size + 1] ?? 0;
      if (this.#isFile) {
        if (high >= sizeHighEnd || bytes !== this.#leastBytes || this.#fold.hasOpenFiles) return false;
        // No record has so many bytes that more than the lower word counts.
      } else if (high !== 0 || bytes !== this.#leastBytes + ((low + recordAlignment - 1) & -recordAlignment)) {
        return false;
      }
      codec.packSize(low, high, step);
    }
    codec.packPlace((this.#ordinal << 8) | this.#tag, words[at + hintWord.offset] ?? 0, this.#flags);
    if (!this.#index.fill(words, at, number)) return false;
    if (step !== this.#step) this.#tell();
    this.#step = step;
    this.#count += 1;
    this.#recordsBytes += bytes;
    if (this.#isFile) {
      this.#filesCount += 1;
      this.#filesBytes += allocatedBytes((words[at + hintWord.size] ?? 0) + (words[at + hintWord.size + 1] ?? 0) * wordSpan);
    }
    return true;
  }

  /** What entries of that kind, function, flags and target have in common. */
  #meet(kinds: number): void {
    this.#kinds = kinds;
    const [kind, functionNumber, flags] = [kinds & 0xff, (kinds >>> 8) & 0xff, (kinds >>> 16) & 0xff];
    const isPointer = (flags & hintFlags.pointer) !== 0;
    this.#leastBytes = 0;
    this.#flags = 0;
    this.#isFile = false;
    if (this.#isOfValues) {
      const isValue = kind === recordKinds.actionResult || kind === recordKinds.opaque;
      if (!isValue) return;
      this.#tag = valueTag(kind === recordKinds.opaque ? 'opaque' : 'action_result', functionNumber);
      this.#flags = isPointer ? pointerFlag : 0;
      this.#leastBytes = recordFixedBytes;
    } else if ((kind === recordKinds.blob || kind === recordKinds.commit) && !isPointer) {
      this.#tag = blobTag(functionNumber);
      this.#isFile = kind === recordKinds.commit;
      this.#flags = this.#isFile ? fileFlag : 0;
      this.#leastBytes = blobRecordBytes(this.#tag, 0);
    }
  }

  /** Whoever counts learns of what is in the index. */
  #tell(): void {
    if (this.#count === 0) return;
    this.#fold.noteTaken(this.#count);
    const { codec } = this.#index;
    this.#entries.inserted(this.#ordinal, {
      count: this.#count,
      filesCount: this.#filesCount,
      recordsBytes: this.#recordsBytes,
      filesBytes: this.#filesBytes,
      usedAtS: codec.timeOfStep(this.#step),
    });
    [this.#count, this.#filesCount, this.#recordsBytes, this.#filesBytes] = [0, 0, 0, 0];
  }
}
