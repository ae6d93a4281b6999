// Turns of the event loop, as they begin and end.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ManualClock } from '../testing/manual-clock.ts';
import { LoopTurns } from './loop-turns.ts';

/** Lets the loop turn. */
const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('turns of the loop', () => {
  it('are one turn for all that happens before the loop waits, however much time passes', async () => {
    const clock = new ManualClock();
    const turns = new LoopTurns(clock);
    const tookMs: number[] = [];
    turns.onEnd((ms) => tookMs.push(ms));
    const first = turns.current();
    const { beganAtMs } = first;
    clock.advance(7);
    assert.equal(turns.current(), first);
    assert.equal(first.beganAtMs, beganAtMs);
    assert.equal(turns.nowMs(), beganAtMs);
    assert.equal(turns.exactNowMs(), beganAtMs + 7);
    assert.ok(!first.isOver);
    assert.deepEqual(tookMs, [], 'not over yet');
    await nextTurn();
    assert.deepEqual(tookMs, [7]);
    assert.ok(first.isOver);
    const second = turns.current();
    assert.notEqual(second, first);
    assert.ok(first.isOver && !second.isOver);
  });

  it('look at the clock twice, however often they are asked', async () => {
    let looks = 0;
    const turns = new LoopTurns({ nowMs: () => ++looks });
    for (let round = 0; round < 100; round += 1) turns.current();
    await nextTurn();
    assert.equal(looks, 2);
    await nextTurn();
    assert.equal(looks, 2, 'and not at all when nobody asks');
  });
});
