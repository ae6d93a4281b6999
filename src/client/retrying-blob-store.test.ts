// Blobs of a store that fails now and then: what is repeated, what goes on where it broke, and what is left alone.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { byteSourceOf } from '../base/byte-source.ts';
import type { ByteSource } from '../base/byte-source.ts';
import { CacheError } from '../base/cache-error.ts';
import type { BlobStore, GetOptions } from '../blob/blob-store.ts';
import { MemoryBlobStore } from '../blob/memory-blob-store.ts';
import { Digest } from '../digest/digest.ts';
import { DigestList } from '../digest/digest-list.ts';
import { blobStoreConformance } from '../testing/blob-store-conformance.ts';
import { blobStoreWith } from '../testing/blob-store-with.ts';
import { quickRetries, readAll } from '../testing/remote-blobs.ts';
import { RetryingBlobStore } from './retrying-blob-store.ts';
import type { RestartableBytes } from './retrying-blob-store.ts';

const broken = (): CacheError => new CacheError('unavailable', 'the connection broke');

blobStoreConformance('retrying over memory', async () => ({ store: new RetryingBlobStore(new MemoryBlobStore(), quickRetries()), async [Symbol.asyncDispose]() {} }));

blobStoreConformance('retrying over a store of which every other call fails', async () => {
  const memory = new MemoryBlobStore();
  let calls = 0;
  const flaky = <T>(call: () => T): T => {
    calls += 1;
    if (calls % 2 === 1) throw broken();
    return call();
  };
  const inner = blobStoreWith(memory, {
    findMissing: (digests) => flaky(() => memory.findMissing(digests)),
    resolve: (digestFunction, hash) => flaky(() => memory.resolve(digestFunction, hash)),
    get: (digest, options) => flaky(() => memory.get(digest, options)),
    getMany: (digests) => flaky(() => memory.getMany(digests)),
    put: async (digest, bytes, options) => flaky(() => memory.put(digest, bytes, options)),
    putMany: async (blobs) => flaky(() => memory.putMany(blobs)),
  });
  const retries = quickRetries({ attemptsMax: 30, savedRetriesMax: 10_000, delayMsMax: 1 });
  return { store: new RetryingBlobStore(inner, retries), async [Symbol.asyncDispose]() {} };
});

/** A store whose streams break after `pieces` pieces of 1,000 bytes, and what was asked of it. */
async function breaking(bytes: Uint8Array, pieces: number): Promise<{ store: BlobStore; digest: Digest; asked: (GetOptions | undefined)[]; disposed: () => number }> {
  const memory = new MemoryBlobStore();
  const digest = Digest.of(bytes);
  await memory.put(digest, byteSourceOf(bytes));
  const asked: (GetOptions | undefined)[] = [];
  let disposed = 0;
  const store = blobStoreWith(memory, {
    get(_, options): ByteSource {
      asked.push(options);
      const { offset, length } = options?.range ?? { offset: 0, length: bytes.byteLength };
      return {
        sizeBytes: length,
        async *[Symbol.asyncIterator]() {
          for (let piece = 0; piece * 1_000 < length; piece += 1) {
            if (piece === pieces) throw broken();
            yield bytes.subarray(offset + piece * 1_000, offset + Math.min(length, (piece + 1) * 1_000));
          }
        },
        async [Symbol.asyncDispose]() {
          disposed += 1;
        },
      };
    },
  });
  return { store, digest, asked, disposed: () => disposed };
}

