// What is kept is what was offered last for its place, within the bound; what is asked for stays longer than what is not.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { seededRandom } from '../testing/seeded-random.ts';
import { HotRecords, hotRecordOverheadBytes } from './hot-records.ts';

const mib = 1_048_576;

function content(of: number, bytes = 1_000): Uint8Array {
  const made = new Uint8Array(bytes).fill(of);
  new DataView(made.buffer).setFloat64(0, of);
  return made;
}

function offerTwice(hot: HotRecords, segment: number, offset: number, bytes: Uint8Array): void {
  hot.offer(segment, offset, bytes);
  hot.offer(segment, offset, bytes);
}

describe('HotRecords', () => {
  it('takes a copy of what is read for the second time', () => {
    const hot = new HotRecords(mib);
    const bytes = content(7);
    hot.offer(3, 64, bytes);
    assert.equal(hot.get(3, 64), undefined);
    assert.equal(hot.usedBytes, 0);
    hot.offer(3, 64, bytes);
    bytes.fill(0);
    assert.deepEqual(hot.get(3, 64), content(7));
    for (const [segment, offset] of [[3, 72], [2, 64], [259, 64], [3, 56]] as const) assert.equal(hot.get(segment, offset), undefined);
    assert.equal(hot.usedBytes, mib / 16 + hotRecordOverheadBytes);
  });

  it('takes nothing that is empty or more than a quarter of a slab, and nothing at all where there is no room', () => {
    const hot = new HotRecords(mib);
    for (const [offset, bytes] of [[0, new Uint8Array(0)], [8, new Uint8Array(mib / 64 + 1)]] as const) {
      offerTwice(hot, 1, offset, bytes);
      assert.equal(hot.get(1, offset), undefined);
    }
    offerTwice(hot, 1, 16, new Uint8Array(mib / 64));
    assert.equal(hot.count, 1);
    for (const bytesMax of [0, 1, 65_535]) {
      const none = new HotRecords(bytesMax);
      offerTwice(none, 1, 0, content(1, 10));
      assert.deepEqual([none.count, none.usedBytes], [0, 0]);
    }
  });

  it('keeps within its bound, what was asked for since it was taken longer than what was not', () => {
    const hot = new HotRecords(mib);
    const [asked, others] = [100, 5_000];
    for (let number = 0; number < asked; number += 1) offerTwice(hot, 1, 8 * number, content(number));
    let keptMost = 0;
    for (let number = 0; number < others; number += 1) {
      offerTwice(hot, 2, 8 * number, content(number));
      if (number % 50 === 0) for (let one = 0; one < asked; one += 1) assert.deepEqual(hot.get(1, 8 * one), content(one), `${one} after ${number}`);
      assert.ok(hot.usedBytes <= mib, `${hot.usedBytes}`);
      keptMost = Math.max(keptMost, hot.count);
    }
    assert.ok(keptMost > 700, `${keptMost} contents of 1,000 bytes`);
    assert.equal(hot.get(2, 8 * 2_000), undefined);
    assert.ok(hot.get(2, 8 * (others - 1)) !== undefined);
  });

  it('makes room although all was asked for', () => {
    const hot = new HotRecords(mib);
    for (let number = 0; number < 3_000; number += 1) {
      offerTwice(hot, 1, 8 * number, content(number));
      assert.deepEqual(hot.get(1, 8 * number), content(number));
    }
    assert.ok(hot.usedBytes <= mib);
  });

  it('counts what small contents cost beside', () => {
    const hot = new HotRecords(mib);
    for (let number = 0; number < 20_000; number += 1) offerTwice(hot, 1, 8 * number, content(number, 8));
    assert.ok(hot.usedBytes <= mib && hot.count <= mib / hotRecordOverheadBytes, `${hot.count}`);
    assert.ok(hot.count > 2_000, `${hot.count}`);
  });

  it('does not flush by what is read once', () => {
    const hot = new HotRecords(mib);
    for (let number = 0; number < 500; number += 1) offerTwice(hot, 1, 8 * number, content(number));
    for (let number = 0; number < 50_000; number += 1) hot.offer(2 + (number >> 12), 1_112 * (number & 4_095), content(number, 16));
    for (let number = 0; number < 500; number += 1) assert.deepEqual(hot.get(1, 8 * number), content(number));
  });

  it('has nothing of a segment that ended, and takes what comes into its place', () => {
    const hot = new HotRecords(mib);
    for (const segment of [1, 257, 65_537]) for (let number = 0; number < 50; number += 1) offerTwice(hot, segment, 8 * number, content(segment + number));
    const before = hot.get(257, 0);
    hot.forget(257);
    assert.equal(hot.count, 100);
    for (let number = 0; number < 50; number += 1) {
      assert.equal(hot.get(257, 8 * number), undefined);
      for (const segment of [1, 65_537]) assert.deepEqual(hot.get(segment, 8 * number), content(segment + number));
    }
    offerTwice(hot, 257, 0, content(5));
    assert.deepEqual(hot.get(257, 0), content(5));
    assert.deepEqual(before, content(257), 'who was given a content may keep it');
    for (const segment of [1, 257, 65_537]) hot.forget(segment);
    assert.equal(hot.usedBytes, 0);
  });

  it('never gives another content than the last one of its place, whatever comes', (t) => {
    const random = seededRandom(t);
    const hot = new HotRecords(128 * 1_024);
    const model = new Map<string, Uint8Array>();
    let hits = 0;
    for (let step = 0; step < 60_000; step += 1) {
      const segment = random.integer(0, 3) * 255;
      const offset = 8 * random.integer(0, 150);
      const key = `${segment}/${offset}`;
      const action = random.integer(0, 999);
      if (action === 0) {
        hot.forget(segment);
        for (const known of model.keys()) if (known.startsWith(`${segment}/`)) model.delete(known);
      } else if (action < 500) {
        const bytes = model.get(key) ?? content(step, random.integer(8, 1_500)); // what stands at a place stays until its segment ends
        model.set(key, bytes);
        hot.offer(segment, offset, bytes);
      } else {
        const found = hot.get(segment, offset);
        if (found === undefined) continue;
        hits += 1;
        assert.deepEqual(found, model.get(key));
      }
      assert.ok(hot.usedBytes <= hot.bytesMax);
    }
    assert.ok(hits > 1_000, `${hits}`);
  });
});
