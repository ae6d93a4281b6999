// The Huffman code: completeness, both directions, and what must be refused.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { seededRandom } from '../testing/seeded-random.ts';
import { ConnectionError } from './error-code.ts';
import { decodeHuffman, encodeHuffman, huffmanBytes, huffmanDecodedBytesMax } from './huffman.ts';

function encode(text: string): Buffer {
  const into = Buffer.alloc(huffmanBytes(text));
  assert.equal(encodeHuffman(text, into, 0), into.length);
  return into;
}

function decode(bytes: Uint8Array): string {
  const into = Buffer.alloc(huffmanDecodedBytesMax(bytes.length));
  return into.toString('latin1', 0, decodeHuffman(bytes, 0, bytes.length, into));
}

describe('Huffman code', () => {
  it('encodes and decodes the strings of RFC 7541 C.4 and C.6', () => {
    const known: readonly (readonly [string, string])[] = [
      ['www.example.com', 'f1e3c2e5f23a6ba0ab90f4ff'],
      ['no-cache', 'a8eb10649cbf'],
      ['custom-key', '25a849e95ba97d7f'],
      ['302', '6402'],
      ['Mon, 21 Oct 2013 20:13:21 GMT', 'd07abe941054d444a8200595040b8166e082a62d1bff'],
      ['https://www.example.com', '9d29ad171863c78f0b97c8e9ae82ae43d3'],
    ];
    for (const [text, hex] of known) {
      assert.equal(encode(text).toString('hex'), hex);
      assert.equal(decode(Buffer.from(hex, 'hex')), text);
    }
  });

  it('brings every octet back, alone, doubled and between others', () => {
    for (let octet = 0; octet < 256; octet++) {
      const text = String.fromCharCode(octet);
      for (const around of [text, text + text, `a${text}z`, `${text}0${text}${text}`]) assert.equal(decode(encode(around)), around);
    }
  });

  it('brings random strings back, the longest codes included', (t) => {
    const random = seededRandom(t);
    for (let round = 0; round < 500; round++) {
      const text = Buffer.from(random.bytes(random.integer(0, 60))).toString('latin1');
      assert.equal(decode(encode(text)), text);
    }
  });

  it('refuses padding that is longer than 7 bits, or not all ones', () => {
    for (const hex of ['ff', '07ff', '00', 'f1e3c2e5f23a6ba0ab90f4ffff', '08']) {
      assert.throws(() => decode(Buffer.from(hex, 'hex')), ConnectionError, hex);
    }
    assert.equal(decode(Buffer.from('07', 'hex')), '0');
  });

  it('refuses the end-of-string symbol', () => {
    assert.throws(() => decode(Buffer.from('ffffffff', 'hex')), ConnectionError);
    assert.throws(() => decode(Buffer.from('1ffffffffc', 'hex')), ConnectionError);
  });

  it('never makes more than it says', (t) => {
    const random = seededRandom(t);
    for (let round = 0; round < 2_000; round++) {
      const bytes = random.bytes(random.integer(0, 20));
      const into = new Uint8Array(huffmanDecodedBytesMax(bytes.length));
      try {
        assert.ok(decodeHuffman(bytes, 0, bytes.length, into) <= into.length);
      } catch (thrown) {
        assert.ok(thrown instanceof ConnectionError);
      }
    }
  });
});
