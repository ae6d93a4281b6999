// The Huffman code of HPACK (RFC 7541 §5.2 and appendix B). The code is canonical: within one length, codes count up
// with the symbols. So the lengths are all there is to write down; codes and decoding tables follow from them.
import { ConnectionError, errorCode } from './error-code.ts';

/** Code lengths in bits by octet (RFC 7541 appendix B). */
const codeBits: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
  28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
  6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
  5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
  7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
  15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
  6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
  20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
  24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
  22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
  21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
  26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
  19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
  20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
  26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
];
/** The end-of-string symbol: 30 ones. It may only appear as padding, cut to at most seven of its bits. */
const endOfString = 256;
const codeBitsMax = 30;

interface HuffmanTables {
  readonly bits: Uint8Array;
  readonly codes: Uint32Array;
  /** By the next eight bits: symbol << 4 | bits of its code, or 0 when the code is longer. */
  readonly short: Uint16Array;
  /** By length: one past the last code of that length, moved to the left end of 32 bits; 0 when there is none. */
  readonly limits: Float64Array;
  /** By length: the first code, and where its symbol stands in `symbols`. */
  readonly firstCode: Uint32Array;
  readonly firstIndex: Uint16Array;
  /** All symbols in the order of their codes. */
  readonly symbols: Uint16Array;
}

const tables: HuffmanTables = buildTables([...codeBits, codeBitsMax]);

function buildTables(lengths: readonly number[]): HuffmanTables {
  const built = {
    bits: Uint8Array.from(lengths),
    codes: new Uint32Array(lengths.length),
    short: new Uint16Array(256),
    limits: new Float64Array(codeBitsMax + 1),
    firstCode: new Uint32Array(codeBitsMax + 1),
    firstIndex: new Uint16Array(codeBitsMax + 1),
    symbols: new Uint16Array(lengths.length),
  };
  let code = 0;
  let index = 0;
  for (let length = 1; length <= codeBitsMax; length++) {
    code *= 2;
    built.firstCode[length] = code;
    built.firstIndex[length] = index;
    for (let symbol = 0; symbol < lengths.length; symbol++) {
      if (lengths[symbol] !== length) continue;
      built.codes[symbol] = code;
      built.symbols[index++] = symbol;
      if (length <= 8) built.short.fill((symbol << 4) | length, code << (8 - length), (code + 1) << (8 - length));
      code++;
      built.limits[length] = code * 2 ** (32 - length);
    }
  }
  return built;
}

/** Bytes that `text` takes in Huffman code. `text` holds code units up to 255 only. */
export function huffmanBytes(text: string): number {
  let bits = 0;
  for (let index = 0; index < text.length; index++) bits += tables.bits[text.charCodeAt(index)] ?? 0;
  return (bits + 7) >>> 3;
}

/** Writes `text` in Huffman code at `offset`; returns the offset after it. `into` must have room (`huffmanBytes`). */
export function encodeHuffman(text: string, into: Uint8Array, offset: number): number {
  let at = offset;
  let pending = 0;
  let pendingBits = 0;
  for (let index = 0; index < text.length; index++) {
    const symbol = text.charCodeAt(index);
    let length = tables.bits[symbol] ?? 0;
    let code = tables.codes[symbol] ?? 0;
    if (length > 24) {
      // Fewer than 8 bits wait, so with more than 24 they would not fit into 32: the longest codes go in two parts.
      pending = (pending << (length - 16)) | (code >>> 16);
      pendingBits += length - 16;
      code &= 0xffff;
      length = 16;
      while (pendingBits >= 8) into[at++] = pending >>> (pendingBits -= 8);
      pending &= (1 << pendingBits) - 1;
    }
    pending = (pending << length) | code;
    pendingBits += length;
    while (pendingBits >= 8) into[at++] = pending >>> (pendingBits -= 8);
    pending &= (1 << pendingBits) - 1;
  }
  if (pendingBits > 0) into[at++] = (pending << (8 - pendingBits)) | (0xff >>> pendingBits);
  return at;
}

/**
 * Decodes `from` up to `end` into `into`, which must have room for `huffmanDecodedBytesMax` bytes; returns how many
 * came out.
 * @throws ConnectionError `compressionError` for the end-of-string symbol or for padding that is not its beginning.
 */
export function decodeHuffman(bytes: Uint8Array, from: number, end: number, into: Uint8Array): number {
  let length = 0;
  let window = 0; // the next bits, at the left end of 32
  let windowBits = 0;
  let at = from;
  for (;;) {
    while (windowBits <= 24 && at < end) {
      window |= (bytes[at++] ?? 0) << (24 - windowBits);
      windowBits += 8;
    }
    if (windowBits === 0) return length;
    const entry = tables.short[window >>> 24] ?? 0;
    let used = entry & 15;
    let symbol = entry >>> 4;
    let borrowed = 0;
    if (used === 0) {
      // The window may lack the last bits of a code of 26 bits and more: they are in the octet that did not fit.
      borrowed = windowBits > 24 && at < end ? (bytes[at] ?? 0) : 0;
      const whole = (window | (borrowed >>> (windowBits - 24))) >>> 0;
      used = longCodeBits(whole);
      const place = (whole >>> (32 - used)) - (tables.firstCode[used] ?? 0);
      symbol = tables.symbols[(tables.firstIndex[used] ?? 0) + place] ?? endOfString;
    }
    if (used > windowBits) {
      if (at >= end) {
        checkPadding(window, windowBits);
        return length;
      }
      const taken = used - windowBits;
      at++;
      window = borrowed << (24 + taken);
      windowBits = 8 - taken;
    } else {
      window <<= used;
      windowBits -= used;
    }
    if (symbol === endOfString) throw new ConnectionError(errorCode.compressionError, 'end-of-string symbol in a Huffman string');
    into[length++] = symbol;
  }
}

/** The most bytes that `encodedBytes` of Huffman code can stand for: the shortest code has five bits. */
export function huffmanDecodedBytesMax(encodedBytes: number): number {
  return Math.floor((encodedBytes * 8) / 5);
}

function longCodeBits(window: number): number {
  for (let length = 9; length < codeBitsMax; length++) {
    if (window < (tables.limits[length] ?? 0)) return length;
  }
  return codeBitsMax;
}

function checkPadding(window: number, windowBits: number): void {
  if (windowBits > 7 || window >>> (32 - windowBits) !== (1 << windowBits) - 1) {
    throw new ConnectionError(errorCode.compressionError, 'wrong padding of a Huffman string');
  }
}
