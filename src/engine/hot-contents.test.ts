// What is kept in memory, what it takes, and what large contents do to small ones.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { seededRandom } from '../testing/seeded-random.ts';
import { HotContents } from './hot-contents.ts';

const kib = 1024;
const overhead = 320;
const memory = new ArrayBuffer(2 * kib * kib);
const bytes = (length: number): Uint8Array => new Uint8Array(memory, 0, length);

/** Reads a content that is not kept from its file. */
const read = (hot: HotContents<string>, key: string, length: number): void => {
  if (hot.get(key) === undefined) hot.offer(key, bytes(length));
};

describe('HotContents', () => {
  it('keeps small contents at once, and drops what was used longest ago', () => {
    const hot = new HotContents<string>(3 * (kib + overhead));
    for (const key of ['a', 'b', 'c']) hot.offer(key, bytes(kib));
    assert.equal(hot.usedBytes, hot.bytesMax);
    hot.get('a');
    hot.offer('d', bytes(kib));
    assert.deepEqual(['a', 'b', 'c', 'd'].filter((key) => hot.get(key) !== undefined), ['a', 'c', 'd']);
    assert.equal(hot.usedBytes, hot.bytesMax);
    hot.delete('a');
    hot.delete('a');
    assert.equal(hot.usedBytes, 2 * (kib + overhead));
  });

  it('keeps a large content when it is read the second time, and none above 1 MiB', () => {
    const hot = new HotContents<string>(16 * kib * kib);
    hot.offer('large', bytes(65 * kib));
    assert.equal(hot.get('large')?.byteLength, undefined);
    hot.offer('large', bytes(65 * kib));
    assert.equal(hot.get('large')?.byteLength, 65 * kib);
    for (let times = 0; times < 3; times += 1) hot.offer('too large', bytes(kib * kib + 1));
    assert.equal(hot.get('too large')?.byteLength, undefined);
    assert.equal(hot.usedBytes, 65 * kib + overhead);
  });

  it('lets large contents take half of the memory, however often they are read', () => {
    const hot = new HotContents<string>(8 * kib * kib);
    const small = Array.from({ length: 60 }, (_, index) => `small ${index}`);
    for (const key of small) hot.offer(key, bytes(64 * kib));
    for (let round = 0; round < 3; round += 1) {
      for (let index = 0; index < 100; index += 1) {
        read(hot, `large ${index % 10}`, 900 * kib);
        assert.ok(hot.usedBytes <= hot.bytesMax);
      }
    }
    assert.equal(small.filter((key) => hot.get(key) !== undefined).length, 60);
    assert.ok(hot.usedBytes > 7 * kib * kib, 'and they do take it');
  });

  it('lets a scan of large contents that are read once take nothing', () => {
    const hot = new HotContents<string>(8 * kib * kib);
    for (let index = 0; index < 100; index += 1) hot.offer(`small ${index}`, bytes(64 * kib));
    const before = hot.usedBytes;
    for (let index = 0; index < 10_000; index += 1) read(hot, `large ${index}`, 900 * kib);
    assert.equal(hot.usedBytes, before);
    assert.equal(hot.size, 100);
  });

  it('gives the place of large contents that nobody reads any more to small ones', () => {
    const hot = new HotContents<string>(8 * kib * kib);
    for (let round = 0; round < 2; round += 1) for (let index = 0; index < 4; index += 1) read(hot, `large ${index}`, 900 * kib);
    assert.equal(hot.size, 4);
    for (let index = 0; index < 127; index += 1) hot.offer(`small ${index}`, bytes(64 * kib));
    assert.equal(hot.get('large 3')?.byteLength, undefined);
    assert.equal(hot.size, 127);
    assert.ok(hot.usedBytes <= hot.bytesMax);
  });

  it('does what a plain list of all in the order of their use would', (t) => {
    const random = seededRandom(t);
    const hot = new HotContents<number>(2 * kib * kib);
    const cost = (length: number): number => length + overhead;
    let kept: { readonly key: number; readonly length: number }[] = []; // oldest first
    let seenOnce = new Set<number>();
    const sum = (some: typeof kept): number => some.reduce((total, { length }) => total + cost(length), 0);
    const large = (): typeof kept => kept.filter(({ length }) => length > 64 * kib);
    for (let round = 0; round < 5_000; round += 1) {
      const key = random.integer(0, 60);
      const length = key % 3 === 0 ? random.integer(65, 400) * kib : random.integer(0, 64) * kib;
      const before = kept.find((one) => one.key === key);
      const others = kept.filter((one) => one.key !== key);
      if (random.integer(0, 1) === 0) {
        assert.equal(hot.get(key)?.byteLength, before?.length);
        if (before !== undefined) kept = [...others, before];
      } else {
        hot.offer(key, bytes(length));
        kept = others;
        if (length > 64 * kib) {
          seenOnce = seenOnce.symmetricDifference(new Set([key]));
          if (seenOnce.has(key)) continue;
          while (sum(large()) + cost(length) > hot.bytesMax / 2) kept = kept.filter((one) => one !== large()[0]);
        }
        while (sum(kept) + cost(length) > hot.bytesMax) kept.shift();
        kept.push({ key, length });
      }
      assert.deepEqual([hot.size, hot.usedBytes], [kept.length, sum(kept)]);
    }
    for (const { key, length } of kept) assert.equal(hot.get(key)?.byteLength, length);
  });

  it('counts what replaces a content of the same key once, and keeps nothing where there is no room', () => {
    const hot = new HotContents<string>(100 * kib);
    for (const length of [10, 60, 5]) hot.offer('key', bytes(length * kib));
    assert.equal(hot.usedBytes, 5 * kib + overhead);
    for (let times = 0; times < 3; times += 1) hot.offer('large', bytes(70 * kib));
    assert.equal(hot.get('large')?.byteLength, undefined, 'above the half of large ones');
    assert.equal(hot.size, 1);
    const none = new HotContents<string>(0);
    none.offer('key', bytes(0));
    assert.equal(none.size, 0);
  });
});
