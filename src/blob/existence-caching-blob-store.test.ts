// What is remembered, for how long, and what is never.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { byteSourceOf } from '../base/byte-source.ts';
import { Digest } from '../digest/digest.ts';
import { sha256 } from '../digest/digest-function.ts';
import { DigestList } from '../digest/digest-list.ts';
import { blobStoreConformance } from '../testing/blob-store-conformance.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { ExistenceCachingBlobStore } from './existence-caching-blob-store.ts';
import { MemoryBlobStore } from './memory-blob-store.ts';

blobStoreConformance('existence caching over memory', async () => ({
  store: new ExistenceCachingBlobStore(new MemoryBlobStore(), new ManualClock(), { ttlMs: 1_000, entriesMax: 8 }),
  async [Symbol.asyncDispose]() {},
}));

describe('ExistenceCachingBlobStore', () => {
  const bytes = new Uint8Array(1_000).fill(7);
  const digest = Digest.of(bytes);
  const asked = DigestList.of(digest);
  const other = new Uint8Array(1_000).fill(8);

  /** An inner store with room for one blob, so that putting another loses the first. */
  async function withOneBlob(entriesMax = 8) {
    const clock = new ManualClock();
    const inner = new MemoryBlobStore({ bytesMax: 2_000, blobBytesMax: 10_000 });
    const store = new ExistenceCachingBlobStore(inner, clock, { ttlMs: 1_000, entriesMax });
    await store.put(digest, byteSourceOf(bytes));
    const lose = () => inner.put(Digest.of(other), byteSourceOf(other));
    return { clock, inner, store, lose };
  }

  it('repeats that a blob is present, and asks again when the time is over', async () => {
    const { clock, store, lose } = await withOneBlob();
    assert.equal((await store.findMissing(asked)).length, 0);
    await lose();
    clock.advance(999);
    assert.equal((await store.findMissing(asked)).length, 0, 'remembered until just before the end');
    clock.advance(1);
    assert.equal((await store.findMissing(asked)).length, 1, 'asked again at the end');
  });

  it('never remembers absence', async () => {
    const store = new ExistenceCachingBlobStore(new MemoryBlobStore(), new ManualClock(), { ttlMs: 1_000, entriesMax: 8 });
    assert.equal((await store.findMissing(asked)).length, 1);
    await store.put(digest, byteSourceOf(bytes));
    assert.equal((await store.findMissing(asked)).length, 0);
  });

  it('forgets a blob that a read found lost', async () => {
    for (const read of ['get', 'getMany'] as const) {
      const { store, lose } = await withOneBlob();
      await store.findMissing(asked);
      await lose();
      if (read === 'get') assert.equal(await store.get(digest), undefined);
      else assert.deepEqual(await store.getMany(asked), [undefined]);
      assert.equal((await store.findMissing(asked)).length, 1, read);
    }
  });

  it('refuses another size of a blob it remembers', async () => {
    const { store } = await withOneBlob();
    await store.findMissing(asked);
    const wrong = DigestList.of(Digest.parse(sha256, digest.hash, 999));
    await assert.rejects(async () => store.findMissing(wrong), { code: 'invalid_argument' });
  });

  it('remembers no more than its bound', async () => {
    const { store, inner, lose } = await withOneBlob(1);
    await store.findMissing(asked);
    const others = DigestList.of(Digest.of(other));
    await lose();
    assert.equal((await store.findMissing(others)).length, 0);
    await inner.put(digest, byteSourceOf(bytes)); // loses `other`, which takes the only place of the memory
    assert.equal((await store.findMissing(others)).length, 0, 'still remembered');
    await store.findMissing(asked);
    assert.equal((await store.findMissing(others)).length, 1, 'dropped for the newer one');
  });

  it('promises a lease shorter by what it may remember', () => {
    const inner = new MemoryBlobStore();
    const leased = Object.assign(Object.create(inner) as MemoryBlobStore, { capabilities: { ...inner.capabilities, leaseMs: 5_000 } });
    const make = (ttlMs: number) => new ExistenceCachingBlobStore(leased, new ManualClock(), { ttlMs, entriesMax: 1 });
    assert.equal(make(1_000).capabilities.leaseMs, 4_000);
    assert.throws(() => make(5_000), { name: 'AssertionError' });
  });
});
