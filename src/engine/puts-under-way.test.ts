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
    const many = Array.from({ length: 3_000 }, (_, index) => putOf(Digest.of(Buffer.from(`many ${index}`)), index * 7)); // so that it grows, with what is in it
    for (let round = 0; round < 5_000; round += 1) {
      const added = many[round];
      if (added !== undefined) puts.add(added);
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
    for (const put of many) assert.equal(puts.find(put.digest, put.number), put);
    for (const put of many) puts.remove(put);
    for (const put of many) assert.equal(puts.find(put.digest, put.number), undefined);
    for (const [index, digest] of digests.entries()) assert.equal(puts.find(digest, index % 5), model.get(digest.key));
  });

  it('lets what has ended point to nothing', () => {
    const puts = new PutsUnderWay<Put>();
    const all = [0, 1, 2].map((index) => putOf(Digest.of(Buffer.from(String(index))), 7));
    for (const put of all) puts.add(put);
    assert.equal(all[2]?.next, all[1]);
    for (const put of all) puts.remove(put);
    assert.deepEqual(all.map(({ next }) => next), [undefined, undefined, undefined]);
  });
});
