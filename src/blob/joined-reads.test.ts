// One read for all who ask at the same time, and what becomes of those who leave.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CacheError } from '../base/cache-error.ts';
import { JoinedReads } from './joined-reads.ts';

/** Reads that end when told to. */
function controlled() {
  const begun: { readonly signal: AbortSignal | undefined; readonly end: PromiseWithResolvers<string> }[] = [];
  const read = ({ signal }: { readonly signal?: AbortSignal | undefined }): Promise<string> => {
    const end = Promise.withResolvers<string>();
    begun.push({ signal, end });
    signal?.addEventListener('abort', () => end.reject(new CacheError('cancelled', 'ended')), { once: true });
    return end.promise;
  };
  return { begun, read };
}

describe('JoinedReads', () => {
  it('reads once for all who ask meanwhile, and again for who asks later', async () => {
    const { begun, read } = controlled();
    const reads = new JoinedReads<string, string>();
    const asked = [reads.of('a', read), reads.of('a', read), reads.of('b', read)];
    assert.equal(begun.length, 2);
    begun[0]?.end.resolve('one');
    begun[1]?.end.resolve('two');
    assert.deepEqual(await Promise.all(asked), ['one', 'one', 'two']);
    const later = reads.of('a', read);
    begun[2]?.end.resolve('three');
    assert.equal(await later, 'three');
  });

  it('who is cancelled leaves the others their read', async () => {
    const { begun, read } = controlled();
    const reads = new JoinedReads<string, string>();
    const controller = new AbortController();
    const leaves = reads.of('a', read, { signal: controller.signal });
    const stays = reads.of('a', read);
    controller.abort();
    await assert.rejects(leaves, { code: 'cancelled' });
    assert.equal(begun[0]?.signal?.aborted, false);
    begun[0]?.end.resolve('one');
    assert.equal(await stays, 'one');
    await assert.rejects(reads.of('a', read, { signal: controller.signal }), { code: 'cancelled' });
    assert.equal(begun.length, 1, 'who is cancelled already begins nothing');
  });

  it('the last who leaves ends the read, and who comes then gets one of its own', async () => {
    const { begun, read } = controlled();
    const reads = new JoinedReads<string, string>();
    const controllers = [new AbortController(), new AbortController()];
    const asked = controllers.map(({ signal }) => reads.of('a', read, { signal }));
    const settled = Promise.allSettled(asked);
    for (const controller of controllers) controller.abort();
    assert.deepEqual((await settled).map(({ status }) => status), ['rejected', 'rejected']);
    assert.equal(begun[0]?.signal?.aborted, true);
    const next = reads.of('a', read);
    begun[1]?.end.resolve('fresh');
    assert.equal(await next, 'fresh');
  });

  it('a failure reaches all who wait', async () => {
    const { begun, read } = controlled();
    const reads = new JoinedReads<string, string>();
    const asked = [reads.of('a', read), reads.of('a', read)];
    const settled = Promise.allSettled(asked);
    begun[0]?.end.reject(new CacheError('unavailable', 'a sick disk'));
    assert.deepEqual((await settled).map((one) => one.status === 'rejected' && one.reason.code), ['unavailable', 'unavailable']);
  });
});
