// Reads protobuf's wire format where a hot message has a codec of its own. Stricter than the generated code: nothing
// is read beyond the end of the innermost message, and a field with another wire type than its own is refused.
import { isUtf8 } from 'node:buffer';
import { hashDigits, hashWordCount, readHash, readHexWords } from '../base/hex-words.ts';

/** Why bytes are not a message. Becomes INVALID_ARGUMENT where the message was received. */
export class WireError extends Error {
  override readonly name = 'WireError';
}

/**
 * Groups are long deprecated; unknown ones are skipped, but not without a limit. The generated code has 100 for groups
 * and the messages they are in together, and what is accepted here must be decoded by it later.
 */
const groupDepthMax = 50;

/** Of a Digest without its size: tag and length of the hash, and its digits. */
const wordDigestBytes = 2 + hashDigits;
/** Of the hash of a Digest, as they stand there: its tag first. */
const hashTagAndLength = 10 | (hashDigits << 8);
/** Of a number that needs no care about signs. */
const smallVarintBytes = 4;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** What a byte adds to a text: nothing if it is a lower-case hex digit, the high bit if it is not ASCII. */
const otherThanHex = new Uint8Array(256).map((_, byte) => (byte >= 0x80 ? 0x80 : /[0-9a-f]/.test(String.fromCharCode(byte)) ? 0 : 1));

/** A position in a message. Messages inside it are read by `enter` and `leave`. */
export class WireReader {
  readonly #source: Uint8Array;
  readonly #bytes: Buffer;
  #at = 0;
  #end: number;
  #onlyLowerHex = true;
  #view: DataView | undefined;

  constructor(bytes: Uint8Array) {
    this.#source = bytes;
    this.#bytes = bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#end = bytes.byteLength;
  }

