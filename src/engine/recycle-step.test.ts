// What becomes of one record, and that copies stay within what is allowed.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { seededRandom } from '../testing/seeded-random.ts';
import type { RecordKind } from './record-codec.ts';
import { recordKinds } from './record-codec.ts';
import { CopyAllowance, recycleStep } from './recycle-step.ts';
import type { RecycleBudget, RecycledEntry } from './recycle-step.ts';

const budget: RecycleBudget = { keepFromS: 1_000, copiedBytes: 0, copiedBytesMax: 500, dropsLeft: Infinity, recordBytesMax: 100 };
const old: RecycledEntry = { usedAtS: 999, wasUsed: false, isPinned: false };
const contents: readonly RecordKind[] = ['blob', 'actionResult', 'opaque'];

function step(kind: RecordKind, entry: RecycledEntry | undefined, more: Partial<RecycleBudget> = {}) {
  return recycleStep({ kind, bytes: 100, isUploading: false }, entry, { ...budget, ...more });
}

describe('recycleStep', () => {
  for (const kind of contents) {
    it(`K2-14: keeps a ${kind} that is leased or pinned, whatever was copied already`, () => {
      assert.equal(step(kind, { ...old, usedAtS: 1_000 }, { copiedBytes: 9_999 }), 'copy');
      assert.equal(step(kind, { ...old, isPinned: true }, { copiedBytes: 9_999 }), 'copy');
    });

    it(`gives a ${kind} that was used another round as long as there is room for that, and drops others`, () => {
      assert.equal(step(kind, { ...old, wasUsed: true }, { copiedBytes: 400 }), 'copy');
      assert.equal(step(kind, { ...old, wasUsed: true }, { copiedBytes: 401 }), 'drop');
      assert.equal(step(kind, old), 'drop');
      assert.equal(step(kind, undefined), 'dead');
    });

    it(`drops a ${kind} that is too long for the segments of today, whatever was promised`, () => {
      assert.equal(step(kind, { usedAtS: 1_000, wasUsed: true, isPinned: true }, { dropsLeft: 0, recordBytesMax: 99 }), 'drop');
      assert.equal(step(kind, undefined, { recordBytesMax: 99 }), 'dead');
    });

    it(`K2-13: drops no ${kind} more than it may`, () => assert.equal(step(kind, old, { dropsLeft: 0 }), 'copy'));
  }

  it('never drops a file for the age of its commit', () => {
    assert.equal(step('commit', old), 'copy');
    assert.equal(step('commit', undefined), 'dead');
  });

  it('keeps an intent for as long as its upload runs', () => {
    assert.equal(recycleStep({ kind: 'intent', bytes: 88, isUploading: true }, undefined, budget), 'copy');
    assert.equal(recycleStep({ kind: 'intent', bytes: 88, isUploading: false }, undefined, budget), 'dead');
  });

  it('copies no tombstone: behind a newer commit it would remove that', () => {
    for (const kind of ['tombstone', 'touches', 'seal'] as const) assert.equal(step(kind, undefined), 'dead');
  });

  it('drops nothing but what is neither promised nor used', (t) => {
    const random = seededRandom(t);
    const kinds = Object.keys(recordKinds) as readonly RecordKind[];
    for (let count = 0; count < 5_000; count += 1) {
      const kind = random.pick(kinds);
      const entry = random.fraction() < 0.2 ? undefined : { usedAtS: random.integer(900, 1_100), wasUsed: random.fraction() < 0.5, isPinned: random.fraction() < 0.2 };
      const copiedBytes = random.integer(0, 600);
      if (step(kind, entry, { copiedBytes }) !== 'drop') continue;
      assert.ok(contents.includes(kind) && entry !== undefined);
      assert.ok(!entry.isPinned && entry.usedAtS < budget.keepFromS && (!entry.wasUsed || copiedBytes + 100 > budget.copiedBytesMax));
    }
  });
});

describe('CopyAllowance', () => {
  it('lets no more than half be copied in the long run, however what is promised stands among what is used', (t) => {
    const random = seededRandom(t);
    for (let run = 0; run < 50; run += 1) {
      const [segments, rounds, segmentBytes] = [random.integer(2, 30), 20, 1_000];
      // Promised bytes of each segment: half of the stream in all, in any way.
      const promised = Array.from({ length: segments }, () => 0);
      for (let left = (segments * segmentBytes) / 2; left > 0; ) {
        const at = random.integer(0, segments - 1);
        const more = Math.min(left, random.integer(0, segmentBytes - (promised[at] ?? 0)));
        promised[at] = (promised[at] ?? 0) + more;
        left -= more;
      }
      const allowance = new CopyAllowance();
      let copied = 0;
      for (let segment = 0; segment < rounds * segments; segment += 1) {
        const most = allowance.begin(segmentBytes);
        const must = promised[segment % segments] ?? 0;
        // All else was used. It stands in front of what is promised, where it takes most.
        const kept = Math.max(0, Math.min(most, segmentBytes - must));
        copied += kept + must;
        allowance.end(kept + must, segments * segmentBytes);
      }
      const whole = rounds * segments * segmentBytes;
      assert.ok(copied <= whole / 2 + segments * segmentBytes, `${copied} of ${whole} bytes were copied`);
    }
  });

  it('lets half of each segment be copied where nothing is promised', () => {
    const allowance = new CopyAllowance();
    for (let segment = 0; segment < 5; segment += 1) {
      assert.equal(allowance.begin(1_000), 500);
      allowance.end(500, 10_000);
    }
  });

  it('forgets what was copied beyond half of the stream', () => {
    const allowance = new CopyAllowance();
    for (let segment = 0; segment < 100; segment += 1) {
      allowance.begin(1_000);
      allowance.end(1_000, 4_000);
    }
    let segments = 1;
    while (allowance.begin(1_000) < 500) segments += 1;
    assert.ok(segments <= 5);
  });
});
