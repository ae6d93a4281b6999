// The contract, and what is counted of it.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { byteSourceOf } from '../base/byte-source.ts';
import { CacheError } from '../base/cache-error.ts';
import { isPromise } from '../base/maybe-promise.ts';
import { noMeter } from '../base/metrics.ts';
import { Digest } from '../digest/digest.ts';
import { DigestList } from '../digest/digest-list.ts';
import { blobStoreConformance } from '../testing/blob-store-conformance.ts';
import { blobStoreWith } from '../testing/blob-store-with.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { RecordedMeter } from '../testing/recorded-meter.ts';
import type { BlobStore } from './blob-store.ts';
import { MemoryBlobStore } from './memory-blob-store.ts';
import { MeteredBlobStore } from './metered-blob-store.ts';

blobStoreConformance('metered over memory', async () => ({
  store: new MeteredBlobStore(new MemoryBlobStore(), noMeter, new ManualClock()),
  async [Symbol.asyncDispose]() {},
}));

function metered(inner: BlobStore) {
  const meter = new RecordedMeter();
  const clock = new ManualClock();
  return { meter, clock, store: new MeteredBlobStore(inner, meter, clock) };
}

const bytes = Buffer.from('hello');
const digest = Digest.of(bytes);
const times = (meter: RecordedMeter, operation: string) => meter.records(`kiln_blob_operation_duration_seconds{operation="${operation}"}`);
const puts = (meter: RecordedMeter) => ['ok', 'refused', 'failed'].map((outcome) => meter.value(`kiln_blob_puts_total{outcome="${outcome}"}`));

describe('metered blob store', () => {
  it('counts blobs put, one by one and in batches, by what became of them', async () => {
    const { meter, store } = metered(new MemoryBlobStore());
    await store.put(digest, byteSourceOf(bytes));
    await assert.rejects(store.put(Digest.of(Buffer.from('other')), byteSourceOf(bytes)));
    await store.putMany([
      { digest, bytes },
      { digest: Digest.of(Buffer.from('more')), bytes: Buffer.from('more') },
      { digest: Digest.of(Buffer.from('else')), bytes: Buffer.from('wrong') },
    ]);
    assert.deepEqual(puts(meter), [3, 2, 0]);
    assert.equal(meter.value('kiln_blob_put_bytes_total'), 5 + 5 + 4);
  });

  it('tells faults of the store from mistakes of callers', async () => {
    for (const [code, expected] of [['unavailable', [0, 0, 1]], ['resource_exhausted', [0, 0, 1]], ['invalid_argument', [0, 1, 0]], ['cancelled', [0, 1, 0]]] as const) {
      const { meter, store } = metered(blobStoreWith(new MemoryBlobStore(), { put: async () => Promise.reject(new CacheError(code, 'no')) }));
      await assert.rejects(store.put(digest, byteSourceOf(bytes)), { code });
      assert.deepEqual(puts(meter), expected, code);
    }
    const { meter, store } = metered(blobStoreWith(new MemoryBlobStore(), { put: async () => Promise.reject(new Error('a bug')) }));
    await assert.rejects(store.put(digest, byteSourceOf(bytes)), /a bug/);
    assert.deepEqual(puts(meter), [0, 0, 1]);
  });

  it('times what has to wait, failures included, and leaves what memory answers as it is', async () => {
    const gate = Promise.withResolvers<undefined>();
    const slow = metered(blobStoreWith(new MemoryBlobStore(), { get: () => gate.promise }));
    const source = slow.store.get(digest);
    assert.ok(isPromise(source));
    slow.clock.advance(250);
    gate.resolve(undefined);
    await source;
    assert.deepEqual(times(slow.meter, 'get'), [0.25]);

    const failing = metered(blobStoreWith(new MemoryBlobStore(), { getMany: async () => Promise.reject(new CacheError('unavailable', 'no')) }));
    await assert.rejects(async () => failing.store.getMany(DigestList.of(digest)));
    assert.equal(times(failing.meter, 'get_many').length, 1);

    const fast = metered(new MemoryBlobStore());
    await fast.store.put(digest, byteSourceOf(bytes));
    assert.ok(!isPromise(fast.store.get(digest)) && !isPromise(fast.store.findMissing(DigestList.of(digest))));
    assert.deepEqual([times(fast.meter, 'get').length, times(fast.meter, 'find_missing').length], [0, 0]);
  });
});
