// Permits in order, a line with an end, and maps that run a few at a time.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Semaphore, mapBounded } from './semaphore.ts';

describe('Semaphore', () => {
  it('gives out no more permits than it has, in the order asked', async () => {
    const semaphore = new Semaphore('tests', { permitsMax: 2, waitersMax: 10 });
    const first = await semaphore.acquire();
    const second = await semaphore.acquire();
    const order: string[] = [];
    const third = semaphore.acquire().then((permit) => (order.push('third'), permit));
    const fourth = semaphore.acquire().then((permit) => (order.push('fourth'), permit));
    await new Promise(setImmediate);
    assert.deepEqual([order, semaphore.givenOut], [[], 2]);
    second[Symbol.dispose]();
    second[Symbol.dispose](); // twice is once
    (await third)[Symbol.dispose]();
    (await fourth)[Symbol.dispose]();
    first[Symbol.dispose]();
    assert.deepEqual([order, semaphore.givenOut], [['third', 'fourth'], 0]);
  });

  it('refuses who comes when the line is full, and says when to come again', async () => {
    const semaphore = new Semaphore('tests', { permitsMax: 1, waitersMax: 1 });
    const held = await semaphore.acquire();
    const waiting = semaphore.acquire();
    await assert.rejects(semaphore.acquire(), (thrown: { code: string; details: readonly { kind: string }[] }) => {
      return thrown.code === 'unavailable' && thrown.details[0]?.kind === 'retry_after';
    });
    held[Symbol.dispose]();
    (await waiting)[Symbol.dispose]();
  });

  it('forgets who is cancelled in line, and leaks no permit to them', async () => {
    const semaphore = new Semaphore('tests', { permitsMax: 1, waitersMax: 5 });
    const held = await semaphore.acquire();
    const abort = new AbortController();
    const cancelled = semaphore.acquire({ signal: abort.signal });
    const next = semaphore.acquire();
    abort.abort();
    await assert.rejects(cancelled, { code: 'cancelled' });
    await assert.rejects(semaphore.acquire({ signal: abort.signal }), { code: 'cancelled' });
    held[Symbol.dispose]();
    (await next)[Symbol.dispose]();
    assert.equal(semaphore.givenOut, 0);
  });
});

describe('mapBounded', () => {
  it('keeps the order of the items and runs a few at a time', async () => {
    let [running, most] = [0, 0];
    const results = await mapBounded([...Array(20).keys()], 3, async (item) => {
      most = Math.max(most, (running += 1));
      await new Promise(setImmediate);
      running -= 1;
      return item * 2;
    });
    assert.deepEqual(results, [...Array(20).keys()].map((item) => item * 2));
    assert.equal(most, 3);
    assert.deepEqual(await mapBounded([], 3, async () => 1), []);
  });

  it('throws the failure once nothing runs any more, and begins nothing after it', async () => {
    const begun: number[] = [];
    let running = 0;
    const mapped = mapBounded([...Array(20).keys()], 3, async (item) => {
      begun.push(item);
      running += 1;
      await new Promise(setImmediate);
      running -= 1;
      if (item === 1) throw new Error('one');
    });
    await assert.rejects(mapped, /one/);
    assert.equal(running, 0);
    assert.ok(begun.length <= 6, `${begun.length} were begun`);
  });
});
