// Digests and lengths in protobuf's wire format, for the encoders written by hand.
import { hashDigits, writeHexWords, writeViewedHex } from '../base/hex-words.ts';

/** Bytes of a Digest field beside its hash: tags and lengths of the digest and its two fields, and the size. */
export const digestOverheadBytes = 2 + 2 + 1 + 8;

/** So that every length fits into one byte. SHA-512, with 128 characters, is left to the generated code. */
const digestLengthMax = 127;

/** To be left free at the end of the buffer: UTF-8 takes up to two more bytes per character than there are. */
export const writeSlackBytes = 2 * digestLengthMax;

/**
 * Writes a Digest as the field of `tag` (below 128, length-delimited) and returns where it ended; -1 for what only
 * the generated code writes: a hash that is long or not ASCII, a size below 0 or above 2^53.
 * `into` has room for `digestOverheadBytes`, the hash and `writeSlackBytes`.
 */
export function writeDigest(place: { into: Buffer; at: number; tag: number }, hash: string, size: number): number {
  const { into } = place;
  if (!(size >= 0 && size <= Number.MAX_SAFE_INTEGER)) return -1;
  const start = place.at + 2;
  let at = start;
  if (hash.length > 0) {
    into[at] = 10;
    into[at + 1] = hash.length;
    // Four times as fast as a loop. Only ASCII has as many bytes as characters, and nothing is cut off: there is room.
    const written = hash.length > digestLengthMax ? -1 : into.write(hash, at + 2, 'utf8');
    if (written !== hash.length) return -1;
    at += 2 + written;
  }
  if (size > 0) {
    into[at] = 16;
    at = writeVarint(into, at + 1, size);
  }
  if (at - start > digestLengthMax) return -1;
  into[start - 2] = place.tag;
  into[start - 1] = at - start;
  return at;
}

/** Of field 1, a hash of 64 digits. */
const hashTagAndLength = 10 | (hashDigits << 8);

/**
 * As `writeDigest`, for the hash in the eight words from `wordsAt` on and a size that is a safe integer from 0 on.
 * `into` has room for `digestOverheadBytes` and the digits.
 */
export function writeWordDigest(place: { into: Buffer; at: number; tag: number }, words: Uint32Array, wordsAt: number, size: number): number {
  const { into, at: start, tag } = place;
  let at = start + 2;
  into[at] = 10;
  into[at + 1] = hashDigits;
  writeHexWords(words, wordsAt, into, at + 2);
  at += 2 + hashDigits;
  if (size > 0) {
    into[at] = 16;
    at = writeVarint(into, at + 1, size);
  }
  into[start] = tag;
  into[start + 1] = at - start - 2;
  return at;
}

/** As `writeWordDigest`, through a view of the buffer: half the time, for who writes many. */
export function writeViewedDigest(into: DataView, from: number, tag: number, { words, at: wordsAt, size }: { readonly words: Uint32Array; readonly at: number; readonly size: number }): number {
  into.setUint16(from + 2, hashTagAndLength, true);
  writeViewedHex(words, wordsAt, into, from + 4);
  let at = from + 4 + hashDigits;
  if (size > 0) {
    into.setUint8(at, 16);
    at += 1;
    let rest = size;
    for (; rest >= 0x80; at += 1) {
      into.setUint8(at, (rest % 0x80) | 0x80);
      rest = Math.floor(rest / 0x80);
    }
    into.setUint8(at, rest);
    at += 1;
  }
  into.setUint8(from, tag);
  into.setUint8(from + 1, at - from - 2);
  return at;
}

/** A safe integer from 0 on. Returns where it ended. */
export function writeVarint(into: Uint8Array, offset: number, value: number): number {
  let at = offset;
  let rest = value;
  for (; rest >= 0x80; at += 1) {
    into[at] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
  }
  into[at] = rest;
  return at + 1;
}

/** Bytes that `writeVarint` writes. */
export function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes += 1;
  return bytes;
}
