// Blobs in memory: the contract, and the bound.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { byteSourceOf } from '../base/byte-source.ts';
import { Digest } from '../digest/digest.ts';
import { DigestList } from '../digest/digest-list.ts';
import { blobStoreConformance } from '../testing/blob-store-conformance.ts';
import { MemoryBlobStore } from './memory-blob-store.ts';

blobStoreConformance('memory', async () => ({ store: new MemoryBlobStore(), async [Symbol.asyncDispose]() {} }));

describe('MemoryBlobStore', () => {
  const blob = (fill: number) => ({ digest: Digest.of(new Uint8Array(1000).fill(fill)), bytes: new Uint8Array(1000).fill(fill) });
  const [a, b, c, d] = [blob(1), blob(2), blob(3), blob(4)];
  /** Room for three blobs of 1000 bytes with their overhead, not for four. */
  const limits = { bytesMax: 4_000, blobBytesMax: 10_000 };
  const missing = (store: MemoryBlobStore) => Array.from(store.findMissing(DigestList.of(a.digest, b.digest, c.digest, d.digest)), ({ hash }) => hash);

  it('drops what was used longest ago, and finding present is a use', async () => {
    const store = new MemoryBlobStore(limits);
    assert.deepEqual(await store.putMany([a, b, c]), [undefined, undefined, undefined]);
    store.findMissing(DigestList.of(a.digest));
    await store.put(d.digest, byteSourceOf(d.bytes));
    assert.deepEqual(missing(store), [b.digest.hash]);
  });

  it('keeps what it counts, and not the message that a blob came in', async () => {
    const store = new MemoryBlobStore(limits);
    for (const message of [Buffer.alloc(50_000, 1), new Uint8Array(50_000).fill(2)]) {
      const bytes = message.subarray(100, 1_100);
      await store.putMany([{ digest: Digest.of(bytes), bytes }]);
      assert.equal(store.get(Digest.of(bytes))?.inMemory?.buffer.byteLength, 1_000);
    }
  });

  it('refuses for good what can never fit, and drops nothing for it', async () => {
    const store = new MemoryBlobStore(limits);
    await store.putMany([a, b]);
    const large = new Uint8Array(5_000);
    await assert.rejects(store.put(Digest.of(large), byteSourceOf(large)), { code: 'resource_exhausted' });
    assert.deepEqual(missing(store), [c.digest.hash, d.digest.hash]);
  });

  it('counts what is being received, and refuses for now what only that keeps out', async () => {
    const store = new MemoryBlobStore(limits);
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    const slow = [a, b, c].map(({ digest, bytes }) =>
      store.put(digest, (async function* () {
        await gate;
        yield bytes;
      })()),
    );
    await assert.rejects(store.put(d.digest, byteSourceOf(d.bytes)), { code: 'unavailable' });
    open();
    await Promise.all(slow);
    assert.deepEqual(missing(store), [d.digest.hash]);
  });
});
