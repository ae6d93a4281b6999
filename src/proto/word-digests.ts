// The digests of a look-up as they stand in its message: hashes of 64 lower-case digits, as nearly all are, as words,
// without a text for each. A call may have ten thousand.
import { hashDigits, hashWordCount, hexOfWords, newHashWords, readHexText } from '../base/hex-words.ts';
import { readDigest } from './packed-digests.ts';
import type { ReceivedDigest, ReceivedDigests } from './packed-digests.ts';
import { WireError } from './wire-reader.ts';
import type { WireReader } from './wire-reader.ts';

/** Of a digest on the wire at the least, its tag and length included. */
export const wordDigestBytes = 4 + hashDigits;
const lowerHexDigits = /^[0-9a-f]*$/;

/** Collects the digests of one message, `countMax` at most. One hash that has no words turns all of them into texts. */
export class WordDigests implements ReceivedDigests {
  readonly sizes: (number | bigint)[] = [];
  readonly #countMax: number;
  /** Eight for each; with room for more behind them. */
  #words: Uint32Array | undefined;
  #texts: string[] | undefined;
  #lowerHex = true;

  /** @param bytes of the part of the message that is digests: there is room for as many at once. */
  constructor(countMax: number, bytes: number) {
    this.#countMax = countMax;
    this.#words = newHashWords(Math.max(1, Math.min(countMax, Math.floor(bytes / wordDigestBytes))));
  }

  get length(): number {
    return this.sizes.length;
  }

  /** Undefined: there are only texts. Nothing more is read once somebody has them. */
  get words(): Uint32Array | undefined {
    return this.#words;
  }

  get lowerHex(): boolean {
    return this.#lowerHex;
  }

  /** Made when it is asked for first. */
  get hashes(): readonly string[] {
    if (this.#words === undefined) return this.#texts ?? [];
    return (this.#texts ??= this.#asTexts(this.#words, this.sizes.length));
  }

  /** Reads the message of a Digest field, and returns its index. @throws WireError, also when there are too many. */
  read(reader: WireReader): number {
    const index = this.sizes.length;
    if (index === this.#countMax) throw new WireError(`it has more than ${this.#countMax} digests; ask for fewer at a time`);
    if (this.#words !== undefined) {
      const size = reader.wordDigest(this.#roomFor(this.#words, index), index * hashWordCount);
      if (size >= 0) {
        this.sizes.push(size);
        return index;
      }
    }
    this.add(readDigest(reader, undefined));
    return index;
  }

  /** As `read`, and those that follow behind that tag, as far as they are written as nearly all are. */
  readAll(reader: WireReader, tag: number): void {
    const count = this.sizes.length;
    if (this.#words !== undefined && count < this.#countMax) {
      const words = this.#roomFor(this.#words, count);
      if (reader.wordDigests(tag, words, this.sizes, Math.min(this.#countMax, words.length / hashWordCount))) return;
    }
    this.read(reader);
  }

  /** Reads the message of a Digest field again that occurs once: what it has comes in place of what it had. */
  merge(index: number, reader: WireReader): void {
    this.#set(index, readDigest(reader, { hash: this.hashes[index] ?? '', sizeBytes: this.sizes[index] ?? 0 }));
  }

  /** One more, however it was written. */
  add(digest: ReceivedDigest): void {
    this.#set(this.sizes.length, digest);
  }

  #set(index: number, { hash, sizeBytes }: ReceivedDigest): void {
    const words = this.#words;
    if (words !== undefined && readHexText(hash, this.#roomFor(words, index), index * hashWordCount)) {
      this.#texts = undefined; // made anew for who asks
    } else {
      this.#texts = words === undefined ? (this.#texts ?? []) : this.#asTexts(words, this.sizes.length);
      this.#texts[index] = hash;
      this.#words = undefined;
      if (!lowerHexDigits.test(hash)) this.#lowerHex = false;
    }
    this.sizes[index] = sizeBytes;
  }

  #asTexts(words: Uint32Array, count: number): string[] {
    return Array.from({ length: count }, (_, index) => hexOfWords(words, index * hashWordCount));
  }

  #roomFor(words: Uint32Array, index: number): Uint32Array {
    if (words.length > index * hashWordCount) return words;
    const roomier = newHashWords((2 * words.length) / hashWordCount);
    roomier.set(words);
    this.#words = roomier;
    return roomier;
  }
}
