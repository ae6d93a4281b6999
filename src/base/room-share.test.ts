// What one connection may reserve of the byte budget, and what becomes of the others beside one that holds all it can.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { seededRandom } from '../testing/seeded-random.ts';
import { ByteBudget } from './byte-budget.ts';
import type { RoomWaiter } from './byte-budget.ts';
import { RoomShare } from './room-share.ts';

/** A message that wants room. */
class Message implements RoomWaiter {
  readonly heldBytes = 10;
  readonly wantedBytes: number;
  state: 'new' | 'waiting' | 'admitted' | 'refused' | 'gone' = 'new';
  readonly #share: RoomShare;
  readonly #budget: ByteBudget;

  constructor(share: RoomShare, budget: ByteBudget, wantedBytes: number) {
    this.#share = share;
    this.#budget = budget;
    this.wantedBytes = wantedBytes;
  }
  enter(): this {
    this.state = this.#share.enter(this) ? 'admitted' : 'waiting';
    return this;
  }
  onRoom(): void {
    assert.equal(this.state, 'waiting');
    this.state = 'admitted';
  }
  onRefused(): void {
    this.leave();
    this.state = 'refused';
  }
  leave(): void {
    this.#budget.leaveLine(this);
    if (this.state === 'admitted') this.#budget.give(this.wantedBytes);
    this.#share.leave(this);
    this.state = 'gone';
  }
}

function connection(budget: ByteBudget): (bytes: number) => Message {
  const share = new RoomShare(budget);
  return (bytes) => new Message(share, budget, bytes).enter();
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const mebibyte = 1024 * 1024;

describe('the share of a connection', () => {
  it('K6-09: keeps one connection that lets large messages trickle in from holding all the room', async () => {
    const budget = new ByteBudget({ maxBytes: 64 * mebibyte, waitersMax: 1_000 });
    const [attacker, other] = [connection(budget), connection(budget)];
    const held = Array.from({ length: 100 }, () => attacker(8 * mebibyte));
    await settled();
    assert.equal(held.filter(({ state }) => state === 'admitted').length, 2);
    assert.equal(budget.isPressed, false, 'who waits for its own connection puts nobody under pressure');
    assert.equal(other(8 * mebibyte).state, 'admitted');
    assert.equal(other(8 * mebibyte).state, 'admitted');
  });

  it('goes to the next message in the order of asking, and may be passed by one message alone', async () => {
    const budget = new ByteBudget({ maxBytes: 1_000_000, waitersMax: 10 });
    const ask = connection(budget);
    const large = ask(600_000);
    assert.equal(large.state, 'admitted', 'it would never be otherwise');
    const waiting = [ask(100_000), ask(100_000), ask(100_000)];
    assert.deepEqual(waiting.map(({ state }) => state), ['waiting', 'waiting', 'waiting']);
    large.leave();
    await settled();
    assert.deepEqual(waiting.map(({ state }) => state), ['admitted', 'admitted', 'waiting']);
    waiting[1]?.leave();
    await settled();
    assert.equal(waiting[2]?.state, 'admitted');
  });

  it('refuses who is held back and holds something when memory is used up, and who is too many', async () => {
    const budget = new ByteBudget({ maxBytes: 1_000_000, waitersMax: 3 });
    const ask = connection(budget);
    ask(250_000);
    const waiting = [ask(100_000), ask(100_000), ask(100_000)];
    assert.throws(() => ask(100_000), { code: 'unavailable' });
    budget.take(750_000);
    budget.refuseHolders();
    assert.deepEqual(waiting.map(({ state }) => state), ['refused', 'refused', 'refused']);
    budget.give(750_000);
    await settled();
    assert.equal(budget.usedBytes, 250_000);
  });

  it('leaves nothing behind, whatever comes and goes in whatever order', async (t) => {
    const random = seededRandom(t);
    const budget = new ByteBudget({ maxBytes: 1_000_000, waitersMax: 1_000 });
    const connections = [connection(budget), connection(budget), connection(budget)];
    const messages: Message[] = [];
    for (let round = 0; round < 2_000; round += 1) {
      const [message] = messages.length > 20 || random.integer(0, 1) === 0 ? messages.splice(random.integer(0, Math.max(0, messages.length - 1)), 1) : [];
      if (message !== undefined) message.leave();
      else messages.push(random.pick(connections)(random.integer(1, 300_000)));
      if (random.integer(0, 3) === 0) await settled();
      assert.ok(budget.usedBytes <= 750_000 + 20 * 65_536, 'small ones may pass the line');
    }
    while (messages.length > 0) {
      await settled();
      const index = messages.findIndex(({ state }) => state === 'admitted');
      assert.ok(index >= 0, 'while something waits, something else has room');
      messages.splice(index, 1)[0]?.leave();
    }
    assert.equal(budget.usedBytes, 0);
    assert.equal(budget.waiterCount, 0);
  });
});
