// The rate falls when small syncs suffer and rises when they do not, and finds its place on a disk that is simple enough
// to foresee it.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SyncPacer } from './sync-pacer.ts';

const mib = 1_048_576;
const limits = { bytesPerSMin: 10 * mib, bytesPerSMax: 1000 * mib, targetUs: 2_000 };

/** One large sync of a MiB that small ones of these lengths run beside. Gives its delay. */
function largeSync(pacer: SyncPacer, nowUs: number, besideUs: readonly number[] = []): number {
  const delay = pacer.delayUs(mib, nowUs);
  for (const microseconds of besideUs) pacer.smallSync(microseconds);
  pacer.largeEnded();
  return delay;
}

describe('SyncPacer', () => {
  it('spaces large syncs by the rate, and saves nothing up in a pause', () => {
    const pacer = new SyncPacer(limits);
    assert.equal(largeSync(pacer, 1e6), 0);
    assert.equal(Math.round(largeSync(pacer, 1e6)), 1000);
    assert.equal(Math.round(largeSync(pacer, 1e6 + 500)), 1500);
    assert.equal(largeSync(pacer, 9e6), 0);
    assert.equal(Math.round(largeSync(pacer, 9e6)), 1000);
  });

  it('halves once per large sync, however many small ones were slow, and not below the least', () => {
    const pacer = new SyncPacer(limits);
    largeSync(pacer, 0, [5_000, 100, 9_000, 3_000]);
    assert.equal(pacer.bytesPerS, 1000 * mib);
    largeSync(pacer, 0, [5_000]);
    assert.equal(pacer.bytesPerS, 500 * mib);
    for (let round = 0; round < 20; round += 1) largeSync(pacer, 0, [5_000]);
    assert.equal(pacer.bytesPerS, limits.bytesPerSMin);
  });

  it('hears nothing of small syncs beside a deletion, nor of the one that was under way when it ended', () => {
    const pacer = new SyncPacer(limits);
    pacer.delayUs(mib, 0);
    pacer.deletionBegan();
    pacer.smallSync(50_000);
    pacer.deletionEnded();
    pacer.smallSync(50_000);
    pacer.largeEnded();
    largeSync(pacer, 0);
    assert.equal(pacer.bytesPerS, 1000 * mib);
    assert.equal(pacer.slowUs, limits.targetUs, 'nor is that the usual');
    largeSync(pacer, 0, [50_000]);
    largeSync(pacer, 0);
    assert.equal(pacer.bytesPerS, 500 * mib);
    assert.throws(() => pacer.deletionEnded(), 'each ends once');
  });

  it('rises again while nobody suffers, to the most and no further', () => {
    const pacer = new SyncPacer(limits);
    for (let round = 0; round < 20; round += 1) largeSync(pacer, 0, [5_000]);
    largeSync(pacer, 0, [100]);
    let before = pacer.bytesPerS;
    let rounds = 0;
    for (; pacer.bytesPerS < limits.bytesPerSMax; rounds += 1) {
      largeSync(pacer, 0, rounds % 2 === 0 ? [] : [1_900]);
      assert.ok(pacer.bytesPerS > before);
      before = pacer.bytesPerS;
    }
    assert.ok(rounds >= 250 && rounds <= 260, `${rounds} MiB to the top`);
    largeSync(pacer, 0);
    assert.equal(pacer.bytesPerS, limits.bytesPerSMax);
  });

  it('does not blame large syncs for a disk that is always slow, nor for what is slow beside none', () => {
    const pacer = new SyncPacer(limits);
    for (let round = 0; round < 200; round += 1) pacer.smallSync(6_000);
    assert.equal(Math.round(pacer.slowUs), 12_000);
    for (let round = 0; round < 10; round += 1) largeSync(pacer, 0, [11_000]);
    assert.equal(pacer.bytesPerS, limits.bytesPerSMax);
    pacer.smallSync(60_000);
    largeSync(pacer, 0);
    assert.equal(pacer.bytesPerS, limits.bytesPerSMax);
    assert.ok(pacer.slowUs < 17_000, 'one hiccup is not the usual');
    largeSync(pacer, 0, [30_000]);
    largeSync(pacer, 0);
    assert.equal(pacer.bytesPerS, limits.bytesPerSMax / 2);
  });

  it('finds the rate of a disk on which small syncs wait behind all that it was given', () => {
    // 300 MiB/s and 0.1 ms per small sync. Large syncs are taken by the cache of the drive, which writes them later.
    const diskBytesPerUs = (300 * mib) / 1e6;
    const pacer = new SyncPacer({ ...limits, targetUs: 5_000 });
    let nowUs = 0;
    let idleAtUs = 0;
    let seconds = 0;
    const small: number[] = [];
    for (let pieces = 0; pieces < 4_000; pieces += 1) {
      nowUs += pacer.delayUs(mib, nowUs);
      idleAtUs = Math.max(idleAtUs, nowUs) + mib / diskBytesPerUs;
      small.push(100 + idleAtUs - nowUs);
      pacer.smallSync(100 + idleAtUs - nowUs);
      pacer.largeEnded();
      if (pieces === 1_000) seconds = nowUs / 1e6;
    }
    const rate = 3_000 / (nowUs / 1e6 - seconds);
    const lengths = small.slice(1_000).toSorted((one, other) => one - other);
    const p99 = lengths[Math.floor(lengths.length * 0.99)] ?? Infinity;
    assert.ok(rate > 150 && rate < 300, `${rate} MiB/s`);
    assert.ok(p99 < 10_000, `${p99} us`);
  });

  it('takes no end that had no beginning', () => {
    assert.throws(() => new SyncPacer(limits).largeEnded(), { name: 'AssertionError' });
  });
});
