// One report per period, and the count of the others.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ManualClock } from '../testing/manual-clock.ts';
import { ReportLimit } from './report-limit.ts';

describe('ReportLimit', () => {
  it('lets one through per period and tells the next how many were held back', () => {
    const clock = new ManualClock();
    const limit = new ReportLimit(clock, 1_000);
    assert.deepEqual([limit.next(), limit.next(), limit.next()], [0, undefined, undefined]);
    clock.advance(999);
    assert.equal(limit.next(), undefined);
    clock.advance(1);
    assert.equal(limit.next(), 3);
    clock.advance(1_000);
    assert.equal(limit.next(), 0);
  });
});
