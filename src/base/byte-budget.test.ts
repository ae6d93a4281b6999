// The budget alone: what is taken is given back, the line keeps its order, and nobody waits for ever.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { seededRandom } from '../testing/seeded-random.ts';
import { ByteBudget, HeldBytes, unboundedByteBudget } from './byte-budget.ts';
import type { RoomWaiter } from './byte-budget.ts';
import type { CacheError } from './cache-error.ts';

const mebibyte = 1024 * 1024;

/** Of 8 MiB: 6 to reserve, growth up to 7. */
function budgetOf8(waitersMax = 10): ByteBudget {
  return new ByteBudget({ maxBytes: 8 * mebibyte, waitersMax });
}

/** What was scheduled has run. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

class RecordedWaiter implements RoomWaiter {
  outcome: 'waits' | 'has room' | CacheError = 'waits';
  readonly wantedBytes: number;
  readonly heldBytes: number;

  constructor(wantedBytes: number, heldBytes = 0) {
    this.wantedBytes = wantedBytes;
    this.heldBytes = heldBytes;
  }

  onRoom(): void {
    this.outcome = 'has room';
  }

  onRefused(error: CacheError): void {
    this.outcome = error;
  }
}

describe('byte budget', () => {
  it('gives reservations up to three quarters, and takes whatever has come', () => {
    const budget = budgetOf8();
    assert.equal(budget.tryReserve(6 * mebibyte), true);
    assert.equal(budget.tryReserve(mebibyte), false);
    budget.take(mebibyte);
    assert.equal(budget.usedBytes, 7 * mebibyte);
    assert.equal(budget.refusesGrowth, true);
    assert.equal(budget.isExhausted, false);
  });

  it('lets a little pass while large ones wait, as long as anything is read', () => {
    const budget = budgetOf8();
    budget.take(6 * mebibyte);
    budget.enterLine(new RecordedWaiter(mebibyte));
    assert.equal(budget.tryReserve(64 * 1024), true);
    assert.equal(budget.tryReserve(64 * 1024 + 1), false);
    budget.take(2 * mebibyte);
    assert.equal(budget.tryReserve(1), false);
  });

  it('has room for more than can be reserved when nothing else is held', () => {
    const budget = budgetOf8();
    assert.equal(budget.tryReserve(7 * mebibyte), true);
    budget.give(7 * mebibyte);
    budget.take(1);
    assert.equal(budget.tryReserve(7 * mebibyte), false);
  });

  it('serves the line in order, none before the one in front of it', async () => {
    const budget = budgetOf8();
    budget.take(6 * mebibyte);
    const [large, small] = [new RecordedWaiter(4 * mebibyte), new RecordedWaiter(mebibyte)];
    budget.enterLine(large);
    budget.enterLine(small);
    budget.give(2 * mebibyte);
    await turn();
    assert.deepEqual([large.outcome, small.outcome], ['waits', 'waits']);
    budget.give(2 * mebibyte);
    await turn();
    assert.deepEqual([large.outcome, small.outcome], ['has room', 'waits']);
    budget.give(mebibyte);
    await turn();
    assert.equal(small.outcome, 'has room');
    assert.equal(budget.usedBytes, 6 * mebibyte);
  });

  it('serves who stood behind one that leaves', async () => {
    const budget = budgetOf8();
    budget.take(5 * mebibyte);
    const [large, small] = [new RecordedWaiter(4 * mebibyte), new RecordedWaiter(mebibyte)];
    budget.enterLine(large);
    budget.enterLine(small);
    await turn();
    assert.equal(small.outcome, 'waits');
    assert.equal(budget.tryReserve(mebibyte), false, 'who comes later does not overtake either');
    budget.leaveLine(large);
    await turn();
    assert.deepEqual([large.outcome, small.outcome], ['waits', 'has room']);
  });

  it('ERR-4: refuses who has waited for so many looks, and who finds the line full, with a delay to come again', () => {
    const budget = budgetOf8(1);
    budget.take(6 * mebibyte);
    const waiter = new RecordedWaiter(mebibyte);
    budget.enterLine(waiter);
    assert.throws(() => budget.enterLine(new RecordedWaiter(mebibyte)), { code: 'unavailable', details: [{ kind: 'retry_after', delayMs: 5_000 }] });
    budget.look(1);
    assert.equal(waiter.outcome, 'waits');
    budget.look(1);
    assert.equal((waiter.outcome as unknown as CacheError).code, 'unavailable');
    assert.equal(budget.waiterCount, 0);
    assert.equal(budget.refusedCount, 2);
  });

  it('forgets who leaves the line because another one is refused', async () => {
    const budget = budgetOf8();
    budget.take(6 * mebibyte);
    const [elder, younger] = [new RecordedWaiter(mebibyte), new RecordedWaiter(mebibyte)];
    elder.onRefused = () => budget.leaveLine(younger);
    budget.enterLine(elder);
    budget.look(1);
    budget.enterLine(younger);
    budget.look(1);
    budget.give(6 * mebibyte);
    await turn();
    assert.deepEqual([budget.waiterCount, younger.outcome, budget.usedBytes], [0, 'waits', 0]);
  });

  it('refuses who holds something while it waits, the youngest first, and no more than needed', () => {
    const budget = budgetOf8();
    budget.take(8 * mebibyte - 1);
    const waiters = [1, 1, 0, 1].map((held) => new RecordedWaiter(mebibyte, held * mebibyte));
    for (const waiter of waiters) budget.enterLine(waiter);
    for (const waiter of waiters) waiter.onRefused = (error) => ((waiter.outcome = error), budget.give(waiter.heldBytes));
    budget.refuseHolders();
    assert.deepEqual(waiters.map(({ outcome }) => outcome === 'waits'), [true, true, true, false]);
    budget.take(mebibyte);
    budget.refuseHolders();
    assert.deepEqual(waiters.map(({ outcome }) => outcome === 'waits'), [true, false, true, false]);
  });

  it('stops who reads when all is used, and lets them go on well below, in a turn of its own', async () => {
    const budget = budgetOf8();
    const heard: string[] = [];
    const watch = budget.watch({ onExhausted: () => heard.push('stop'), onRelief: () => heard.push('go') });
    budget.take(8 * mebibyte);
    assert.deepEqual(heard, ['stop']);
    budget.take(1);
    budget.give(1);
    budget.give(mebibyte);
    await turn();
    assert.deepEqual(heard, ['stop']);
    budget.give(1);
    assert.deepEqual(heard, ['stop'], 'not from within give');
    await turn();
    assert.deepEqual(heard, ['stop', 'go']);
    watch[Symbol.dispose]();
    budget.take(8 * mebibyte);
    assert.deepEqual(heard, ['stop', 'go']);
  });

  it('tells a reader that comes when all is used to wait', async () => {
    const budget = budgetOf8();
    budget.take(8 * mebibyte);
    let stopped = false;
    budget.watch({ onExhausted: () => (stopped = true), onRelief: () => {} });
    assert.equal(stopped, true);
    let relieved = false;
    const relief = budget.relief().then(() => (relieved = true));
    await turn();
    assert.equal(relieved, false);
    budget.give(8 * mebibyte);
    await relief;
  });

  it('tells when somebody begins to wait', () => {
    const budget = budgetOf8();
    let told = 0;
    budget.notifyPressure(() => (told += 1));
    budget.take(6 * mebibyte);
    budget.enterLine(new RecordedWaiter(mebibyte));
    assert.equal(told, 1);
    budget.take(mebibyte);
    assert.equal(told, 2, 'requests may not grow');
    budget.take(1);
    assert.equal(told, 2);
    budget.take(mebibyte);
    assert.equal(told, 3, 'nothing is read');
  });

  it('ends a wait by its signal, and takes nothing for it', async () => {
    const budget = budgetOf8();
    budget.take(6 * mebibyte);
    const controller = new AbortController();
    const waiting = budget.reserve(mebibyte, { signal: controller.signal });
    controller.abort();
    await assert.rejects(waiting, { code: 'cancelled' });
    assert.equal(budget.waiterCount, 0);
    await assert.rejects(budget.reserve(mebibyte, { signal: controller.signal }), { code: 'cancelled' });
    assert.equal(budget.usedBytes, 6 * mebibyte);
  });

  it('refuses nothing without a bound', () => {
    const budget = unboundedByteBudget();
    budget.take(1e15);
    assert.equal(budget.tryReserve(1e15), true);
    assert.equal(budget.refusesGrowth || budget.isExhausted, false);
    assert.equal(budget.usedBytes, 2e15);
  });

  it('takes it for a mistake when more is given than was taken', () => {
    const budget = budgetOf8();
    budget.take(1);
    assert.throws(() => budget.give(2));
  });
});

describe('held bytes', () => {
  it('takes and gives the difference, and all of it at the end', () => {
    const budget = budgetOf8();
    const held = new HeldBytes(budget);
    for (const bytes of [5, 9, 2, 2]) {
      held.set(bytes);
      assert.equal(budget.usedBytes, bytes);
    }
    assert.equal(budget.tryReserve(3), true);
    held.adopt(3);
    held[Symbol.dispose]();
    held[Symbol.dispose]();
    assert.equal(budget.usedBytes, 0);
  });
});

/** A client in the simulation below: asks for one reservation after the other and ends each in one way or another. */
class SimulatedCall {
  readonly #budget: ByteBudget;
  readonly #bytes: number;
  state: 'new' | 'in line' | 'holds' | 'done' = 'new';
  waiter: RoomWaiter | undefined;

