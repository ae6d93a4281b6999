// When another try is made, and when not.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CacheError } from '../base/cache-error.ts';
import type { Code } from '../base/failures.ts';
import type { Random } from '../base/random.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { Retries } from './retries.ts';

const limits = { attemptsMax: 4, firstDelayMs: 100, delayMsMax: 1_000, savedRetriesMax: 3, savedPerSuccess: 0.5 };
/** Just below the whole wait. */
const longest: Random = { bytes: (length) => new Uint8Array(length).fill(255) };
const failure = (code: Code, delayMs?: number): CacheError =>
  new CacheError(code, 'as planned', { details: delayMs === undefined ? [] : [{ kind: 'retry_after', delayMs }] });

/** Calls that fail as listed and then succeed, with the times at which each try was made. */
function planned(failures: readonly CacheError[]) {
  const clock = new ManualClock(0);
  const triedAtMs: number[] = [];
  const attempt = async (): Promise<string> => {
    triedAtMs.push(Math.round(clock.nowMs()));
    const planned = failures[triedAtMs.length - 1];
    if (planned !== undefined) throw planned;
    return 'done';
  };
  return { clock, triedAtMs, attempt };
}

/** Lets time pass as long as somebody waits for it. */
async function settle<T>(clock: ManualClock, running: Promise<T>): Promise<T> {
  let over = false;
  running.then(() => (over = true), () => (over = true));
  for (let turn = 0; !over && turn < 1_000; turn += 1) {
    await Promise.resolve();
    if (clock.pendingTimers > 0) clock.advance(10);
  }
  return running;
}

describe('Retries', () => {
  it('tries again what may pass, after waits that double', async () => {
    const { clock, triedAtMs, attempt } = planned([failure('unavailable'), failure('deadline_exceeded'), failure('unavailable')]);
    assert.equal(await settle(clock, new Retries(clock, longest, limits).run(attempt)), 'done');
    assert.deepEqual(triedAtMs, [0, 100, 300, 700]);
  });

  it('gives up after the last try, with its failure', async () => {
    const last = failure('unavailable');
    const { clock, triedAtMs, attempt } = planned([failure('unavailable'), failure('unavailable'), failure('unavailable'), last]);
    await assert.rejects(settle(clock, new Retries(clock, longest, limits).run(attempt)), last);
    assert.equal(triedAtMs.length, 4);
  });

  it('waits as long as the server asks for, and not at all when that is too long', async () => {
    const patient = planned([failure('unavailable', 500)]);
    await settle(patient.clock, new Retries(patient.clock, longest, limits).run(patient.attempt));
    assert.deepEqual(patient.triedAtMs, [0, 600]);
    const impatient = planned([failure('unavailable', 1_001)]);
    await assert.rejects(settle(impatient.clock, new Retries(impatient.clock, longest, limits).run(impatient.attempt)), { code: 'unavailable' });
    assert.deepEqual(impatient.triedAtMs, [0]);
  });

  for (const code of ['invalid_argument', 'permission_denied', 'unauthenticated', 'resource_exhausted', 'data_loss', 'internal', 'cancelled'] as const) {
    it(`does not try again what is ${code}`, async () => {
      const { clock, triedAtMs, attempt } = planned([failure(code)]);
      await assert.rejects(settle(clock, new Retries(clock, longest, limits).run(attempt)), { code });
      assert.deepEqual(triedAtMs, [0]);
    });
  }

  it('does not repeat what cannot be sent again', async () => {
    const { clock, triedAtMs, attempt } = planned([failure('unavailable')]);
    await assert.rejects(settle(clock, new Retries(clock, longest, limits).run(attempt, { isRepeatable: () => false })), { code: 'unavailable' });
    assert.equal(triedAtMs.length, 1);
  });

  it('leaves a server alone that fails always, and comes back as calls go well', async () => {
    const clock = new ManualClock(0);
    const retries = new Retries(clock, longest, limits);
    let tries = 0;
    const failing = async (): Promise<never> => {
      tries += 1;
      throw failure('unavailable');
    };
    for (let call = 0; call < 5; call += 1) await assert.rejects(settle(clock, retries.run(failing)));
    assert.equal(tries, 5 + limits.savedRetriesMax);
    for (let call = 0; call < 2; call += 1) await retries.run(async () => 'fine');
    tries = 0;
    await assert.rejects(settle(clock, retries.run(failing)));
    assert.equal(tries, 2, 'two calls that went well allow for one retry');
  });

  it('ends the wait when it is cancelled', async () => {
    const { clock, triedAtMs, attempt } = planned([failure('unavailable')]);
    const abort = new AbortController();
    const running = new Retries(clock, longest, limits).run(attempt, { signal: abort.signal });
    await Promise.resolve();
    await Promise.resolve();
    abort.abort();
    await assert.rejects(running, { code: 'cancelled' });
    assert.deepEqual([triedAtMs, clock.pendingTimers], [[0], 0]);
  });
});
