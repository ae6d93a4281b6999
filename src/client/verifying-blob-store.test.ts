// Reads over something that changes bytes: nobody completes a read of wrong ones.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { byteSourceOf } from '../base/byte-source.ts';
import { CacheError } from '../base/cache-error.ts';
import { MemoryBlobStore } from '../blob/memory-blob-store.ts';
import { Digest } from '../digest/digest.ts';
import { DigestList } from '../digest/digest-list.ts';
import { blobStoreConformance } from '../testing/blob-store-conformance.ts';
import { blobStoreWith } from '../testing/blob-store-with.ts';
import { VerifyingBlobStore } from './verifying-blob-store.ts';

blobStoreConformance('verifying over memory', async () => ({ store: new VerifyingBlobStore(new MemoryBlobStore()), async [Symbol.asyncDispose]() {} }));

describe('VerifyingBlobStore', () => {
  const right = Buffer.alloc(3_000, 1);
  const wrong = Buffer.concat([right.subarray(0, 2_999), Buffer.of(2)]);
  const digest = Digest.of(right);

  it('fails before the last piece of wrong bytes', async () => {
    const streaming = blobStoreWith(new MemoryBlobStore(), {
      get: () => ({
        sizeBytes: 3_000,
        async *[Symbol.asyncIterator]() {
          for (let offset = 0; offset < 3_000; offset += 1_000) yield wrong.subarray(offset, offset + 1_000);
        },
        async [Symbol.asyncDispose]() {},
      }),
    });
    const source = await new VerifyingBlobStore(streaming).get(digest);
    assert.ok(source);
    let length = 0;
    await assert.rejects(async () => {
      for await (const chunk of source) length += chunk.byteLength;
    }, { code: 'data_loss' });
    assert.equal(length, 2_000);
  });

  it('gives no wrong bytes that are in memory, alone or among others', async () => {
    const store = new VerifyingBlobStore(blobStoreWith(new MemoryBlobStore(), { get: () => byteSourceOf(wrong), getMany: () => [wrong, undefined, right] }));
    await assert.rejects(store.get(digest), { code: 'data_loss' });
    const results = await store.getMany(DigestList.of(digest, digest, digest));
    assert.deepEqual(results.map((result) => (result instanceof CacheError ? result.code : result?.byteLength)), ['data_loss', undefined, 3_000]);
  });

  it('closes what it found wrong', async () => {
    let disposed = 0;
    const source = { ...byteSourceOf(wrong), sizeBytes: 3_000, inMemory: wrong, [Symbol.asyncIterator]: () => byteSourceOf(wrong)[Symbol.asyncIterator](), async [Symbol.asyncDispose]() { disposed += 1; } };
    const store = new VerifyingBlobStore(blobStoreWith(new MemoryBlobStore(), { get: () => source }));
    await assert.rejects(store.get(digest), { code: 'data_loss' });
    assert.equal(disposed, 1);
  });

  it('lets a range pass, which no hash tells anything about', async () => {
    const store = new VerifyingBlobStore(blobStoreWith(new MemoryBlobStore(), { get: () => byteSourceOf(wrong.subarray(2_990)) }));
    const source = await store.get(digest, { range: { offset: 2_990, length: 10 } });
    assert.equal(source?.sizeBytes, 10);
  });
});
