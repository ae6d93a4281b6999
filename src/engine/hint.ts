// The hint of a segment as a start reads it, a million entries in a moment: by words of 32 bits, and nothing is made for an entry
// that nobody asks for. A hint is never believed against its segment: whatever of it is wrong counts as absent. docs/formats/hints.md
import { crc32 } from 'node:zlib';
import { assert } from '../base/assert.ts';
import { hintEntryBytes, hintEntryWords, hintFlags, hintHeaderBytes, hintMagic, hintSealedBit, hintVersion, hintWord } from './hint-format.ts';
import type { HintEntry, HintedSegment } from './hint-format.ts';
import { blobTag, valueTag } from './key-words.ts';
import type { KeyWords } from './key-words.ts';
import { recordAlignment, recordFixedBytes, recordKindOf, recordKinds } from './record-codec.ts';
import type { RecordKind } from './record-codec.ts';
import { isRemovedKind } from './record-payloads.ts';
import { segmentHeaderBytes, streamNumbers } from './segment-format.ts';
import { readWide } from './wide-integers.ts';

const knownFlags = hintFlags.pointer | hintFlags.copy | hintFlags.gone;
const wordBytes = Uint32Array.BYTES_PER_ELEMENT;
/** The upper halves of numbers below 2^53 are. */
const upperHalfRange = 2 ** 21;
/** What the higher of two words counts. */
const wordSpan = 2 ** 32;

export type DecodedHint = { readonly kind: 'hint'; readonly hint: Hint } | { readonly kind: 'wrong'; readonly reason: string };

/** Entries of one block, one behind the other. */
export interface HintBlock {
  /** In `Hint.words`. */
  readonly from: number;
  readonly count: number;
}

/** As much of a file as is as it was written, for the segment it was asked for. */
export class Hint {
  /** The entries, as hint-format.ts has them; other words between blocks. */
  readonly words: Uint32Array;
  readonly blocks: readonly HintBlock[];
  readonly count: number;
  /** End of what it tells of, the seal included. */
  readonly endOffset: number;
  /** The 56 bytes before the end are the seal. Whether they are is still to be looked at. */
  readonly isSealed: boolean;
  readonly sequenceMax: number;

  constructor(words: Uint32Array, blocks: readonly HintBlock[], { endOffset, isSealed, sequenceMax }: Pick<Hint, 'endOffset' | 'isSealed' | 'sequenceMax'>) {
    this.words = words;
    this.blocks = blocks;
    this.count = blocks.reduce((sum, { count }) => sum + count, 0);
    this.endOffset = endOffset;
    this.isSealed = isSealed;
    this.sequenceMax = sequenceMax;
  }

  /** The entry whose words begin at `at`; its key is put into `key`. */
  entryAt(at: number, key: KeyWords): HintEntry {
    const { words } = this;
    const kinds = words[at + hintWord.kinds] ?? 0;
    const kind = recordKindOf(kinds & 0xff);
    assert(kind !== undefined, 'entries were looked at before');
    const functionNumber = (kinds >>> 8) & 0xff;
    const flags = (kinds >>> 16) & 0xff;
    const removed = recordKindOf(kinds >>> 24);
    const target = isRemovedKind(removed) ? removed : undefined;
    key.setWords(tagOf(target ?? kind, functionNumber), words, at);
    return {
      kind,
      target,
      isGone: (flags & hintFlags.gone) !== 0,
      isPointer: (flags & hintFlags.pointer) !== 0,
      isCopy: (flags & hintFlags.copy) !== 0,
      functionNumber,
      offset: words[at + hintWord.offset] ?? 0,
      bytes: words[at + hintWord.bytes] ?? 0,
      logicalBytes: wideAt(words, at + hintWord.size),
      sequence: wideAt(words, at + hintWord.sequence),
      usedAtS: words[at + hintWord.usedAt] ?? 0,
    };
  }
}

/**
 * Takes the blocks up to the first that is not right; `wrong`: that is the first of all.
 * @param bytes the whole file; a hint keeps them, or a copy where they do not begin at a whole word.
 */
export function decodeHint(bytes: Buffer, segment: HintedSegment): DecodedHint {
  const whole = bytes.byteOffset % wordBytes === 0 ? bytes : Buffer.from(Uint8Array.from(bytes).buffer);
  const words = new Uint32Array(whole.buffer, whole.byteOffset, Math.floor(whole.byteLength / wordBytes));
  const blocks: HintBlock[] = [];
  let [at, endOffset, isSealed, sequenceMax] = [0, segmentHeaderBytes, false, 0];
  while (!isSealed && (at < whole.byteLength || blocks.length === 0)) {
    const reason = wrongHeader(whole, at, endOffset, segment) ?? wrongEntry(words, at / wordBytes, segment);
    if (reason !== undefined && blocks.length === 0) return { kind: 'wrong', reason };
    if (reason !== undefined) break;
    const count = whole.readUInt32LE(at + 12);
    blocks.push({ from: (at + hintHeaderBytes) / wordBytes, count });
    endOffset = whole.readUInt32LE(at + 32);
    isSealed = whole.readUInt32LE(at + 36) === hintSealedBit;
    sequenceMax = Math.max(sequenceMax, readWide(whole, at + 40));
    at += hintHeaderBytes + count * hintEntryBytes;
  }
  return { kind: 'hint', hint: new Hint(words, blocks, { endOffset, isSealed, sequenceMax }) };
}