  constructor(budget: ByteBudget, bytes: number) {
    this.#budget = budget;
    this.#bytes = bytes;
  }

  begin(): void {
    if (this.#budget.tryReserve(this.#bytes)) {
      this.state = 'holds';
      return;
    }
    this.state = 'in line';
    this.waiter = { wantedBytes: this.#bytes, heldBytes: 0, onRoom: () => (this.state = 'holds'), onRefused: () => (this.state = 'done') };
    this.#budget.enterLine(this.waiter);
  }

  end(): void {
    if (this.state === 'holds') this.#budget.give(this.#bytes);
    else if (this.waiter !== undefined) this.#budget.leaveLine(this.waiter);
    this.state = 'done';
  }
}

describe('byte budget under random schedules', () => {
  it('lets every call end: holders end by themselves or are ended, and who waits gets room or is refused', async (t) => {
    const random = seededRandom(t);
    for (let round = 0; round < 20; round += 1) {
      const budget = budgetOf8(200);
      const calls = Array.from({ length: 150 }, () => new SimulatedCall(budget, random.integer(1, 2 * mebibyte)));
      for (let step = 0; calls.some(({ state }) => state !== 'done'); step += 1) {
        assert.ok(step < 20_000, `round ${round}: ${budget.usedBytes} bytes are held, ${budget.waiterCount} wait`);
        const call = calls[random.integer(0, calls.length - 1)];
        assert.ok(call !== undefined);
        if (call.state === 'new') call.begin();
        else if (call.state === 'holds' || random.integer(0, 9) === 0) call.end();
        if (random.integer(0, 99) === 0) budget.look(3);
        if (random.integer(0, 3) === 0) await Promise.resolve();
        assert.ok(budget.usedBytes <= 8 * mebibyte);
      }
      await turn();
      assert.equal(budget.usedBytes, 0);
      assert.equal(budget.waiterCount, 0);
    }
  });

  it('holds to the order of the line whatever happens around it', async (t) => {
    const random = seededRandom(t);
    const budget = budgetOf8(100);
    budget.take(6 * mebibyte);
    const served: number[] = [];
    const waiters = Array.from({ length: 50 }, (_, index): RoomWaiter => {
      const wantedBytes = random.integer(64 * 1024 + 1, mebibyte);
      return { wantedBytes, heldBytes: 0, onRoom: () => (served.push(index), budget.give(wantedBytes)), onRefused: () => assert.fail('nobody looks') };
    });
    for (const waiter of waiters) budget.enterLine(waiter);
    for (let left = 6 * mebibyte; left > 0; ) {
      const bytes = Math.min(left, random.integer(1, mebibyte));
      budget.give(bytes);
      left -= bytes;
      if (random.integer(0, 1) === 0) await turn();
    }
    await turn();
    assert.deepEqual(served, Array.from({ length: 50 }, (_, index) => index));
    assert.equal(budget.usedBytes, 0);
  });
});
