// Leases and pins, and how far both reach.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ManualClock } from '../testing/manual-clock.ts';
import { RecordedLog } from '../testing/recorded-log.ts';
import { KeyWords } from './key-words.ts';
import { LeaseBook } from './lease-book.ts';
import type { LeaseBookOptions, PinnedKey } from './lease-book.ts';
import { UseAges } from './use-ages.ts';

const leaseS = 3_200;
const boundBytes = 1_000_000;
const nowS = 1_600_000_000;

function keyOf(number: number): KeyWords {
  const key = new KeyWords();
  key.setBytes(4, Buffer.alloc(32, number));
  return key;
}

function rig(options: LeaseBookOptions = { leases: 'shorten' }) {
  const [ages, clock, log] = [new UseAges(leaseS), new ManualClock(), new RecordedLog()];
  return { ages, clock, log, book: new LeaseBook({ ages, ledger: { boundBytes, promisedBytesMax: boundBytes }, monotonicClock: clock, log }, options) };
}

describe('LeaseBook, leases', () => {
  it('leases what was used within the lease', () => {
    const { ages, book } = rig();
    ages.add(400_000, nowS - leaseS + 32);
    assert.equal(book.leaseFloorS(nowS), nowS - leaseS + 1);
    assert.equal(book.leasedBytes(nowS), 400_000);
    assert.equal(book.effectiveLeaseMs(nowS), leaseS * 1_000);
  });

  it('lets leases take half of the store, the youngest first', () => {
    const { ages, book, log } = rig();
    ages.add(300_000, nowS);
    ages.add(300_000, nowS - 1_600);
    const floorS = book.leaseFloorS(nowS);
    assert.ok(floorS > nowS - 1_600 && floorS <= nowS);
    assert.ok(book.effectiveLeaseMs(nowS) <= 1_600_000);
    book.reportShortened(nowS);
    book.reportShortened(nowS);
    assert.equal(log.lines.filter((line) => /^warn leases are shorter than promised/.test(line)).length, 1);
  });

  it('shortens them further when nothing else is left, in the end to nothing, and restores them', () => {
    const { ages, book } = rig();
    ages.add(200_000, nowS);
    let floorS = book.leaseFloorS(nowS);
    while (book.shorten(nowS)) {
      assert.ok(book.leaseFloorS(nowS) >= floorS);
      floorS = book.leaseFloorS(nowS);
    }
    assert.ok(floorS > nowS + 15, 'the index may have rounded up the time of use');
    assert.equal(book.effectiveLeaseMs(nowS), 0);
    book.restore();
    assert.equal(book.leaseFloorS(nowS), nowS - leaseS + 1);
  });

  it('refuses what is new instead, if leases are strict', () => {
    const { ages, book } = rig({ leases: 'strict' });
    ages.add(450_000, nowS - 1_600);
    book.admit(50_000, nowS)?.[Symbol.dispose]();
    assert.throws(() => book.admit(50_001, nowS), { kind: 'disk_full', code: 'resource_exhausted' });
    ages.add(450_000, nowS);
    assert.equal(book.leaseFloorS(nowS), nowS - leaseS + 1);
    assert.equal(book.shorten(nowS), false);
    book.admit(50_000, nowS + leaseS - 1_000 + 16 + 500_000);
  });

  it('counts what was let in until it has ended, so that many at once are not all let in', () => {
    const { ages, book } = rig({ leases: 'strict' });
    ages.add(100_000, nowS);
    const first = book.admit(200_000, nowS);
    const second = book.admit(200_000, nowS);
    assert.throws(() => book.admit(1, nowS), { kind: 'disk_full', message: /^500000 bytes are leased/ });
    first?.[Symbol.dispose]();
    first?.[Symbol.dispose]();
    using _third = book.admit(200_000, nowS);
    assert.throws(() => book.admit(1, nowS), { kind: 'disk_full' });
    ages.add(200_000, nowS); // the second is stored
    second?.[Symbol.dispose]();
    assert.throws(() => book.admit(1, nowS), { kind: 'disk_full' });
    assert.equal(book.leasedBytes(nowS), 300_000);
  });

  it('refuses nothing if they are not', () => {
    const { ages, book } = rig();
    ages.add(boundBytes, nowS);
    book.admit(boundBytes, nowS);
  });
});

describe('LeaseBook, pins', () => {
  it('K2-04: keeps what is pinned until all its pins are disposed', () => {
    const unpinned: PinnedKey[] = [];
    const { book } = rig({ leases: 'shorten', onUnpinned: (key) => void unpinned.push(key) });
    const first = book.pin([{ key: keyOf(1), bytes: 100 }, { key: keyOf(2), bytes: 50 }, { key: keyOf(2), bytes: 50 }]);
    const second = book.pin([{ key: keyOf(1), bytes: 100 }]);
    assert.equal(book.pinnedBytes, 150);
    first[Symbol.dispose]();
    first[Symbol.dispose]();
    assert.deepEqual([book.isPinned(keyOf(1)), book.isPinned(keyOf(2)), book.pinnedBytes], [true, false, 100]);
    second[Symbol.dispose]();
    assert.deepEqual([book.isPinned(keyOf(1)), book.pinnedBytes, book.unpinnedCount], [false, 0, 2]);
    assert.deepEqual(unpinned.map(({ words }) => words[0]), [keyOf(2).words[0], keyOf(1).words[0]]);
  });

  it('K2-04: ends a pin that nobody ends after 120 s', () => {
    const { book, clock } = rig();
    using _first = book.pin([{ key: keyOf(1), bytes: 100 }]);
    clock.advance(60_000);
    using _second = book.pin([{ key: keyOf(2), bytes: 100 }]);
    clock.advance(59_999);
    assert.equal(book.isPinned(keyOf(1)), true);
    clock.advance(1);
    assert.deepEqual([book.isPinned(keyOf(1)), book.isPinned(keyOf(2)), book.pinnedBytes], [false, true, 100]);
    clock.advance(60_000);
    assert.equal(book.pinnedBytes, 0);
  });

  it('K2-04: pins a quarter of the store and no more, all of a batch or none', () => {
    const { book } = rig();
    using _most = book.pin(Array.from({ length: 250 }, (_, number) => ({ key: keyOf(number), bytes: 1_000 })));
    assert.throws(() => book.pin([{ key: keyOf(1), bytes: 1_000 }, { key: keyOf(251), bytes: 1 }]), { code: 'resource_exhausted' });
    assert.equal(book.isPinned(keyOf(251)), false);
    using _again = book.pin([{ key: keyOf(1), bytes: 1_000 }]);
    assert.equal(book.pinnedBytes, 250_000);
  });

  it('tells keys apart by their tag', () => {
    const { book } = rig();
    using _pin = book.pin([{ key: keyOf(1), bytes: 1 }]);
    const other = keyOf(1);
    other.tag = 8;
    assert.equal(book.isPinned(other), false);
  });
});