/** Of the block at `at`, whose records begin at `begin`. */
function wrongHeader(bytes: Buffer, at: number, begin: number, { id, stream, nonce, segmentBytes }: HintedSegment): string | undefined {
  const rest = bytes.subarray(at);
  if (rest.byteLength < hintHeaderBytes) return `${rest.byteLength} bytes are too short for a header`;
  if (rest.toString('latin1', 0, 8) !== hintMagic) return 'it does not begin with the magic';
  if (crc32(rest.subarray(0, hintHeaderBytes - 4)) !== rest.readUInt32LE(hintHeaderBytes - 4)) return 'its header does not have its checksum';
  if (rest.readUInt16LE(8) !== hintVersion) return `version ${rest.readUInt16LE(8)} is not known`;
  const entriesEnd = hintHeaderBytes + rest.readUInt32LE(12) * hintEntryBytes;
  if (rest.byteLength < entriesEnd) return `${rest.byteLength} bytes are there instead of ${entriesEnd}`;
  if (rest.readUInt16LE(10) !== streamNumbers[stream] || readWide(rest, 16) !== id || !rest.subarray(24, 32).equals(nonce)) return 'it is of another segment';
  if (rest.readUInt32LE(56) !== begin) return `it begins at ${rest.readUInt32LE(56)} instead of ${begin}`;
  const flags = rest.readUInt32LE(36);
  if (flags > hintSealedBit) return `flags ${flags} are not known`;
  const end = rest.readUInt32LE(32);
  if (end < begin + flags * recordFixedBytes || end > segmentBytes || end % recordAlignment !== 0) return `no records end at ${end}`;
  if (!Number.isSafeInteger(readWide(rest, 40))) return 'its highest sequence number is beyond 2^53';
  return crc32(rest.subarray(hintHeaderBytes, entriesEnd)) === rest.readUInt32LE(52) ? undefined : 'its entries do not have their checksum';
}

/** Of the block whose header, at the word `header`, is right. */
function wrongEntry(words: Uint32Array, header: number, { stream }: HintedSegment): string | undefined {
  const sequenceMaxLow = words[header + 10] ?? 0;
  const sequenceMaxHigh = words[header + 11] ?? 0;
  const recordsEnd = (words[header + 8] ?? 0) - (words[header + 9] ?? 0) * recordFixedBytes;
  const first = header + hintHeaderBytes / wordBytes;
  const behind = first + (words[header + 3] ?? 0) * hintEntryWords;
  let [end, tombstones, known] = [words[header + 14] ?? 0, 0, -1];
  for (let at = first; at < behind; at += hintEntryWords) {
    const offset = words[at + hintWord.offset] ?? 0;
    const length = words[at + hintWord.bytes] ?? 0;
    if (offset < end || length < recordFixedBytes || (offset | length) % recordAlignment !== 0) return `the entry at ${at * wordBytes} is not behind the one before it`;
    end = offset + length;
    if (end > recordsEnd) return `the entry at ${at * wordBytes} is behind the end`;
    const kinds = words[at + hintWord.kinds] ?? 0;
    // Most are as the one before.
    if (kinds !== known && !isKnownEntry(kinds, stream)) return `the entry at ${at * wordBytes} is of no known kind`;
    known = kinds;
    const sequenceHigh = words[at + hintWord.sequence + 1] ?? 0;
    const isLate = sequenceHigh > sequenceMaxHigh || (sequenceHigh === sequenceMaxHigh && (words[at + hintWord.sequence] ?? 0) > sequenceMaxLow);
    if (isLate || (words[at + hintWord.size + 1] ?? 0) >= upperHalfRange) return `the entry at ${at * wordBytes} has a number beyond its bound`;
    if ((kinds & 0xff) === recordKinds.tombstone) tombstones += 1;
  }
  return tombstones === words[header + 12] ? undefined : `it has ${tombstones} tombstones instead of ${words[header + 12]}`;
}

function isKnownEntry(kinds: number, stream: HintedSegment['stream']): boolean {
  const kind = recordKindOf(kinds & 0xff);
  const target = kinds >>> 24;
  if (kind === undefined || (((kinds >>> 16) & 0xff) & ~knownFlags) !== 0) return false;
  const removed = recordKindOf(target);
  if (kind === 'tombstone') return isRemovedKind(removed) && isValue(removed) === (stream === 'value');
  return isRemovedKind(kind) && target === 0 && isValue(kind) === (stream === 'value');
}

/** The number in two words, the lower one first; from 2^53 on, not exactly. */
function wideAt(words: Uint32Array, at: number): number {
  return (words[at] ?? 0) + (words[at + 1] ?? 0) * wordSpan;
}

function isValue(kind: RecordKind): boolean {
  return kind === 'actionResult' || kind === 'opaque';
}

function tagOf(kind: RecordKind, functionNumber: number): number {
  if (kind === 'actionResult') return valueTag('action_result', functionNumber);
  return kind === 'opaque' ? valueTag('opaque', functionNumber) : blobTag(functionNumber);
}
