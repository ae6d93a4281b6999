// Digests read as words against digests read as texts: the same, whatever a message holds.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { seededRandom } from '../testing/seeded-random.ts';
import type { SeededRandom } from '../testing/seeded-random.ts';
import { PackedDigests } from './packed-digests.ts';
import { WireReader } from './wire-reader.ts';
import { WordDigests } from './word-digests.ts';

const oddHashes = ['', 'ab', 'A'.repeat(64), `${'a'.repeat(63)}g`, 'f'.repeat(63), 'f'.repeat(65), 'f'.repeat(128), 'ä'.repeat(32), `${'a'.repeat(62)}ä`];

function field(tag: number, bytes: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(bytes.length < 0x80 ? [tag, bytes.length] : [tag, (bytes.length & 0x7f) | 0x80, bytes.length >> 7]), bytes]);
}

/** One digest: its fields in any order, missing, repeated, or unknown. */
function digestMessage(random: SeededRandom, isOdd: boolean): Buffer {
  const hash = () => Buffer.from(isOdd && random.integer(0, 1) === 0 ? random.pick(oddHashes) : Buffer.from(random.bytes(32)).toString('hex'));
  const parts = [field(10, hash())];
  if (random.integer(0, 5) > 0) parts.push(Buffer.from([16, random.integer(0, 127)]));
  if (!isOdd) return Buffer.concat(parts);
  if (random.integer(0, 3) === 0) parts.push(field(10, hash()));
  if (random.integer(0, 3) === 0) parts.shift();
  if (random.integer(0, 3) === 0) parts.reverse();
  if (random.integer(0, 3) === 0) parts.push(field(26, random.bytes(3)));
  return Buffer.concat(parts);
}

function readAll(messages: readonly Buffer[], into: { read(reader: WireReader): unknown }): void {
  const reader = new WireReader(Buffer.concat(messages.map((message) => field(18, message))));
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) into.read(reader);
}

function readTogether(messages: readonly Buffer[], countMax: number): WordDigests {
  const digests = new WordDigests(countMax, 10_000);
  readAll(messages, { read: (reader) => digests.readAll(reader, 18) });
  return digests;
}

describe('WordDigests', () => {
  it('has what PackedDigests has', (t) => {
    const random = seededRandom(t);
    let inWords = 0;
    for (let round = 0; round < 1_000; round += 1) {
      const oddness = random.pick([0, 0, 4]);
      const messages = Array.from({ length: random.integer(0, 40) }, () => digestMessage(random, random.integer(1, 4) <= oddness && random.integer(0, 9) === 0));
      const [words, texts] = [new WordDigests(1_000, random.integer(0, 3_000)), new PackedDigests(1_000)];
      readAll(messages, words);
      readAll(messages, texts);
      const together = new WordDigests(1_000, random.integer(0, 3_000));
      readAll(messages, { read: (reader) => together.readAll(reader, 18) });
      assert.deepEqual([together.hashes, together.sizes, together.lowerHex, together.words === undefined], [words.hashes, words.sizes, words.lowerHex, words.words === undefined]);
      if (words.words !== undefined) inWords += 1;
      assert.deepEqual([words.hashes, words.sizes], [texts.hashes, texts.sizes]);
      if (words.lowerHex) for (const hash of texts.hashes) assert.match(hash, /^[0-9a-f]*$/);
      assert.ok(words.lowerHex || !texts.lowerHex);
      assert.equal(words.words !== undefined, texts.hashes.every((hash) => /^[0-9a-f]{64}$/.test(hash)));
    }
    assert.ok(inWords > 100 && inWords < 1_000, `${inWords} messages were read as words`);
  });

  it('refuses more than its bound, and what is cut off', () => {
    const message = field(10, Buffer.from('a'.repeat(64)));
    assert.throws(() => readAll([message, message, message], new WordDigests(2, 0)), /more than 2 digests/);
    assert.throws(() => readTogether([message, message, message], 2), /more than 2 digests/);
    assert.equal(readTogether([message, message], 2).length, 2);
    for (let length = 1; length < message.length; length += 1) {
      assert.throws(() => readAll([message.subarray(0, length)], new WordDigests(2, 0)), { name: 'WireError' }, `${length} bytes`);
      assert.throws(() => readTogether([message, message.subarray(0, length)], 2), { name: 'WireError' }, `${length} bytes behind another`);
    }
    assert.throws(() => readAll([Buffer.concat([message, Buffer.from([16])])], new WordDigests(2, 0)), { name: 'WireError' }, 'a size without its number');
  });
});
