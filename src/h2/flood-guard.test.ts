// The budget of frames that ask for nothing.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { ManualClock } from '../testing/manual-clock.ts';
import { ConnectionError, errorCode } from './error-code.ts';
import { FloodGuard } from './flood-guard.ts';

it('HT-12: lets a burst pass, refuses one more, and forgives with time', () => {
  const clock = new ManualClock();
  const guard = new FloodGuard(clock, { idleFramesBurst: 3, idleFramesPerSecond: 2 });
  const spend = () => guard.spend('PING');
  const calm = (thrown: unknown) => thrown instanceof ConnectionError && thrown.code === errorCode.enhanceYourCalm;
  spend();
  spend();
  spend();
  assert.throws(spend, calm);
  clock.advance(500);
  spend();
  assert.throws(spend, calm);
  clock.advance(1_000_000); // saves up a burst, not more
  spend();
  spend();
  spend();
  assert.throws(spend, calm);
});

it('HT-12: takes what costs more for so many more', () => {
  const clock = new ManualClock();
  const guard = new FloodGuard(clock, { idleFramesBurst: 10, idleFramesPerSecond: 1 });
  guard.spend('a long list', undefined, 6);
  assert.throws(() => guard.spend('a long list', undefined, 6), (thrown: unknown) => thrown instanceof ConnectionError && thrown.flood === 'a long list');
  clock.advance(2_000);
  guard.spend('a long list', undefined, 6);
});
