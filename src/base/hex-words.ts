// Hashes of 32 bytes as eight words, from and to their 64 hex digits, without a text in between: a look-up needs the words,
// and making a text costs more than finding it. Words are little-endian: word 0 has the first four bytes.

/** Of a hash that has eight words. */
export const hashWordCount = 8;
export const hashDigits = 64;

const digitsPerRead = 4;

/** The value of each of four digits, one in each byte, if it is one: the lower half of its byte, and nine more for letters, which have bit 6. */
function nibbles(digits: number): number {
  const letters = (digits >>> 6) & 0x0101_0101;
  return ((digits & 0x0f0f_0f0f) + (letters << 3) + letters) | 0;
}

/** 0 when `digits` are the lower-case digits of these values, which are below 16. */
function difference(digits: number, values: number): number {
  const aboveNine = ((values + 0x0606_0606) >>> 4) & 0x0101_0101;
  return (values & 0xf0f0_f0f0) | (digits ^ (values + 0x3030_3030 + aboveNine * 0x27));
}

/** The two bytes of four values. */
function joined(values: number): number {
  const bytes = ((values << 4) | (values >>> 8)) & 0x00ff_00ff;
  return (bytes | (bytes >>> 8)) & 0xffff;
}

/**
 * Reads `count` words from eight lower-case digits each, at `from` of `digits`, into `words` from `at` on. False: there was
 * something else among them, and the words mean nothing.
 */
export function readHexWords(digits: DataView, from: number, words: Uint32Array, { at, count }: { readonly at: number; readonly count: number }): boolean {
  let wrong = 0;
  for (let word = 0, digit = from; word < count; word += 1, digit += 2 * digitsPerRead) {
    const first = digits.getInt32(digit, true);
    const second = digits.getInt32(digit + digitsPerRead, true);
    const low = nibbles(first);
    const high = nibbles(second);
    wrong |= difference(first, low) | difference(second, high);
    words[at + word] = joined(low) | (joined(high) << 16);
  }
  return wrong === 0;
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

const scratch = Buffer.alloc(hashDigits);

/** The hash in the eight words from `at` on, as text. */
export function hexOfWords(words: Uint32Array, at: number): string {
  writeHexWords(words, at, scratch, 0);
  return scratch.toString('latin1');
}

/** Whether the eight words from `at` on are those of `other` from `otherAt` on. */
export function sameWords(words: Uint32Array, at: number, other: Uint32Array, otherAt: number): boolean {
  for (let word = 0; word < hashWordCount; word += 1) if (words[at + word] !== other[otherAt + word]) return false;
  return true;
}
