// Hashes of 32 bytes as eight words, from and to their 64 hex digits, without a text in between: a look-up needs the words,
// and making a text costs more than finding it. Words are little-endian: word 0 has the first four bytes.

/** Of a hash that has eight words. */
export const hashWordCount = 8;
export const hashDigits = 64;

const digitsPerRead = 4;

/** Words of any content: a seventh of the time of cleared ones, and no buffer of their own for some dozens of hashes. */
export function newHashWords(hashes: number): Uint32Array {
  const words = hashes * hashWordCount;
  const { buffer, byteOffset } = Buffer.allocUnsafe(words * Uint32Array.BYTES_PER_ELEMENT);
  return new Uint32Array(buffer, byteOffset, words);
}

/** What a pair has that is no two lower-case digits; above the bits of a byte. */
const noPair = 0x100;
/**
 * The byte of each two digits, the first one in the lower half: four look-ups for a word. Arithmetic on all digits of a
 * word at once, which needs no table, takes 1.7 times as long (55 ns for a hash of 64 digits).
 */
const bytesOfPairs: Uint16Array = (() => {
  const bytes = new Uint16Array(0x1_0000).fill(noPair);
  for (let byte = 0; byte < noPair; byte += 1) {
    const text = byte.toString(16).padStart(2, '0');
    bytes[text.charCodeAt(0) | (text.charCodeAt(1) << 8)] = byte;
  }
  return bytes;
})();

/**
 * Reads `count` words from eight lower-case digits each, at `from` of `digits`, into `words` from `at` on. False: there was
 * something else among them, and the words mean nothing.
 */
export function readHexWords(digits: DataView, from: number, words: Uint32Array, { at, count }: { readonly at: number; readonly count: number }): boolean {
  let seen = 0;
  for (let word = 0, digit = from; word < count; word += 1, digit += 2 * digitsPerRead) {
    const low = digits.getInt32(digit, true);
    const high = digits.getInt32(digit + digitsPerRead, true);
    const byte0 = bytesOfPairs[low & 0xffff] ?? noPair;
    const byte1 = bytesOfPairs[low >>> 16] ?? noPair;
    const byte2 = bytesOfPairs[high & 0xffff] ?? noPair;
    const byte3 = bytesOfPairs[high >>> 16] ?? noPair;
    seen |= byte0 | byte1 | byte2 | byte3;
    words[at + word] = byte0 | (byte1 << 8) | (byte2 << 16) | (byte3 << 24);
  }
  return seen < noPair;
}

/** As `readHexWords` for the eight words of a hash; for who reads many, without an object of options. */
export function readHash(digits: DataView, from: number, words: Uint32Array, at: number): boolean {
  let seen = 0;
  for (let word = 0; word < hashWordCount; word += 1) {
    const low = digits.getInt32(from + 8 * word, true);
    const high = digits.getInt32(from + 8 * word + digitsPerRead, true);
    const byte0 = bytesOfPairs[low & 0xffff] ?? noPair;
    const byte1 = bytesOfPairs[low >>> 16] ?? noPair;
    const byte2 = bytesOfPairs[high & 0xffff] ?? noPair;
    const byte3 = bytesOfPairs[high >>> 16] ?? noPair;
    seen |= byte0 | byte1 | byte2 | byte3;
    words[at + word] = byte0 | (byte1 << 8) | (byte2 << 16) | (byte3 << 24);
  }
  return seen < noPair;
}

/** Bytes that a UTF-16 unit can take in UTF-8. */
const unitBytesMax = 3;
const textDigits = Buffer.alloc(hashDigits * unitBytesMax);
const textView = new DataView(textDigits.buffer, textDigits.byteOffset, textDigits.byteLength);

/** As `readHexWords` for the eight words of a text of 64 digits. False for any other text. */
export function readHexText(text: string, words: Uint32Array, at: number): boolean {
  // A character that is no digit takes more bytes in UTF-8 or is found by its byte.
  return text.length === hashDigits && textDigits.write(text, 0, 'utf8') === hashDigits && readHexWords(textView, 0, words, { at, count: hashWordCount });
}

/** The two digits of each byte, the first one in the lower half. */
const digitPairs = Uint16Array.from({ length: 256 }, (_, byte) => {
  const text = byte.toString(16).padStart(2, '0');
  return text.charCodeAt(0) | (text.charCodeAt(1) << 8);
});

/** Writes the 64 digits of the hash in the eight words from `at` on to `into` from `from` on. */
export function writeHexWords(words: Uint32Array, at: number, into: Uint8Array, from: number): void {
  for (let word = 0, digit = from; word < hashWordCount; word += 1, digit += 2 * digitsPerRead) {
    const value = words[at + word] ?? 0;
    for (let byte = 0; byte < digitsPerRead; byte += 1) {
      const pair = digitPairs[(value >>> (8 * byte)) & 0xff] ?? 0;
      into[digit + 2 * byte] = pair;
      into[digit + 2 * byte + 1] = pair >>> 8;
    }
  }
}

/** As `writeHexWords`, through a view: two digits at a time. */
export function writeViewedHex(words: Uint32Array, at: number, into: DataView, from: number): void {
  for (let word = 0, digit = from; word < hashWordCount; word += 1, digit += 2 * digitsPerRead) {
    const value = words[at + word] ?? 0;
    into.setUint32(digit, (digitPairs[value & 0xff] ?? 0) | ((digitPairs[(value >>> 8) & 0xff] ?? 0) << 16), true);
    into.setUint32(digit + digitsPerRead, (digitPairs[(value >>> 16) & 0xff] ?? 0) | ((digitPairs[value >>> 24] ?? 0) << 16), true);
  }
}

/** As `digitPairs`, in the order of this machine, to be written two digits at a time. */
const nativePairs = new Uint16Array(Uint8Array.from({ length: 2 * 256 }, (_, digit) => ((digitPairs[digit >> 1] ?? 0) >>> (8 * (digit & 1))) & 0xff).buffer);
const scratchPairs = new Uint16Array(hashDigits / 2);
const scratch = Buffer.from(scratchPairs.buffer);

/** The hash in the eight words from `at` on, as text. */
export function hexOfWords(words: Uint32Array, at: number): string {
  for (let word = 0; word < hashWordCount; word += 1) {
    const value = words[at + word] ?? 0;
    scratchPairs[4 * word] = nativePairs[value & 0xff] ?? 0;
    scratchPairs[4 * word + 1] = nativePairs[(value >>> 8) & 0xff] ?? 0;
    scratchPairs[4 * word + 2] = nativePairs[(value >>> 16) & 0xff] ?? 0;
    scratchPairs[4 * word + 3] = nativePairs[value >>> 24] ?? 0;
  }
  return scratch.toString('latin1');
}

/** Whether the eight words from `at` on are those of `other` from `otherAt` on. */
export function sameWords(words: Uint32Array, at: number, other: Uint32Array, otherAt: number): boolean {
  for (let word = 0; word < hashWordCount; word += 1) if (words[at + word] !== other[otherAt + word]) return false;
  return true;
}
