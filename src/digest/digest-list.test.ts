// The packed list of digests against plain arrays.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SeededRandom, seededRandom } from '../testing/seeded-random.ts';
import { Digest } from './digest.ts';
import { digestFunctions, md5, sha256 } from './digest-function.ts';
import type { DigestFunction } from './digest-function.ts';
import { DigestList } from './digest-list.ts';

function randomDigests(random: SeededRandom, row: DigestFunction): Digest[] {
  const digests = Array.from({ length: random.integer(0, 30) }, () => {
    return Digest.parse(row, Buffer.from(random.bytes(row.hashBytes)).toString('hex'), random.pick([1, 255, 2 ** 40, 2 ** 53 - 1]));
  });
  if (digests.length > 0) digests.push(random.pick(digests), Digest.empty(row));
  return digests;
}

describe('DigestList', () => {
  it('holds what was put in, in order, duplicates kept', (t) => {
    const random = seededRandom(t);
    for (const row of digestFunctions) {
      const plain = randomDigests(random, row);
      const list = DigestList.from(plain);
      assert.equal(list.length, plain.length);
      assert.deepEqual(Array.from(list, String), plain.map(String));
      for (const [index, digest] of plain.entries()) {
        assert.equal(String(list.at(index)), String(digest));
        assert.deepEqual([list.hashAt(index), list.keyAt(index), list.sizeAt(index)], [digest.hash, digest.key, digest.sizeBytes]);
      }
      assert.equal(list.totalBytes, plain.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0));
    }
  });

  it('filters and selects as arrays do', (t) => {
    const random = seededRandom(t);
    for (const row of digestFunctions) {
      const plain = randomDigests(random, row);
      const list = DigestList.from(plain);
      const chosen = new Set(plain.filter(() => random.integer(0, 1) === 1).map(String));
      const keep = (digest: Digest): boolean => chosen.has(String(digest));
      assert.deepEqual(Array.from(list.filter(keep), String), plain.filter(keep).map(String));
      const odd = list.select((index) => index % 2 === 1);
      assert.deepEqual(Array.from(odd, String), plain.filter((_, index) => index % 2 === 1).map(String));
      assert.equal(odd.length === 0 || odd.function === row, true);
      assert.equal(list.select(() => true), list, 'nothing is copied when all stay');
      assert.equal(list.select(() => false).length, 0);
    }
  });

  it('CAS-10: parses what a client sent, and refuses the first malformed one', () => {
    const good = { hash: 'ab'.repeat(32), size: 5n };
    const read = ({ hash, size }: typeof good) => ({ hash, sizeBytes: size });
    assert.equal(String(DigestList.parse(sha256, [good], read).at(0)), `sha256/${good.hash}/5`);
    assert.equal(DigestList.parse(md5, [], read).length, 0);
    for (const bad of [{ ...good, hash: 'AB'.repeat(32) }, { ...good, hash: 'ab'.repeat(16) }, { ...good, size: -1n }, { ...good, size: 0n }, { ...good, size: 2n ** 53n }]) {
      assert.throws(() => DigestList.parse(sha256, [good, bad, good], read), { code: 'invalid_argument' });
    }
  });

  it('DG-5: is of one function', () => {
    const bytes = Buffer.from('x');
    assert.throws(() => DigestList.of(Digest.of(bytes), Digest.of(bytes, md5)), { name: 'AssertionError' });
    assert.throws(() => DigestList.of(Digest.of(bytes)).sizeAt(1), { name: 'AssertionError' });
    assert.equal(DigestList.of().length, 0);
  });

  it('answers for ten thousand digests', () => {
    const random = new SeededRandom(1);
    const plain = Array.from({ length: 10_000 }, () => Digest.parse(sha256, Buffer.from(random.bytes(32)).toString('hex'), 7));
    const list = DigestList.from(plain);
    assert.equal(list.keyAt(9_999), plain[9_999]?.key);
  });
});

describe('DigestList of words', () => {
  /** The same digests, known as texts and as words. */
  function both(hashes: readonly string[], sizes: readonly (number | bigint)[], digestFunction = sha256): readonly [() => DigestList, () => DigestList] {
    const bytes = Buffer.from(hashes.join(''), 'hex');
    const words = new Uint32Array(new Uint8Array(Buffer.concat([bytes, Buffer.alloc(64)])).buffer); // with room behind
    return [
      () => DigestList.check(digestFunction, { hashes, sizes, lowerHex: true }),
      () => DigestList.check(digestFunction, { hashes: [], sizes, lowerHex: true, words }),
    ];
  }

  it('is the list of their texts, selected and cut too', (t) => {
    const random = seededRandom(t);
    for (let round = 0; round < 200; round += 1) {
      const hashes = Array.from({ length: random.integer(0, 20) }, () => Buffer.from(random.bytes(32)).toString('hex'));
      const [texts, words] = both(hashes, hashes.map(() => random.integer(1, 1_000))).map((make) => make()) as [DigestList, DigestList];
      const kept = hashes.map(() => random.integer(0, 1) === 0);
      const [from, to] = [random.integer(0, hashes.length), random.integer(0, hashes.length)].toSorted((a, b) => a - b) as [number, number];
      for (const [a, b] of [[texts, words], [texts.select((index) => kept[index] === true), words.select((index) => kept[index] === true)], [texts.slice(from, to), words.slice(from, to)]] as const) {
        assert.deepEqual(Array.from(b, String), Array.from(a, String));
        assert.deepEqual([b.length, b.totalBytes], [a.length, a.totalBytes]);
        for (let index = 0; index < a.length; index += 1) assert.equal(b.keyAt(index), a.keyAt(index));
      }
      assert.throws(() => words.hashAt(hashes.length), { name: 'AssertionError' });
    }
  });

  it('refuses the sizes that their texts are refused for', () => {
    const other = 'ab'.repeat(32);
    for (const [hash, size] of [[other, 0], [other, -1], [other, 2n ** 63n], [sha256.emptyHash, 1]] as const) {
      const [texts, words] = both([other, hash], [1, size]);
      const refusal = { name: 'CacheError', message: thrownBy(texts).message };
      assert.throws(words, refusal, `${hash}/${size}`);
    }
    const [texts, words] = both([sha256.emptyHash], [0]);
    assert.deepEqual(Array.from(words(), String), Array.from(texts(), String));
  });
});

function thrownBy(work: () => unknown): Error {
  try {
    work();
  } catch (thrown) {
    if (thrown instanceof Error) return thrown;
  }
  throw new Error('nothing was thrown');
}
