// Words against Buffer's own hex, and every byte that is no digit.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { seededRandom } from '../testing/seeded-random.ts';
import { hashDigits, hashWordCount, hexOfWords, newHashWords, readHash, readHexWords, sameWords, writeHexWords, writeViewedHex } from './hex-words.ts';

function read(text: string, words: Uint32Array, at: number): boolean {
  const digits = Buffer.from(text, 'latin1');
  if (text.length === hashDigits) {
    const whole = newHashWords(3);
    const isHash = readHash(new DataView(digits.buffer, digits.byteOffset, digits.byteLength), 0, whole, at);
    const isRead = readHexWords(new DataView(digits.buffer, digits.byteOffset, digits.byteLength), 0, words, { at, count: hashWordCount });
    assert.equal(isHash, isRead);
    if (isHash) assert.ok(sameWords(whole, at, words, at));
    return isRead;
  }
  return readHexWords(new DataView(digits.buffer, digits.byteOffset, digits.byteLength), 0, words, { at, count: text.length / 8 });
}

describe('hex words', () => {
  it('are the bytes of the hash, and its digits again', (t) => {
    const random = seededRandom(t);
    for (let round = 0; round < 1_000; round += 1) {
      const bytes = random.bytes(32);
      const text = Buffer.from(bytes).toString('hex');
      const words = new Uint32Array(24);
      assert.equal(read(text, words, 8), true);
      assert.deepEqual(new Uint8Array(words.buffer, 32, 32), new Uint8Array(bytes));
      assert.equal(hexOfWords(words, 8), text);
      const into = Buffer.alloc(hashDigits + 2, '.');
      writeHexWords(words, 8, into, 1);
      assert.equal(into.toString('latin1'), `.${text}.`);
      const viewed = Buffer.alloc(hashDigits + 2, '.');
      writeViewedHex(words, 8, new DataView(viewed.buffer, viewed.byteOffset, viewed.byteLength), 1);
      assert.deepEqual(viewed, into);
    }
  });

  it('refuse everything but lower-case digits, wherever it stands', () => {
    const words = new Uint32Array(hashWordCount);
    for (let byte = 0; byte < 256; byte += 1) {
      const character = String.fromCharCode(byte);
      for (let at = 0; at < hashDigits; at += 1) {
        const text = '7'.repeat(at) + character + 'e'.repeat(hashDigits - at - 1);
        assert.equal(read(text, words, 0), /^[0-9a-f]$/.test(character), JSON.stringify(text));
      }
    }
  });

  it('are told apart by every word', () => {
    const words = Uint32Array.from({ length: 16 }, (_, index) => index % hashWordCount);
    assert.equal(sameWords(words, 0, words, 8), true);
    for (let word = 0; word < hashWordCount; word += 1) {
      const other = words.slice();
      other[8 + word] = 99;
      assert.equal(sameWords(words, 0, other, 8), false);
    }
  });
});