describe('RetryingBlobStore', () => {
  it('goes on with a read where it broke, as often as it gets further', async () => {
    const bytes = Buffer.from(Array.from({ length: 5_500 }, (_, index) => index % 251));
    const { store, digest, asked, disposed } = await breaking(bytes, 2);
    const source = await new RetryingBlobStore(store, quickRetries()).get(digest);
    assert.ok(source);
    assert.ok((await readAll(source)).equals(bytes));
    assert.deepEqual(asked.map((options) => options?.range), [undefined, { offset: 2_000, length: 3_500 }, { offset: 4_000, length: 1_500 }]);
    assert.equal(disposed(), 3, 'every opening has its end');

    const range = { offset: 700, length: 3_000 };
    const part = await new RetryingBlobStore(store, quickRetries()).get(digest, { range });
    assert.ok(part);
    assert.ok((await readAll(part)).equals(bytes.subarray(700, 3_700)));
  });

  it('opens nothing again for a reader that has left, and closes what was being opened', async () => {
    const { store, digest, asked, disposed } = await breaking(Buffer.alloc(5_000), 1);
    const gate = Promise.withResolvers<void>();
    const slow = blobStoreWith(store, {
      async get(_, options) {
        if (options?.range !== undefined) await gate.promise;
        return store.get(digest, options);
      },
    });
    for (const when of ['before', 'while'] as const) {
      asked.length = 0;
      const source = await new RetryingBlobStore(slow, quickRetries()).get(digest);
      assert.ok(source);
      const chunks = source[Symbol.asyncIterator]();
      await chunks.next();
      const closedBefore = disposed();
      if (when === 'before') {
        await source[Symbol.asyncDispose]();
        await assert.rejects(chunks.next(), { code: 'unavailable' });
        assert.equal(asked.length, 1);
      } else {
        const reading = assert.rejects(chunks.next(), { code: 'cancelled' });
        await new Promise((resolve) => setImmediate(resolve));
        await source[Symbol.asyncDispose]();
        gate.resolve();
        await reading;
        assert.equal(asked.length, 2);
        assert.equal(disposed() - closedBefore, 2);
      }
    }
  });

  it('gives up a read that gets no further', async () => {
    const { store, digest, asked } = await breaking(Buffer.alloc(5_000), 0);
    const source = await new RetryingBlobStore(store, quickRetries()).get(digest);
    assert.ok(source);
    await assert.rejects(readAll(source), { code: 'unavailable' });
    assert.equal(asked.length, 2);
  });

  it('repeats a put from memory, and one of a stream only while nothing was taken from it', async () => {
    const memory = new MemoryBlobStore();
    const bytes = Buffer.from('some bytes');
    const digest = Digest.of(bytes);
    const attempts: string[] = [];
    const failingFirst = (when: 'before' | 'after'): BlobStore =>
      blobStoreWith(memory, {
        async put(_, source) {
          attempts.push(when);
          if (attempts.length > 1) return memory.put(digest, source);
          if (when === 'after') for await (const _ of source);
          throw broken();
        },
      });
    const stream = async function* () {
      yield bytes;
    };
    const put = async (when: 'before' | 'after', source: AsyncIterable<Uint8Array> | RestartableBytes): Promise<number> => {
      attempts.length = 0;
      await new RetryingBlobStore(failingFirst(when), quickRetries()).put(digest, source);
      return attempts.length;
    };
    assert.equal(await put('after', byteSourceOf(bytes)), 2);
    assert.equal(await put('before', stream()), 2);
    assert.equal(await put('after', { restartable: true, [Symbol.asyncIterator]: stream }), 2);
    await assert.rejects(put('after', stream()), { code: 'unavailable' });
    assert.equal(attempts.length, 1);
  });

  it('asks again for those alone that failed, and gives their failure when that does not help', async () => {
    const blobs = ['a', 'b', 'c'].map((text) => Buffer.from(text));
    const memory = new MemoryBlobStore();
    await memory.putMany(blobs.map((bytes) => ({ digest: Digest.of(bytes), bytes })));
    const asked: string[][] = [];
    const store = (failures: number): BlobStore =>
      blobStoreWith(memory, {
        getMany(digests) {
          asked.push(Array.from(digests, ({ hash }) => hash.slice(0, 4)));
          const results = memory.getMany(digests);
          return results.map((result, index) => (asked.length <= failures && index === (asked.length === 1 ? 1 : 0) ? broken() : result));
        },
      });
    const digests = DigestList.from(blobs.map((bytes) => Digest.of(bytes)));
    const [, second = ''] = Array.from(digests, ({ hash }) => hash.slice(0, 4));
    const results = await new RetryingBlobStore(store(2), quickRetries()).getMany(digests);
    assert.deepEqual(results.map((result) => (result instanceof Uint8Array ? Buffer.from(result).toString() : result)), ['a', 'b', 'c']);
    assert.deepEqual(asked.slice(1), [[second], [second]]);
    asked.length = 0;
    const failed = await new RetryingBlobStore(store(9), quickRetries({ attemptsMax: 2 })).getMany(digests);
    assert.deepEqual(failed.map((result) => (result instanceof CacheError ? result.code : 'found')), ['found', 'unavailable', 'found']);
  });
});
