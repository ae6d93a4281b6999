// The contract of BlobStore as tests. Runs on every store and decorator, and on the fakes that stand in for them.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { byteSourceOf, collect } from '../base/byte-source.ts';
import { CacheError } from '../base/cache-error.ts';
import type { BlobStore } from '../blob/blob-store.ts';
import { Digest } from '../digest/digest.ts';
import { digestFunctions, sha256 } from '../digest/digest-function.ts';
import { DigestList } from '../digest/digest-list.ts';
import { chunked, seededRandom } from './seeded-random.ts';

/** No test here makes a larger blob. */
const bytesMax = 1_000_000;

/** A store under test; disposing it ends the store and removes what it left. */
export type OpenedBlobStore = { readonly store: BlobStore } & AsyncDisposable;

/** Behaviour that every BlobStore owes its callers. `open` gives a fresh, empty store of at least 8 MB and owns its end. */
export function blobStoreConformance(name: string, open: () => Promise<OpenedBlobStore>): void {
  describe(`BlobStore contract: ${name}`, () => {
    it('returns what was put, whole and by range', async (t) => {
      const random = seededRandom(t);
      await using opened = await open();
      const bytes = random.bytes(random.integer(1, 200_000));
      const digest = Digest.of(bytes);
      await opened.store.put(digest, chunked(bytes, random));
      const offset = random.integer(0, bytes.length - 1);
      const range = { offset, length: random.integer(0, bytes.length - offset) };
      assert.deepEqual(await read(opened.store, digest), Buffer.from(bytes));
      assert.deepEqual(await read(opened.store, digest, range), Buffer.from(bytes.subarray(offset, offset + range.length)));
    });

    it('K1-13: returns exactly the range asked for around powers of two', async (t) => {
      const random = seededRandom(t);
      await using opened = await open();
      for (const size of [65_535, 65_537, 262_144, 327_680]) {
        const bytes = random.bytes(size);
        const digest = Digest.of(bytes);
        await opened.store.put(digest, chunked(bytes, random));
        const edges = [0, 1, 65_535, 65_536, 65_537, 262_143, 262_144, 262_145, size - 1, size].filter((edge) => edge <= size);
        for (const from of edges) {
          for (const to of edges.filter((edge) => edge >= from)) {
            const part = await read(opened.store, digest, { offset: from, length: to - from });
            assert.ok(part?.equals(bytes.subarray(from, to)), `${from} to ${to} of ${size}`);
          }
        }
      }
    });

    it('needs a chunk no longer than until it asks for the next one', async (t) => {
      const random = seededRandom(t);
      await using opened = await open();
      for (const size of [1, 1_000, 70_000, bytesMax]) {
        const bytes = random.bytes(size);
        const digest = Digest.of(bytes);
        await opened.store.put(digest, lent(chunked(bytes, random)));
        assert.ok((await read(opened.store, digest))?.equals(bytes), `${size} bytes`);
      }
    });

    it('keeps nothing of a put whose bytes do not have the digest', async (t) => {
      const random = seededRandom(t);
      await using opened = await open();
      const digest = Digest.of(random.bytes(1000));
      for (const length of [0, 1, 999, 1000, 1001, 100_000]) {
        await assert.rejects(opened.store.put(digest, chunked(random.bytes(length), random)), { code: 'invalid_argument' }, `${length} bytes`);
      }
      await absent(opened.store, digest);
    });

    it('ends an upload that is too long at once', async (t) => {
      const random = seededRandom(t);
      await using opened = await open();
      const digest = Digest.of(random.bytes(100));
      let pulled = 0;
      let ended = false;
      const endless = (async function* () {
        try {
          for (;;) {
            pulled += 1;
            yield random.bytes(64);
          }
        } finally {
          ended = true;
        }
      })();
      await assert.rejects(opened.store.put(digest, endless), { code: 'invalid_argument' });
      assert.ok(pulled <= 3, `${pulled} chunks were taken`);
      assert.ok(ended, 'the source was told that nobody reads on');
      await absent(opened.store, digest);
    });

    it('K1-09: keeps nothing of a put whose source fails, whatever was sent before', async (t) => {
      const random = seededRandom(t);
      await using opened = await open();
      const bytes = random.bytes(10_000);
      const digest = Digest.of(bytes);
      for (const sent of [0, 1, 5_000, 10_000]) {
        const failing = (async function* () {
          yield bytes.subarray(0, sent);
          throw new CacheError('unavailable', 'the source broke');
        })();
        await assert.rejects(opened.store.put(digest, failing), { code: 'unavailable' }, `after ${sent}`);
      }
      await absent(opened.store, digest);
      await opened.store.put(digest, chunked(bytes, random));
      assert.deepEqual(await read(opened.store, digest), Buffer.from(bytes));
    });

    it('ends a cancelled put and keeps nothing', async (t) => {
      const random = seededRandom(t);
      await using opened = await open();
      const bytes = random.bytes(5_000);
      const digest = Digest.of(bytes);
      const abort = new AbortController();
      const source = (async function* () {
        yield bytes.subarray(0, 2_000);
        abort.abort();
        yield bytes.subarray(2_000, 4_000);
        yield bytes.subarray(4_000);
      })();
      await assert.rejects(opened.store.put(digest, source, { signal: abort.signal }), { code: 'cancelled' });
      await absent(opened.store, digest);
    });

    it('finds missing what was not put: in order, without duplicates', async (t) => {
      const random = seededRandom(t);
      await using opened = await open();
      const blobs = Array.from({ length: 6 }, () => random.bytes(random.integer(1, 300)));
      const digests = blobs.map((bytes) => Digest.of(bytes));
      for (const index of [1, 3, 4]) await opened.store.put(at(digests, index), byteSourceOf(at(blobs, index)));
      const asked = DigestList.from([5, 0, 1, 2, 0, 3, 5, 4, 2].map((index) => at(digests, index)));
      const missing = await opened.store.findMissing(asked);
      assert.deepEqual(Array.from(missing, String), [5, 0, 2].map((index) => String(digests[index])));
      assert.equal((await opened.store.findMissing(DigestList.empty)).length, 0);
    });

    it('refuses a known blob under another size, and finds an unknown one absent under any', async (t) => {
      const random = seededRandom(t);
      await using opened = await open();
      const bytes = random.bytes(100);
      const digest = Digest.of(bytes);
      const wrong = Digest.parse(sha256, digest.hash, 101);
      await absent(opened.store, wrong);
      await opened.store.put(digest, byteSourceOf(bytes));
      await assert.rejects(async () => opened.store.findMissing(DigestList.of(wrong)), { code: 'invalid_argument' });
      await assert.rejects(async () => opened.store.get(wrong), { code: 'invalid_argument' });
      await assert.rejects(opened.store.put(wrong, byteSourceOf(bytes)), { code: 'invalid_argument' });
      const [many] = await opened.store.getMany(DigestList.of(wrong));
      assert.equal(many instanceof CacheError && many.code, 'invalid_argument');
      const [put] = await opened.store.putMany([{ digest: wrong, bytes }]);
      assert.equal(put?.code, 'invalid_argument');
    });

    it('resolves a hash to its digest', async (t) => {
      const random = seededRandom(t);
      await using opened = await open();
      const bytes = random.bytes(321);
      for (const digestFunction of digestFunctions) {
        const digest = Digest.of(bytes, digestFunction);
        assert.equal(await opened.store.resolve(digestFunction, digest.hash), undefined);
        await opened.store.put(digest, byteSourceOf(bytes));
        assert.equal(String(await opened.store.resolve(digestFunction, digest.hash)), String(digest));
      }
    });

    it('DG-4: keeps the same hash of two functions apart', async (t) => {
      const random = seededRandom(t);
      await using opened = await open();
      const bytes = random.bytes(50);
      const digest = Digest.of(bytes);
      const blake3 = digestFunctions.find((row) => row.name === 'blake3');
      assert.ok(blake3);
      await opened.store.put(digest, byteSourceOf(bytes));
      await absent(opened.store, Digest.parse(blake3, digest.hash, 50));
    });

    it('refuses a range that leaves the blob', async (t) => {
      const random = seededRandom(t);
      await using opened = await open();
      const bytes = random.bytes(100);
      const digest = Digest.of(bytes);
      await opened.store.put(digest, byteSourceOf(bytes));
      for (const range of [{ offset: 0, length: 101 }, { offset: 100, length: 1 }, { offset: 101, length: 0 }]) {
        await assert.rejects(async () => opened.store.get(digest, { range }), { code: 'out_of_range' });
      }
      assert.equal((await read(opened.store, digest, { offset: 100, length: 0 }))?.length, 0);
    });

    it('answers getMany per digest in order, duplicates each', async (t) => {
      const random = seededRandom(t);
      await using opened = await open();
      const [one, two, none] = [random.bytes(10), random.bytes(70_000), random.bytes(30)];
      await opened.store.put(Digest.of(one), byteSourceOf(one));
      await opened.store.put(Digest.of(two), byteSourceOf(two));
      const asked = DigestList.of(Digest.of(two), Digest.of(none), Digest.of(one), Digest.of(two));
      const results = await opened.store.getMany(asked);
      assert.deepEqual(results.map((result) => (result instanceof Uint8Array ? Buffer.from(result) : result)), [Buffer.from(two), undefined, Buffer.from(one), Buffer.from(two)]);
      assert.deepEqual(await opened.store.getMany(DigestList.empty), []);
    });

    it('answers putMany per blob: a bad one spoils no other', async (t) => {
      const random = seededRandom(t);
      await using opened = await open();
      const blobs = Array.from({ length: 40 }, () => random.bytes(random.integer(1, 5_000)));
      const bad = { digest: Digest.of(random.bytes(10)), bytes: random.bytes(10) };
      const batch = blobs.map((bytes) => ({ digest: Digest.of(bytes), bytes }));
      const results = await opened.store.putMany([...batch.slice(0, 20), bad, ...batch.slice(20), at(batch, 0)]);
      assert.deepEqual(results.map((result) => result?.code), [...Array(20).fill(undefined), 'invalid_argument', ...Array(21).fill(undefined)]);
      for (const { digest, bytes } of batch) assert.deepEqual(await read(opened.store, digest), Buffer.from(bytes));
      await absent(opened.store, bad.digest);
      assert.deepEqual(await opened.store.putMany([]), []);
    });

    it('does not change when the caller reuses the array given to putMany', async (t) => {
      const random = seededRandom(t);
      await using opened = await open();
      const bytes = random.bytes(500);
      const kept = Buffer.from(bytes);
      const digest = Digest.of(bytes);
      assert.deepEqual(await opened.store.putMany([{ digest, bytes }]), [undefined]);
      bytes.fill(0);
      assert.deepEqual(await read(opened.store, digest), kept);
    });

    it('converges when many put one blob at the same time', async (t) => {
      const random = seededRandom(t);
      await using opened = await open();
      const bytes = random.bytes(50_000);
      const digest = Digest.of(bytes);
      await Promise.all(Array.from({ length: 12 }, () => opened.store.put(digest, chunked(bytes, random))));
      assert.deepEqual(await read(opened.store, digest), Buffer.from(bytes));
    });

    it('is not spoiled by a bad put beside a good one of the same digest', async (t) => {
      const random = seededRandom(t);
      await using opened = await open();
      const bytes = random.bytes(3_000);
      const digest = Digest.of(bytes);
      const puts = [random.bytes(3_000), bytes, random.bytes(2_000)].map((sent) => opened.store.put(digest, chunked(sent, random)));
      const outcomes = await Promise.allSettled(puts);
      assert.equal(outcomes[1]?.status, 'fulfilled');
      assert.deepEqual(await read(opened.store, digest), Buffer.from(bytes));
    });

    it('takes a present blob again, read or unread', async (t) => {
      const random = seededRandom(t);
      await using opened = await open();
      const bytes = random.bytes(1_000);
      const digest = Digest.of(bytes);
      for (let round = 0; round < 3; round += 1) await opened.store.put(digest, chunked(bytes, random));
      assert.deepEqual(await read(opened.store, digest), Buffer.from(bytes));
    });

    it('CAP-10: refuses a blob over its limit', async () => {
      await using opened = await open();
      const { blobBytesMax } = opened.store.capabilities;
      if (blobBytesMax >= Number.MAX_SAFE_INTEGER) return;
      const digest = Digest.parse(sha256, 'ab'.repeat(32), blobBytesMax + 1);
      await assert.rejects(opened.store.put(digest, byteSourceOf(new Uint8Array(1))), { code: 'invalid_argument' });
    });
  });
}

function at<T>(items: readonly T[], index: number): T {
  const item = items[index];
  assert.ok(item !== undefined);
  return item;
}

async function read(store: BlobStore, digest: Digest, range?: { offset: number; length: number }): Promise<Buffer | undefined> {
  const source = await store.get(digest, { range });
  if (source === undefined) return undefined;
  await using owned = source;
  const bytes = await collect(owned, bytesMax);
  assert.equal(bytes.byteLength, owned.sizeBytes, 'a source has the length it announces');
  return Buffer.from(bytes);
}

/** What `chunks` gives, in one array that is written to for each. */
async function* lent(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  const array = new Uint8Array(bytesMax);
  for await (const chunk of chunks) {
    array.set(chunk);
    yield array.subarray(0, chunk.byteLength);
    array.fill(0xff);
  }
}

async function absent(store: BlobStore, digest: Digest): Promise<void> {
  const asked = DigestList.of(digest);
  assert.deepEqual(Array.from(await store.findMissing(asked), String), [String(digest)]);
  assert.equal(await store.get(digest), undefined);
  assert.deepEqual(await store.getMany(asked), [undefined]);
  assert.equal(await store.resolve(digest.function, digest.hash), undefined);
}
