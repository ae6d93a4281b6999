// Sizes that follow from the size of the store.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { defaultStoreBytes, lowWatermarkBytesOf, segmentBytesOf } from './engine-sizes.ts';

const [mib, gib] = [2 ** 20, 2 ** 30];

describe('sizes of the engine', () => {
  it('divides a store into 128 segments, or as near as their lengths allow', () => {
    const lengths = [1, 2, 8, 16, 100, 127, 255, 256, 1_024, 8_191, 8_192, 100_000].map((size) => segmentBytesOf(size * mib) / 1024);
    assert.deepEqual(lengths, [64, 128, 512, 1_024, 1_024, 1_024, 1_024, 2_048, 8_192, 32_768, 65_536, 65_536]);
  });

  it('K2-13: keeps a part free, as configured or bounded', () => {
    assert.equal(lowWatermarkBytesOf(64 * mib, undefined), mib);
    assert.equal(lowWatermarkBytesOf(1_000 * gib, undefined), 256 * mib);
    assert.equal(lowWatermarkBytesOf(1_000 * gib, 0.05), 50 * gib);
    assert.equal(lowWatermarkBytesOf(64 * mib, 0), 0);
  });

  it('takes a tenth of what the disk could hold, where nothing is said', () => {
    assert.equal(defaultStoreBytes(100 * gib, 0), 10 * gib);
    assert.equal(defaultStoreBytes(90 * gib, 10 * gib), 10 * gib);
    assert.equal(defaultStoreBytes(0, 0), gib);
  });
});
