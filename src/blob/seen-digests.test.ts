// The set of one call against a Set of texts, whoever has chosen the hashes.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { hashWordCount } from '../base/hex-words.ts';
import { DigestList } from '../digest/digest-list.ts';
import { sha256 } from '../digest/digest-function.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import { SeenDigests } from './seen-digests.ts';

/** A list that knows its hashes as words. */
function listOf(words: Uint32Array): DigestList {
  const count = words.length / hashWordCount;
  return DigestList.check(sha256, { hashes: [], sizes: Array.from({ length: count }, () => 1), lowerHex: true, words });
}

function assertLikeSet(digests: DigestList): void {
  const seen = new SeenDigests(digests);
  const set = new Set<string>();
  for (let index = 0; index < digests.length; index += 1) {
    const hash = digests.hashAt(index);
    assert.equal(seen.add(index), !set.has(hash), `${index}: ${hash}`);
    set.add(hash);
  }
}

describe('SeenDigests', () => {
  it('takes every hash once, as a Set does', (t) => {
    const random = seededRandom(t);
    for (let round = 0; round < 300; round += 1) {
      const pool = Array.from({ length: random.integer(1, 30) }, () => new Uint32Array(new Uint8Array(random.bytes(32)).buffer));
      const words = new Uint32Array(random.integer(1, 60) * hashWordCount);
      for (let at = 0; at < words.length; at += hashWordCount) words.set(random.pick(pool), at);
      const digests = listOf(words);
      assertLikeSet(digests);
      assertLikeSet(DigestList.from([...digests]));
    }
  });

  it('takes hashes that all fall into one place in little time', () => {
    const words = new Uint32Array(50_000 * hashWordCount);
    for (let index = 0; index < 50_000; index += 1) words[index * hashWordCount + 2] = index % 40_000;
    assertLikeSet(listOf(words));
  });
});
