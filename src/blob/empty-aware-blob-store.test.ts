// The empty blob is everywhere and nowhere; other blobs pass.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { byteSourceOf, collect } from '../base/byte-source.ts';
import { Digest } from '../digest/digest.ts';
import { digestFunctions, sha256 } from '../digest/digest-function.ts';
import { DigestList } from '../digest/digest-list.ts';
import { blobStoreConformance } from '../testing/blob-store-conformance.ts';
import { EmptyAwareBlobStore } from './empty-aware-blob-store.ts';
import { MemoryBlobStore } from './memory-blob-store.ts';

blobStoreConformance('empty aware over memory', async () => ({
  store: new EmptyAwareBlobStore(new MemoryBlobStore()),
  async [Symbol.asyncDispose]() {},
}));

describe('EmptyAwareBlobStore', () => {
  const bytes = Buffer.from('something');
  const digest = Digest.of(bytes);

  for (const digestFunction of digestFunctions) {
    it(`DG-10, K1-17: the empty blob of ${digestFunction.name} is present without upload and never persisted`, async () => {
      const inner = new MemoryBlobStore();
      const store = new EmptyAwareBlobStore(inner);
      const empty = Digest.empty(digestFunction);
      const asked = DigestList.of(empty);
      const verify = async () => {
        assert.equal((await store.findMissing(asked)).length, 0);
        assert.equal(String(await store.resolve(digestFunction, empty.hash)), String(empty));
        const source = await store.get(empty, { range: { offset: 0, length: 0 } });
        assert.ok(source);
        assert.equal((await collect(source, 0)).byteLength, 0);
        assert.deepEqual(await store.getMany(asked), [new Uint8Array(0)]);
        assert.equal(inner.findMissing(asked).length, 1, 'nothing below knows of it');
      };
      await verify();
      await store.put(empty, byteSourceOf(new Uint8Array(0)));
      assert.deepEqual(await store.putMany([{ digest: empty, bytes: new Uint8Array(0) }]), [undefined]);
      await verify();
    });
  }

  it('DG-6: refuses bytes and ranges that the empty blob does not have', async () => {
    const store = new EmptyAwareBlobStore(new MemoryBlobStore());
    const empty = Digest.empty(sha256);
    await assert.rejects(store.put(empty, byteSourceOf(bytes)), { code: 'invalid_argument' });
    const [result] = await store.putMany([{ digest: empty, bytes }]);
    assert.equal(result?.code, 'invalid_argument');
    await assert.rejects(async () => store.get(empty, { range: { offset: 0, length: 1 } }), { code: 'out_of_range' });
  });

  it('answers for other blobs in their places', async () => {
    const store = new EmptyAwareBlobStore(new MemoryBlobStore());
    const empty = Digest.empty(sha256);
    const absent = Digest.of(Buffer.from('absent'));
    const none = new Uint8Array(0);
    const results = await store.putMany([{ digest: empty, bytes: none }, { digest, bytes }, { digest: empty, bytes: none }, { digest: absent, bytes }]);
    assert.deepEqual(results.map((result) => result?.code), [undefined, undefined, undefined, 'invalid_argument']);
    const asked = DigestList.of(empty, absent, digest, empty);
    assert.deepEqual(Array.from(await store.findMissing(asked), String), [String(absent)]);
    assert.deepEqual((await store.getMany(asked)).map((found) => (found instanceof Uint8Array ? Buffer.from(found).toString() : found)), ['', undefined, 'something', '']);
  });
});
