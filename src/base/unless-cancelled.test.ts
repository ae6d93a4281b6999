// What ends a wait, and what goes on.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CacheError } from './cache-error.ts';
import { unlessCancelled } from './unless-cancelled.ts';

describe('unlessCancelled', () => {
  it('gives what the work gives, with a signal and without', async () => {
    const { signal } = new AbortController();
    assert.equal(await unlessCancelled(Promise.resolve(1), 'a test ran'), 1);
    assert.equal(await unlessCancelled(Promise.resolve(2), 'a test ran', { signal }), 2);
    await assert.rejects(unlessCancelled(Promise.reject(new CacheError('busy', 'full')), 'a test ran', { signal }), { kind: 'busy' });
  });

  it('ends the wait and not the work', async () => {
    const abort = new AbortController();
    const work = Promise.withResolvers<number>();
    const waiting = unlessCancelled(work.promise, 'a test ran', { signal: abort.signal });
    abort.abort();
    await assert.rejects(waiting, { code: 'cancelled', message: 'the call was cancelled while a test ran' });
    await assert.rejects(unlessCancelled(work.promise, 'a test ran', { signal: abort.signal }), { code: 'cancelled' });
    work.resolve(3);
    assert.equal(await unlessCancelled(work.promise, 'a test ran'), 3);
  });

  it('leaves no unheard failure behind when the work fails later', async () => {
    const abort = new AbortController();
    const work = Promise.withResolvers<number>();
    const waiting = unlessCancelled(work.promise, 'a test ran', { signal: abort.signal });
    abort.abort();
    await assert.rejects(waiting, { code: 'cancelled' });
    work.reject(new Error('later'));
    await new Promise((resolve) => setImmediate(resolve)); // an unhandled rejection would end the process by now
  });
});
