// Averages beside lists of all that is in them.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AssertionError } from '../base/assert.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import { SegmentUses } from './segment-uses.ts';

const baseS = 1_800_000_000;

describe('SegmentUses', () => {
  it('is the average over all that is there, whatever came and went', (t) => {
    const random = seededRandom(t);
    const uses = new SegmentUses(baseS);
    const there: { readonly segment: number; readonly bytes: number; readonly usedAtS: number }[] = [];
    for (let count = 0; count < 5_000; count += 1) {
      if (there.length > 0 && random.fraction() < 0.48) {
        const [gone] = there.splice(random.integer(0, there.length - 1), 1);
        assert.ok(gone !== undefined);
        uses.take(gone.segment, gone.bytes, gone.usedAtS);
      } else {
        const one = { segment: random.integer(0, 3), bytes: random.integer(1, 65_000), usedAtS: baseS + random.integer(-30_000_000, 30_000_000) };
        there.push(one);
        uses.add(one.segment, one.bytes, one.usedAtS);
      }
      if (there.length > 0 && random.fraction() < 0.3) {
        const at = random.integer(0, there.length - 1);
        const used = there[at];
        assert.ok(used !== undefined);
        const laterS = random.integer(0, 10_000);
        uses.move(used.segment, used.bytes, laterS);
        there[at] = { ...used, usedAtS: used.usedAtS + laterS };
      }
      const segment = random.integer(0, 3);
      const mine = there.filter((one) => one.segment === segment);
      const bytes = mine.reduce((sum, one) => sum + one.bytes, 0);
      const mean = uses.meanS(segment);
      if (bytes === 0) assert.equal(mean, undefined);
      else assert.ok(Math.abs((mean ?? 0) - mine.reduce((sum, one) => sum + (one.bytes / bytes) * one.usedAtS, 0)) < 0.01);
    }
    for (const { segment, bytes, usedAtS } of there) uses.take(segment, bytes, usedAtS);
    assert.deepEqual([0, 1, 2, 3].map((segment) => uses.meanS(segment)), [undefined, undefined, undefined, undefined]);
  });

  it('takes no more than there is', () => {
    const uses = new SegmentUses(baseS);
    uses.add(1, 100, baseS);
    assert.throws(() => uses.take(1, 101, baseS), AssertionError);
    assert.throws(() => uses.take(2, 1, baseS), AssertionError);
    assert.throws(() => uses.move(1, 101, 1), AssertionError);
    assert.throws(() => uses.move(2, 1, 1), AssertionError);
  });
});
