// The keeper: looks only while somebody waits, ends what stands still as far as needed, and says so.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ByteBudget } from '../base/byte-budget.ts';
import type { RoomWaiter } from '../base/byte-budget.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { RecordedLog } from '../testing/recorded-log.ts';
import { RecordedMeter } from '../testing/recorded-meter.ts';
import { ByteBudgetKeeper, createByteBudget } from './byte-budget.ts';

const mebibyte = 1024 * 1024;
const patienceMs = 5_000;

/** A keeper of 8 MiB with one holder of `heldBytes`, which stands still. */
class Kept implements Disposable {
  readonly clock = new ManualClock();
  readonly log = new RecordedLog();
  readonly meter = new RecordedMeter();
  readonly budget = new ByteBudget({ maxBytes: 8 * mebibyte, waitersMax: 10 });
  readonly keeper: ByteBudgetKeeper;
  /** One per look, and whether something might be ended at it. */
  readonly looks: boolean[] = [];
  heldBytes: number;

  constructor(heldBytes: number) {
    const evictor = { evictStalled: (isEnough: () => boolean) => this.#look(isEnough) };
    this.keeper = new ByteBudgetKeeper(this.budget, { patienceMs }, { evictors: () => [evictor], clock: this.clock, timers: this.clock, log: this.log, meter: this.meter });
    this.heldBytes = heldBytes;
    this.budget.take(heldBytes);
  }

  [Symbol.dispose](): void {
    this.keeper[Symbol.dispose]();
  }

  /** Each look that may end something ends 1 MiB. */
  #look(isEnough: () => boolean): number {
    this.looks.push(!isEnough());
    if (isEnough() || this.heldBytes === 0) return 0;
    this.heldBytes -= mebibyte;
    this.budget.give(mebibyte);
    return 1;
  }
}

class Waiter implements RoomWaiter {
  outcome = 'waits';
  readonly wantedBytes: number;
  readonly heldBytes: number;

  constructor(wantedBytes: number, heldBytes = 0) {
    this.wantedBytes = wantedBytes;
    this.heldBytes = heldBytes;
  }

  onRoom(): void {
    this.outcome = 'has room';
  }

  onRefused(): void {
    this.outcome = 'refused';
  }
}

/** What was scheduled has run. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

describe('keeper of the byte budget', () => {
  it('does nothing while nobody waits', () => {
    using kept = new Kept(5 * mebibyte);
    assert.equal(kept.clock.pendingTimers, 0);
    kept.clock.advance(60_000);
    assert.deepEqual(kept.looks, []);
  });

  it('notes at once where everybody is, and after some patience ends who has not moved, until there is enough', async () => {
    using kept = new Kept(6 * mebibyte);
    const waiter = new Waiter(2 * mebibyte);
    kept.budget.enterLine(waiter);
    kept.clock.advance(0);
    assert.deepEqual(kept.looks, [false]);
    kept.clock.advance(patienceMs - 1);
    assert.deepEqual(kept.looks, [false]);
    kept.clock.advance(1);
    kept.clock.advance(patienceMs);
    assert.deepEqual(kept.looks, [false, true, true]);
    await turn();
    assert.equal(waiter.outcome, 'has room');
    kept.clock.advance(10 * patienceMs);
    assert.equal(kept.looks.length, 3);
    assert.equal(kept.clock.pendingTimers, 0);
    assert.match(kept.log.lines.join('\n'), /large requests and answers wait for memory.*limits\.buffered-bytes.*limits\.connections/);
  });

  it('ERR-4: refuses who has waited for too long for what does not come', () => {
    using kept = new Kept(0);
    kept.budget.take(6 * mebibyte); // by somebody who moves
    const waiter = new Waiter(mebibyte);
    kept.budget.enterLine(waiter);
    kept.clock.advance(3 * patienceMs);
    assert.equal(waiter.outcome, 'waits');
    kept.clock.advance(patienceMs);
    assert.equal(waiter.outcome, 'refused');
  });

  it('looks sooner while nothing is read, and refuses first who waits with a part of a message', () => {
    using kept = new Kept(5 * mebibyte);
    const [elder, younger, empty] = [new Waiter(mebibyte, mebibyte), new Waiter(mebibyte, mebibyte), new Waiter(mebibyte)];
    kept.budget.take(2 * mebibyte); // theirs
    younger.onRefused = () => ((younger.outcome = 'refused'), kept.budget.give(mebibyte));
    for (const waiter of [elder, younger, empty]) kept.budget.enterLine(waiter);
    kept.clock.advance(0);
    kept.budget.take(mebibyte);
    assert.equal(kept.budget.isExhausted, true);
    kept.clock.advance(1_000);
    assert.deepEqual([elder.outcome, younger.outcome, empty.outcome], ['refused', 'refused', 'waits']);
  });

  it('begins anew when somebody waits again later', async () => {
    using kept = new Kept(6 * mebibyte);
    kept.budget.enterLine(new Waiter(mebibyte));
    kept.clock.advance(2 * patienceMs);
    await turn();
    kept.clock.advance(patienceMs);
    const before = kept.looks.length;
    kept.budget.enterLine(new Waiter(6 * mebibyte));
    kept.clock.advance(0);
    assert.deepEqual(kept.looks.slice(before), [false], 'what was noted an hour ago says nothing');
  });

  it('K11-01: shows what is used, how long others had to wait, and what became of them', async () => {
    using kept = new Kept(6 * mebibyte);
    kept.budget.enterLine(new Waiter(mebibyte));
    kept.clock.advance(2_000);
    assert.equal(kept.meter.value('kiln_buffered_bytes'), 6 * mebibyte);
    assert.equal(kept.meter.value('kiln_buffered_max_bytes'), 8 * mebibyte);
    assert.equal(kept.meter.value('kiln_buffered_waiting'), 1);
    assert.equal(kept.meter.value('kiln_buffered_pressure_seconds_total{waiting="large"}'), 2);
    assert.equal(kept.meter.value('kiln_buffered_pressure_seconds_total{waiting="everything"}'), 0);
    kept.budget.take(2 * mebibyte);
    kept.clock.advance(500);
    assert.equal(kept.meter.value('kiln_buffered_pressure_seconds_total{waiting="everything"}'), 0.5);
    assert.equal(kept.meter.value('kiln_buffered_exhausted_total'), 1);
    kept.clock.advance(60_000);
    await turn();
    assert.equal(kept.meter.value('kiln_buffered_evicted_total'), 3);
  });

  it('says little however long it lasts', () => {
    using kept = new Kept(0);
    kept.budget.take(8 * mebibyte);
    kept.clock.advance(59_000);
    assert.equal(kept.log.lines.length, 1);
    assert.match(kept.log.lines[0] ?? '', /used up, and nothing is read.*raise limits\.buffered-bytes/);
    kept.clock.advance(10_000);
    assert.equal(kept.log.lines.length, 2);
  });
});

describe('size of the byte budget', () => {
  it('is what was asked for, and else a part of the memory that has room for four messages', () => {
    assert.equal(createByteBudget(100 * mebibyte, mebibyte).maxBytes, 100 * mebibyte);
    const derived = createByteBudget(undefined, mebibyte).maxBytes;
    assert.ok(derived >= 64 * mebibyte && derived <= 512 * mebibyte);
    assert.equal(createByteBudget(undefined, 256 * mebibyte).maxBytes, 1024 * mebibyte);
  });
});
