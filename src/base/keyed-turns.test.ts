// Turns per name: order, bound, leaving the line.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { KeyedTurns } from './keyed-turns.ts';

describe('KeyedTurns', () => {
  it('gives one turn per name at a time, in the order of asking, and keeps nothing', async () => {
    const turns = new KeyedTurns('writers', { waitersMax: 10 });
    const seen: number[] = [];
    let running = 0;
    await Promise.all(
      Array.from({ length: 8 }, async (_, index) => {
        using _turn = await turns.take('a');
        running += 1;
        assert.equal(running, 1);
        await new Promise((resolve) => setImmediate(resolve));
        seen.push(index);
        running -= 1;
      }),
    );
    assert.deepEqual(seen, [0, 1, 2, 3, 4, 5, 6, 7]);
    assert.equal(turns.busyCount, 0);
  });

  it('lets names pass each other', async () => {
    const turns = new KeyedTurns('writers', { waitersMax: 10 });
    using _first = await turns.take('a');
    using _second = await turns.take('b');
    assert.equal(turns.busyCount, 2);
  });

  it('refuses whom the line has no room for, and forgets who left it', async () => {
    const turns = new KeyedTurns('writers', { waitersMax: 1 });
    const first = await turns.take('a');
    const abort = new AbortController();
    const waiting = turns.take('a', { signal: abort.signal });
    await assert.rejects(turns.take('a'), { kind: 'busy', message: /too many writers/ });
    abort.abort();
    await assert.rejects(waiting, { code: 'cancelled' });
    first[Symbol.dispose]();
    first[Symbol.dispose]();
    assert.equal(turns.busyCount, 0);
    using _again = await turns.take('a');
  });
});
