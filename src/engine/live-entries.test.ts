// Sums over entries, against sums that are made anew; uses, and the order of files found.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { md5, sha256 } from '../digest/digest-function.ts';
import { heldSegment } from '../testing/held-log.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import { allocatedBytes } from './allocated-bytes.ts';
import { BlobIndex } from './blob-index.ts';
import type { Slot } from './blob-index.ts';
import { EntryUses } from './entry-uses.ts';
import { takeInFiles } from './found-files.ts';
import { KeyWords, blobTag, valueTag } from './key-words.ts';
import { LiveEntries } from './live-entries.ts';
import { recordBytes } from './record-codec.ts';
import { SegmentTable } from './segment-table.ts';
import { SieveOrder } from './sieve-order.ts';
import { SpaceLedger } from './space-ledger.ts';
import { UseAges } from './use-ages.ts';

const startS = 1_800_000_000;

function open(leaseS = 3_600) {
  const clock = { nowS: startS };
  const nowS = () => clock.nowS;
  const segments = new SegmentTable();
  const ordinals = [1, 2, 3].map((id) => segments.add({ ...heldSegment, id, stream: 'blob' }).ordinal);
  const ages = new UseAges(leaseS);
  const index = { salt: [1, 2] as const, startS };
  const entries = new LiveEntries({ blobs: new BlobIndex({ ...index, hasSequences: false }), values: new BlobIndex({ ...index, hasSequences: true }), segments, ages, nowS });
  return { clock, segments, ordinals, ages, entries };
}

function keyOf(number: number, tag = blobTag(sha256.wireValue)): KeyWords {
  const key = new KeyWords();
  const hash = Buffer.alloc(32);
  hash.writeUInt32LE(number + 1);
  key.setBytes(tag, hash);
  return key;
}

function entry(over: { segment: number; offset: number; sizeBytes?: number; usedAtS?: number; isFile?: boolean }) {
  return { sizeBytes: 100, usedAtS: startS, sequence: 0, isFile: false, isPointer: false, isVerified: true, ...over };
}

describe('LiveEntries', () => {
  it('tells what an entry takes, in the log and on the disk', () => {
    const { entries, ordinals: [segment = 0] } = open();
    const { blobs, values } = entries;
    const at = { segment, offset: 4_096 };
    const blob = entries.put(blobs, keyOf(1), entry({ ...at, sizeBytes: 1_000 }));
    assert.equal(entries.recordBytes(blobs, blob), recordBytes(32, 0, 1_000));
    assert.equal(entries.usedBytes(blobs, blob), recordBytes(32, 0, 1_000));
    const short = entries.put(blobs, keyOf(2, blobTag(md5.wireValue)), entry({ ...at, sizeBytes: 1_000 }));
    assert.equal(entries.recordBytes(blobs, short), recordBytes(16, 0, 1_000));
    const file = entries.put(blobs, keyOf(3), entry({ ...at, sizeBytes: 100_000, isFile: true }));
    assert.equal(entries.recordBytes(blobs, file), recordBytes(32, 0, 0));
    assert.equal(entries.usedBytes(blobs, file), recordBytes(32, 0, 0) + allocatedBytes(100_000));
    const value = entries.put(values, keyOf(4, valueTag('opaque', sha256.wireValue)), entry({ ...at, sizeBytes: 320 }));
    assert.equal(entries.recordBytes(values, value), 320);
  });

  it('counts what is alive, and what was used when, as a plain sum over all entries does', (t) => {
    const random = seededRandom(t);
    const { entries, segments, ordinals, ages, clock } = open();
    const { blobs } = entries;
    for (let step = 0; step < 3_000; step += 1) {
      const key = keyOf(random.integer(0, 60));
      const slot = blobs.find(key);
      const place = { segment: random.pick(ordinals), offset: 8 * random.integer(512, 10_000) };
      switch (random.integer(0, 4)) {
        case 0:
          if (slot !== -1) entries.moveTo(blobs, slot, place.segment, place.offset);
          break;
        case 1:
          if (slot !== -1) entries.remove(blobs, slot);
          break;
        case 2:
          if (slot !== -1) entries.use(blobs, slot, clock.nowS - random.integer(-100, 5_000));
          break;
        default:
          entries.put(blobs, key, entry({ ...place, sizeBytes: random.integer(0, 70_000), isFile: random.fraction() < 0.3, usedAtS: clock.nowS - random.integer(-1_000, 10_000) }));
      }
      if (random.fraction() < 0.1) clock.nowS += random.integer(0, 300);
    }
    const slots = [...Array(blobs.chunkCount).keys()].flatMap((chunk) => [...blobs.slotsOf(chunk)]);
    for (const ordinal of ordinals) {
      const here = slots.filter((slot) => blobs.segmentOf(slot) === ordinal);
      assert.equal(segments.at(ordinal).liveCount, here.length);
      assert.equal(segments.at(ordinal).liveBytes, sum(here, (slot) => entries.recordBytes(blobs, slot)));
    }
    assert.equal(entries.filesCount, slots.filter((slot) => blobs.isFile(slot)).length);
    assert.equal(ages.totalBytes, sum(slots, (slot) => entries.usedBytes(blobs, slot)));
    const leasedFromS = clock.nowS - 3_600 + 1;
    assert.equal(ages.leasedBytes(clock.nowS), sum(slots.filter((slot) => blobs.usedAtS(slot) >= leasedFromS), (slot) => entries.usedBytes(blobs, slot)));
  });

  it('believes no time of use in the future', () => {
    const { entries, ordinals: [segment = 0] } = open();
    const slot = entries.put(entries.blobs, keyOf(1), entry({ segment, offset: 4_096, usedAtS: startS + 1_000_000 }));
    assert.ok(entries.blobs.usedAtS(slot) < startS + 16);
    entries.use(entries.blobs, slot, startS + 1_000_000);
    assert.ok(entries.blobs.usedAtS(slot) < startS + 16);
  });
});

