// Calls to a real thread: answers, failures, and what becomes of both when it ends.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { entryBeside, Thread } from './thread.ts';

const entry = entryBeside(import.meta.url, '../testing/echo-thread.ts');
const limits = { idleMs: 60_000, heapMiBMax: 32 };

describe('Thread', () => {
  it('answers calls, each with its own answer', async () => {
    using thread = new Thread(entry, limits);
    const inputs = Array.from({ length: 50 }, (_, number) => ({ number, text: `text ${number}` }));
    assert.deepEqual(await Promise.all(inputs.map((input) => thread.call(input))), inputs);
  });

  it('passes on what its function throws, and goes on', async () => {
    using thread = new Thread(entry, limits);
    await assert.rejects(thread.call('throw'), { message: 'Error: as asked' });
    assert.equal(await thread.call('next'), 'next');
  });

  it('fails the calls of a thread that dies, and starts another one for the next', async () => {
    using thread = new Thread(entry, limits);
    const [dying, waiting] = [thread.call('die'), thread.call('behind it')];
    await assert.rejects(dying, { message: 'the thread ended with status 3' });
    await assert.rejects(waiting, { message: 'the thread ended with status 3' });
    assert.equal(await thread.call('next'), 'next');
  });

  it('fails the calls of an entry that cannot be loaded', async () => {
    using thread = new Thread(new URL('file:///nowhere/at/all.ts'), limits);
    await assert.rejects(thread.call('x'), /Cannot find module/);
  });

  it('fails the calls that are under way when it is disposed', async () => {
    const thread = new Thread(entry, limits);
    const call = thread.call('x');
    thread[Symbol.dispose]();
    await assert.rejects(call, { message: 'the thread was ended' });
  });

  it('ends when it is idle, and begins again', async () => {
    using thread = new Thread(entry, { ...limits, idleMs: 1 });
    for (let round = 0; round < 5; round += 1) {
      assert.equal(await thread.call(round), round);
      await new Promise((resolve) => setTimeout(resolve, 5)); // whether it has ended by now or not
    }
  });
});
