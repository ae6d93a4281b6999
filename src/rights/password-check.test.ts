// Checks that take a while, played by hand: what is asked, how often, and what is remembered.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { MaybePromise } from '../base/maybe-promise.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { settle } from '../testing/grpc-harness.ts';
import { PasswordCheck, passwordCheckLimits } from './password-check.ts';
import type { PasswordCheckLimits } from './password-check.ts';

const bcryptOf = (cost: string, letter: string): string => `$2b$${cost}$${letter.repeat(53)}`;
const annHash = bcryptOf('05', 'a');
const bobHash = bcryptOf('10', 'b');

/** Passwords are right when they are the letter of the hash. Answers wait for `finish`. */
class Thread {
  readonly asked: { password: string; hash: string }[] = [];
  readonly #open: (() => void)[] = [];

  matches = async (password: string, hash: string): Promise<boolean> => {
    this.asked.push({ password, hash });
    await new Promise<void>((resolve) => this.#open.push(resolve));
    return hash.endsWith(password);
  };

  async finish(): Promise<void> {
    await settle();
    for (const resolve of this.#open.splice(0)) resolve();
    await settle();
  }
}

function open(limits: Partial<PasswordCheckLimits> = {}) {
  const [clock, thread] = [new ManualClock(), new Thread()];
  const random = { bytes: (length: number) => new Uint8Array(length).fill(7) };
  const check = new PasswordCheck({ clock, random, matches: thread.matches }, { ...passwordCheckLimits, ...limits });
  check.replace(new Map([['ann', annHash], ['bob', bobHash]]));
  const ask = (user: string, password: string, connection?: object) => check.check(`${user}:${password}`, { user, password, connection });
  const answer = async (user: string, password: string) => {
    const outcome = ask(user, password);
    await thread.finish();
    return outcome;
  };
  return { clock, thread, check, ask, answer };
}

const all = (outcomes: readonly MaybePromise<boolean>[]): Promise<boolean[]> => Promise.all(outcomes.map(async (outcome) => outcome));

describe('PasswordCheck', () => {
  it('asks once for each header, and answers at once from then on, whether right or wrong', async () => {
    const { thread, ask, answer } = open();
    assert.equal(await answer('ann', 'a'), true);
    assert.equal(await answer('ann', 'x'), false);
    assert.equal(ask('ann', 'a'), true);
    assert.equal(ask('ann', 'x'), false);
    assert.equal(thread.asked.length, 2);
  });

  it('asks once for many calls that come with the same header meanwhile', async () => {
    const { thread, ask } = open();
    const outcomes = Array.from({ length: 100 }, () => ask('ann', 'a'));
    await thread.finish();
    assert.deepEqual(new Set(await all(outcomes)), new Set([true]));
    assert.equal(thread.asked.length, 1);
  });

  it('checks a user that does not exist as long as the costliest one, and refuses even the password of that hash', async () => {
    const { thread, answer } = open();
    assert.equal(await answer('eve', 'b'), false);
    assert.deepEqual(thread.asked, [{ password: 'b', hash: bobHash }]);
  });

  it('refuses at once where nobody has a password', () => {
    const { check, thread, ask } = open();
    check.replace(new Map());
    assert.equal(ask('ann', 'a'), false);
    assert.equal(thread.asked.length, 0);
  });

  it('forgets what it knew when the users are replaced, and keeps no outcome of the time before', async () => {
    const { check, thread, ask, answer } = open();
    assert.equal(await answer('ann', 'a'), true);
    const old = ask('ann', 'x');
    check.replace(new Map([['ann', bcryptOf('05', 'x')]]));
    await thread.finish();
    assert.equal(await old, false);
    assert.equal(await answer('ann', 'a'), false);
    assert.equal(await answer('ann', 'x'), true);
  });

  it('checks one at a time, lets a few wait, and sends the others away with a time to come back', async () => {
    const { thread, ask } = open({ waitingMax: 2 });
    const outcomes = ['a', 'b', 'c'].map((password) => ask('ann', password));
    await settle();
    assert.equal(thread.asked.length, 1);
    await assert.rejects(async () => ask('ann', 'd'), { code: 'unavailable', details: [{ kind: 'retry_after', delayMs: 250 }] });
    for (let round = 0; round < outcomes.length; round += 1) await thread.finish();
    assert.deepEqual(await all(outcomes), [true, false, false]);
  });

  it('slows down whoever guesses the password of one user, and nobody else', async () => {
    const { clock, thread, ask, answer } = open({ burst: 3, refillMs: 2_000 });
    for (const password of ['1', '2', '3']) assert.equal(await answer('ann', password), false);
    assert.throws(() => ask('ann', '4'), { code: 'unavailable', details: [{ kind: 'retry_after', delayMs: 2_000 }] });
    assert.throws(() => ask('ann', 'a'), { code: 'unavailable' }, 'nor is the right one found out by trying on');
    assert.equal(await answer('bob', 'b'), true);
    clock.advance(1_999);
    assert.throws(() => ask('ann', '4'), { code: 'unavailable', details: [{ kind: 'retry_after', delayMs: 1 }] });
    clock.advance(1);
    assert.equal(await answer('ann', 'a'), true);
    assert.equal(thread.asked.length, 5);
  });

  it('does the same for a name that does not exist, so that nothing tells them apart', async () => {
    const { ask, answer } = open({ burst: 2 });
    for (const password of ['1', '2']) assert.equal(await answer('eve', password), false);
    assert.throws(() => ask('eve', '3'), { code: 'unavailable' });
  });

  it('counts no right password, and no check that came to no end', async () => {
    const { answer } = open({ burst: 1, rememberedMax: 1 });
    for (const user of ['ann', 'bob', 'ann', 'bob']) assert.equal(await answer(user, user === 'ann' ? 'a' : 'b'), true);
    const broken = new PasswordCheck(
      { clock: new ManualClock(), random: { bytes: (length) => new Uint8Array(length) }, matches: () => Promise.reject(new Error('no thread')) },
      { ...passwordCheckLimits, burst: 1 },
    );
    broken.replace(new Map([['ann', annHash]]));
    for (let attempt = 0; attempt < 3; attempt += 1) await assert.rejects(async () => broken.check('h', { user: 'ann', password: 'a' }), { message: 'no thread' });
  });

  it('remembers a bounded number, and wrong headers never push out right ones', async () => {
    const { thread, ask, answer } = open({ rememberedMax: 2, burst: 100 });
    assert.equal(await answer('ann', 'a'), true);
    for (const password of ['1', '2', '3', '4']) assert.equal(await answer('bob', password), false);
    assert.equal(ask('ann', 'a'), true);
    const before = thread.asked.length;
    assert.equal(await answer('bob', '1'), false);
    assert.equal(thread.asked.length, before + 1, 'forgotten');
  });

  it('lets one connection have so many checks at a time, and no other wait for it', async () => {
    const { thread, ask } = open({ connectionChecksMax: 2, waitingMax: 3 });
    const [stranger, other] = [{}, {}];
    const guesses = [ask('kim', 'x', stranger), ask('lee', 'x', stranger)];
    assert.throws(() => ask('max', 'x', stranger), { code: 'unavailable' });
    const known = ask('ann', 'a', other);
    for (let turn = 0; turn < 3; turn += 1) await thread.finish();
    assert.deepEqual(await all([...guesses, known]), [false, false, true]);
    const again = ask('max', 'x', stranger);
    await thread.finish();
    assert.equal(await again, false, 'there is room again');
  });
});