describe('EntryUses', () => {
  function openUses(renewAfterS = 1_200) {
    const { entries, clock, ordinals: [segment = 0] } = open();
    const uses = new EntryUses(entries, renewAfterS);
    const noted: number[] = [];
    uses.begin({ note: (_low, _high, usedAtS) => noted.push(usedAtS) });
    entries.put(entries.blobs, keyOf(1), entry({ segment, offset: 4_096 }));
    const slotOf = (): Slot => entries.blobs.find(keyOf(1));
    return { entries, clock, uses, noted, slotOf, segment };
  }

  it('writes down the first use, and then one for each third of a lease', () => {
    const { entries, clock, uses, noted, slotOf } = openUses();
    for (let second = 0; second <= 3_700; second += 10) {
      clock.nowS = startS + second;
      uses.note(entries.blobs, slotOf(), clock.nowS);
    }
    assert.equal(noted.length, 4, noted.join(', '));
    assert.ok(entries.blobs.usedAtS(slotOf()) >= startS + 2 * 1_200);
  });

  it('marks what is used after it was moved, without writing that down', () => {
    const { entries, clock, uses, noted, slotOf, segment } = openUses();
    uses.note(entries.blobs, slotOf(), clock.nowS);
    entries.moveTo(entries.blobs, slotOf(), segment, 8_192);
    assert.equal(entries.blobs.wasUsed(slotOf()), false);
    uses.note(entries.blobs, slotOf(), clock.nowS + 5);
    assert.equal(entries.blobs.wasUsed(slotOf()), true);
    assert.equal(noted.length, 1);
  });

  it('finds an entry by its key, if there is one', () => {
    const { entries, uses, noted } = openUses();
    for (const number of [1, 2]) uses.noteKey(entries.blobs, keyOf(number).words, keyOf(number).tag, startS);
    assert.equal(noted.length, 1);
  });
});

describe('takeInFiles', () => {
  it('K2-06: places files, and puts them in the order of their uses', () => {
    const { entries, ordinals: [segment = 0] } = open();
    const usedAgo = [500, 20_000, 100, 3_000];
    for (const [number, agoS] of usedAgo.entries()) entries.put(entries.blobs, keyOf(number), entry({ segment, offset: 4_096, sizeBytes: 10_000, isFile: true, usedAtS: startS - agoS }));
    entries.put(entries.blobs, keyOf(10), entry({ segment, offset: 4_096 }));
    const [ledger, order] = [new SpaceLedger({ maxBytes: Infinity, diskFloorBytes: 0 }), new SieveOrder()];
    takeInFiles(entries, ledger, order);
    assert.equal(ledger.bytesOf('files'), 4 * 12_288);
    const met = usedAgo.map(() => order.victim(() => 'take', 10)?.low);
    assert.deepEqual(met, [1, 3, 0, 2].map((number) => number + 1));
    assert.equal(order.count, 0);
  });
});

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}