  /** Field number times eight plus wire type; 0 at the end of the message. */
  tag(): number {
    if (this.#at === this.#end) return 0;
    const tag = this.#bytes[this.#at] ?? 0;
    if (tag >= 8 && tag < 0x80) {
      this.#at += 1;
      return tag;
    }
    return this.#longTag();
  }

  /** Bytes read. */
  get position(): number {
    return this.#at;
  }

  /** Of the innermost message. */
  get atEnd(): boolean {
    return this.#at === this.#end;
  }

  /** Begins the message of a field; `leave` takes what this returned. */
  enter(): number {
    const length = this.#length();
    const outerEnd = this.#end;
    this.#end = this.#at + length;
    return outerEnd;
  }

  /** Ends it, when `tag` has given 0. */
  leave(outerEnd: number): void {
    this.#end = outerEnd;
  }

  /** @throws WireError unless it is UTF-8. */
  string(): string {
    const length = this.#length();
    const from = this.#at;
    const to = from + length;
    this.#at = to;
    let bits = 0;
    for (let at = from; at < to; at += 1) bits |= this.#bytes[at] ?? 0;
    return bits < 0x80 ? this.#bytes.toString('latin1', from, to) : this.#decode(from, to);
  }

  /**
   * As `string`, for what should be lower-case hex: whether it is costs no second look at it (a regular expression
   * took 280 ns for a SHA-256, bench/find-missing-100).
   */
  hash(): string {
    const length = this.#length();
    const from = this.#at;
    const to = from + length;
    this.#at = to;
    let bits = 0;
    for (let at = from; at < to; at += 1) bits |= otherThanHex[this.#bytes[at] ?? 0] ?? 0;
    if (bits !== 0) this.#onlyLowerHex = false;
    return bits < 0x80 ? this.#bytes.toString('latin1', from, to) : this.#decode(from, to);
  }

  /**
   * A Digest field as nearly all are written: a hash of 64 lower-case digits, as eight words into `words` from `at` on, and then
   * a size. Gives the size; -1, with nothing read, for any other, which is for `enter` and `hash`.
   */
  wordDigest(words: Uint32Array, at: number): number {
    const bytes = this.#bytes;
    const from = this.#at;
    const length = bytes[from] ?? 0;
    const end = from + 1 + length;
    if (length < wordDigestBytes || length > wordDigestBytes + 1 + smallVarintBytes || end > this.#end || bytes[from + 1] !== 10 || bytes[from + 2] !== hashDigits) return -1;
    this.#view ??= new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (!readHexWords(this.#view, from + 3, words, { at, count: hashWordCount })) return -1;
    const size = length === wordDigestBytes ? 0 : sizeIn(bytes, from + 1 + wordDigestBytes, end);
    if (size >= 0) this.#at = end;
    return size;
  }

  /**
   * As `wordDigest` for this one and all that follow behind that tag, as long as they are such and fewer than `countMax`: into the
   * words from those of the digest `sizes.length` on, with a size for each behind those in `sizes`. False, with nothing read: the
   * first is no such digest.
   */
  wordDigests(tag: number, words: Uint32Array, sizes: (number | bigint)[], countMax: number): boolean {
    const bytes = this.#bytes;
    const end = this.#end;
    const view = (this.#view ??= new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    const first = sizes.length;
    let at = this.#at;
    for (let count = first; count < countMax && at + 1 + wordDigestBytes <= end; count += 1) {
      const length = bytes[at] ?? 0;
      const sizeAt = at + 1 + wordDigestBytes;
      const next = at + 1 + length;
      if (length < wordDigestBytes || length > wordDigestBytes + 1 + smallVarintBytes || next > end || view.getUint16(at + 1, true) !== hashTagAndLength) break;
      if (!readHash(view, at + 3, words, count * hashWordCount)) break;
      const size = length === wordDigestBytes ? 0 : sizeIn(bytes, sizeAt, next);
      if (size < 0) break;
      sizes.push(size);
      this.#at = next;
      if (next >= end || bytes[next] !== tag) break;
      at = next + 1;
    }
    return sizes.length > first;
  }

  /** Whether all that `hash` has read so far has lower-case hex digits only. */
  get onlyLowerHex(): boolean {
    return this.#onlyLowerHex;
  }

  /** Passes over a string. @throws WireError unless it is UTF-8. */
  skipString(): void {
    const length = this.#length();
    const from = this.#at;
    this.#at += length;
    let bits = 0;
    for (let at = from; at < this.#at; at += 1) bits |= this.#bytes[at] ?? 0;
    if (bits >= 0x80 && !isUtf8(this.#bytes.subarray(from, this.#at))) throw new WireError('a string is not UTF-8');
  }

  /** Passes over bytes, and gives their number. */
  skipBytes(): number {
    const length = this.#length();
    this.#at += length;
    return length;
  }

  /** The length of bytes that may reach beyond what is at hand. */
  lengthBeyond(): number {
    const length = this.#smallVarint();
    return length < 0 ? Number(this.#varint()) : length;
  }

  /** A view. */
  bytes(): Uint8Array {
    const length = this.#length();
    this.#at += length;
    return this.#source.subarray(this.#at - length, this.#at);
  }

  bool(): boolean {
    return this.int64() !== 0n;
  }

  /** An int64 as a number where it is a safe one. */
  size(): number | bigint {
    const small = this.#smallVarint();
    if (small >= 0) return small;
    const large = BigInt.asIntN(64, this.#varint());
    const number = Number(large);
    return Number.isSafeInteger(number) ? number : large;
  }

  /** An int32 or an enum: the low 32 bits, signed. */
  int32(): number {
    const first = this.#bytes[this.#at] ?? 0x80;
    if (first < 0x80 && this.#at < this.#end) {
      this.#at += 1;
      return first;
    }
    return Number(BigInt.asIntN(32, this.#varint()));
  }

  int64(): bigint {
    return BigInt(this.size());
  }

  /** Passes over a field that is not known. `tag` is its own. */
  skip(tag: number): void {
    this.#skip(tag, groupDepthMax);
  }

  #decode(from: number, to: number): string {
    try {
      return utf8.decode(this.#bytes.subarray(from, to));
    } catch (error) {
      throw new WireError('a string is not UTF-8', { cause: error });
    }
  }

  #skip(tag: number, depth: number): void {
    switch (tag & 7) {
      case 0:
        if (this.#smallVarint() < 0) this.#varint();
        return;
      case 1:
        this.#advance(8);
        return;
      case 2:
        this.#advance(this.#length());
        return;
      case 3:
        this.#skipGroup(tag, depth);
        return;
      case 5:
        this.#advance(4);
        return;
      default:
        throw new WireError(`a field has the impossible wire type ${tag & 7}`);
    }
  }

  #skipGroup(tag: number, depth: number): void {
    if (depth === 0) throw new WireError('groups are nested too deep');
    for (let inner = this.tag(); inner !== tag + 1; inner = this.tag()) {
      if (inner === 0) throw new WireError('a group has no end');
      this.#skip(inner, depth - 1);
    }
  }

  #advance(count: number): void {
    if (count > this.#end - this.#at) throw new WireError('a field is cut off');
    this.#at += count;
  }

  /** Of a string or message; checked to lie within the message. */
  #length(): number {
    let length = this.#smallVarint();
    if (length < 0) length = Number(this.#varint());
    if (length > this.#end - this.#at) throw new WireError('a field is longer than its message');
    return length;
  }

  #longTag(): number {
    const from = this.#at;
    const tag = Number(this.#varint());
    const lengthMax = 5;
    if (this.#at - from > lengthMax || tag > 0xffff_ffff || tag < 8) throw new WireError('a field has an impossible number');
    return tag;
  }

  /** A number of up to four bytes, seven bits each, that needs no care about signs; -1, with nothing read, for longer ones. */
  #smallVarint(): number {
    let value = 0;
    let at = this.#at;
    for (let shift = 0; shift < 28; shift += 7) {
      if (at >= this.#end) throw new WireError('a number is cut off');
      const byte = this.#bytes[at] ?? 0;
      at += 1;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        this.#at = at;
        return value;
      }
    }
    return -1;
  }

  /** Unsigned, up to ten bytes, of which bits beyond the 64th are dropped. */
  #varint(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      if (this.#at === this.#end) throw new WireError('a number is cut off');
      const byte = this.#bytes[this.#at] ?? 0;
      this.#at += 1;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw new WireError('a number has more than ten bytes');
  }
}

/** The field `size_bytes` that is all of `bytes` from `from` to `end`, if it is small; -1 for anything else. */
function sizeIn(bytes: Uint8Array, from: number, end: number): number {
  if (bytes[from] !== 16 || end - from < 2 || (bytes[end - 1] ?? 0) >= 0x80) return -1;
  let size = 0;
  for (let at = from + 1, shift = 0; at < end; at += 1, shift += 7) {
    const byte = bytes[at] ?? 0;
    // A number that ends before the field does: something follows it.
    if (byte < 0x80 && at < end - 1) return -1;
    size |= (byte & 0x7f) << shift;
  }
  return size;
}

/** The fields that a message has, for `skipUnknown`; numbers below 32. */
export function fieldSet(...numbers: readonly number[]): number {
  return numbers.reduce((set, number) => set | (1 << number), 0);
}

/** Passes over a field that is not `known`. @throws WireError for one that is: its wire type is another then. */
export function skipUnknown(reader: WireReader, tag: number, known: number): void {
  const number = tag >>> 3;
  if (number < 32 && (known & (1 << number)) !== 0) throw new WireError(`field ${number} has the wrong wire type ${tag & 7}`);
  reader.skip(tag);
}
