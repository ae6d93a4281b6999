// The digests of a look-up as they stand in its message: hashes of 64 lower-case digits, as nearly all are, as words,
// without a text for each. A call may have ten thousand.
import { hashWordCount, hexOfWords } from '../base/hex-words.ts';
import type { ReceivedDigests } from './packed-digests.ts';
import { digestFields } from './packed-digests.ts';
import { WireError, skipUnknown } from './wire-reader.ts';
import type { WireReader } from './wire-reader.ts';

/** Collects the digests of one message, `countMax` at most. One hash that has no words turns all of them into texts. */
export class WordDigests implements ReceivedDigests {
  readonly sizes: (number | bigint)[] = [];
  readonly #countMax: number;
  /** Eight for each; with room for more behind them. */
  #words: Uint32Array | undefined = new Uint32Array(hashWordCount);
  #texts: string[] | undefined;
  #lowerHex = true;

  constructor(countMax: number) {
    this.#countMax = countMax;
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

  /** Reads the message of a Digest field. @throws WireError, also when there are too many. */
  read(reader: WireReader): void {
    const index = this.sizes.length;
    if (index === this.#countMax) throw new WireError(`it has more than ${this.#countMax} digests; ask for fewer at a time`);
    const outerEnd = reader.enter();
    let hasWords = false;
    let text = '';
    let size: number | bigint = 0;
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag === 10) {
        hasWords = this.#words !== undefined && reader.hashWords(this.#roomFor(this.#words, index), index * hashWordCount);
        if (!hasWords) text = reader.hash();
      } else if (tag === 16) size = reader.size();
      else skipUnknown(reader, tag, digestFields);
    }
    reader.leave(outerEnd);
    if (!hasWords) this.#addText(text, index, reader.onlyLowerHex);
    this.sizes.push(size);
  }

  #addText(text: string, index: number, lowerHex: boolean): void {
    if (this.#words !== undefined) this.#texts = this.#asTexts(this.#words, index);
    this.#words = undefined;
    this.#texts?.push(text);
    if (!lowerHex) this.#lowerHex = false;
  }

  #asTexts(words: Uint32Array, count: number): string[] {
    return Array.from({ length: count }, (_, index) => hexOfWords(words, index * hashWordCount));
  }

  #roomFor(words: Uint32Array, index: number): Uint32Array {
    if (words.length > index * hashWordCount) return words;
    const roomier = new Uint32Array(2 * words.length);
    roomier.set(words);
    this.#words = roomier;
    return roomier;
  }
}
