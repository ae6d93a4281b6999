// Keys of puts, with numbers that many share: a real hash would show one of a kind in years.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Digest } from '../digest/digest.ts';
import { sha1 } from '../digest/digest-function.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import { PutsUnderWay } from './puts-under-way.ts';
import type { KeyedPut } from './puts-under-way.ts';

interface Put extends KeyedPut<Put> {}

function putOf(digest: Digest, number: number): Put {
  return { digest, number, next: undefined };
}

describe('PutsUnderWay', () => {
  it('tells blobs apart that have the same number, and functions', () => {
    const puts = new PutsUnderWay<Put>();
    const [one, two] = [Digest.of(Buffer.from('one')), Digest.of(Buffer.from('two'))];
    const put = putOf(one, 7);
    puts.add(put);
    assert.equal(puts.find(two, 7), undefined);
    assert.equal(puts.find(Digest.ofChecked(sha1, one.hash, one.sizeBytes), 7), undefined);
    assert.equal(puts.find(Digest.ofChecked(one.function, one.hash, 99), 7), put, 'whatever its size');
    puts.remove(put);
    assert.equal(puts.find(one, 7), undefined);
    assert.throws(() => puts.remove(put), { name: 'AssertionError' });
  });

  it('finds what a map by key finds, with many of the same number', (t) => {
    const random = seededRandom(t);
    const puts = new PutsUnderWay<Put>();
    const model = new Map<string, Put>();
    const digests = Array.from({ length: 40 }, (_, index) => Digest.of(Buffer.from(String(index))));
    for (let round = 0; round < 5_000; round += 1) {
      const index = random.integer(0, digests.length - 1);
      const digest = digests[index];
      assert.ok(digest);
      const [found, known] = [puts.find(digest, index % 5), model.get(digest.key)];
      assert.equal(found, known);
      if (known === undefined) {
        const put = putOf(digest, index % 5);
        puts.add(put);
        model.set(digest.key, put);
      } else {
        puts.remove(known);
        model.delete(digest.key);
      }
    }
  });
});
