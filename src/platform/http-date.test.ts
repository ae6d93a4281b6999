// The date header: format and when it is made anew.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { ManualClock } from '../testing/manual-clock.ts';
import { createHttpDate } from './http-date.ts';

it('writes the date of RFC 9110 §5.6.7 and follows the clock by the second', () => {
  const clock = new ManualClock(784_111_777_000);
  const date = createHttpDate(clock);
  assert.equal(date(), 'Sun, 06 Nov 1994 08:49:37 GMT');
  clock.advance(999);
  assert.equal(date(), 'Sun, 06 Nov 1994 08:49:37 GMT');
  clock.advance(1);
  assert.equal(date(), 'Sun, 06 Nov 1994 08:49:38 GMT');
});
