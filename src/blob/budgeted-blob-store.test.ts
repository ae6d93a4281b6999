// The contract through the decorator, and that reads wait for memory and give back what they took.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ByteBudget, unboundedByteBudget } from '../base/byte-budget.ts';
import { byteSourceOf } from '../base/byte-source.ts';
import type { ByteSource } from '../base/byte-source.ts';
import { CacheError } from '../base/cache-error.ts';
import { Digest } from '../digest/digest.ts';
import { DigestList } from '../digest/digest-list.ts';
import { blobStoreConformance } from '../testing/blob-store-conformance.ts';
import { blobStoreWith } from '../testing/blob-store-with.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import type { BlobStore } from './blob-store.ts';
import { BudgetedBlobStore } from './budgeted-blob-store.ts';
import { MemoryBlobStore } from './memory-blob-store.ts';

const limits = { pieceBytes: 1_000, wholeBytesMax: 4_000 };
const small = new Uint8Array(3_000).fill(1);
const large = new Uint8Array(10_000).fill(2);
const smallDigest = Digest.of(small);
const largeDigest = Digest.of(large);

/** So tight that what is reserved beside `tight` has to wait; nothing here is small enough to pass the line. */
function tightBudget(): ByteBudget {
  return new ByteBudget({ maxBytes: 16 * 1024 * 1024, waitersMax: 1_000 });
}

for (const sizes of [limits, { pieceBytes: 7_000, wholeBytesMax: 0 }]) {
  blobStoreConformance(`budgeted over memory, whole up to ${sizes.wholeBytesMax}`, async () => {
    const budget = unboundedByteBudget();
    return {
      store: new BudgetedBlobStore(inPieces(new MemoryBlobStore(), sizes.pieceBytes), budget, sizes),
      async [Symbol.asyncDispose]() {
        assert.equal(budget.usedBytes, 0);
      },
    };
  });
}

/** As stores on disk answer: later, in pieces, or whole when small. */
function inPieces(inner: BlobStore, pieceBytes: number): BlobStore {
  return blobStoreWith(inner, {
    async get(digest, options) {
      const source = await inner.get(digest, options);
      const bytes = source?.inMemory;
      if (bytes === undefined || digest.sizeBytes <= limits.wholeBytesMax) return source;
      return {
        sizeBytes: bytes.byteLength,
        async *[Symbol.asyncIterator]() {
          for (let offset = 0; offset < bytes.byteLength; offset += pieceBytes) yield bytes.subarray(offset, offset + pieceBytes);
        },
        async [Symbol.asyncDispose]() {},
      };
    },
    getMany: async (digests, options) => inner.getMany(digests, options),
  });
}

async function filled(budget: ByteBudget): Promise<BudgetedBlobStore> {
  const memory = new MemoryBlobStore();
  await memory.put(smallDigest, byteSourceOf(small));
  await memory.put(largeDigest, byteSourceOf(large));
  return new BudgetedBlobStore(inPieces(memory, limits.pieceBytes), budget, limits);
}

async function opened(source: ReturnType<BlobStore['get']>): Promise<ByteSource> {
  const found = await source;
  assert.ok(found !== undefined);
  return found;
}

describe('budgeted blob store', () => {
  it('counts all that a large blob may take while it is open, and nothing once it is read, left or disposed', async () => {
    const budget = unboundedByteBudget();
    const store = await filled(budget);
    for (const end of ['read', 'left', 'disposed'] as const) {
      const source = await opened(store.get(largeDigest));
      assert.equal(budget.usedBytes, 4_000);
      const pieces = source[Symbol.asyncIterator]();
      await pieces.next();
      assert.equal(budget.usedBytes, 4_000);
      if (end === 'read') while ((await pieces.next()).done !== true);
      else if (end === 'left') await pieces.return?.();
      else await source[Symbol.asyncDispose]();
      assert.equal(budget.usedBytes, 0, end);
      await source[Symbol.asyncDispose]();
    }
  });

  it('counts a small blob that was read for as long as its source is open', async () => {
    const budget = unboundedByteBudget();
    const store = await filled(budget);
    const source = await opened(store.get(smallDigest));
    assert.equal(budget.usedBytes, 3_000);
    assert.equal(source.inMemory?.byteLength, 3_000);
    await source[Symbol.asyncDispose]();
    await source[Symbol.asyncDispose]();
    assert.equal(budget.usedBytes, 0);
  });

  it('counts a batch while it is read, and answers from memory without a promise', async () => {
    const budget = unboundedByteBudget();
    const store = await filled(budget);
    const reading = store.getMany(DigestList.of(smallDigest));
    assert.equal(budget.usedBytes, 3_000);
    await reading;
    assert.equal(budget.usedBytes, 0);
    const memory = new MemoryBlobStore();
    await memory.put(smallDigest, byteSourceOf(small));
    assert.ok(Array.isArray(new BudgetedBlobStore(memory, budget, limits).getMany(DigestList.of(smallDigest))));
    assert.equal(budget.usedBytes, 0);
  });

  it('reads a batch as large as the whole budget while others hold some of it', async () => {
    const bytes = new Uint8Array(16 * 1024 * 1024);
    const digest = Digest.of(bytes);
    const memory = new MemoryBlobStore();
    await memory.put(digest, byteSourceOf(bytes));
    const budget = tightBudget();
    const store = new BudgetedBlobStore(inPieces(memory, 1_000), budget, limits);
    budget.take(1024 * 1024);
    const reading = Promise.all([store.getMany(DigestList.of(digest)), store.getMany(DigestList.of(digest))]);
    assert.ok(budget.usedBytes > bytes.byteLength, 'all of it is counted');
    for (const results of await reading) assert.equal(results[0] instanceof Uint8Array && results[0].byteLength, bytes.byteLength);
    assert.equal(budget.usedBytes, 1024 * 1024);
    assert.equal(budget.refusedCount, 0);
  });

  it('gives back what it took for reads that fail or find nothing', async () => {
    const budget = unboundedByteBudget();
    const fail = (): never => {
      throw new CacheError('unavailable', 'a sick disk');
    };
    const memory = new MemoryBlobStore();
    for (const failing of [fail, async () => fail()]) {
      const store = new BudgetedBlobStore(blobStoreWith(memory, { get: failing, getMany: failing }), budget, limits);
      await assert.rejects(async () => store.get(smallDigest), { code: 'unavailable' });
      await assert.rejects(async () => store.get(largeDigest), { code: 'unavailable' });
      await assert.rejects(async () => store.getMany(DigestList.of(smallDigest)), { code: 'unavailable' });
    }
    const empty = new BudgetedBlobStore(inPieces(memory, 10), budget, limits);
    assert.equal(await empty.get(smallDigest), undefined);
    assert.equal(await empty.get(largeDigest), undefined);
    assert.equal(budget.usedBytes, 0);
  });

  it('ERR-4: waits for memory that others hold, and gives up when it is refused or cancelled', async () => {
    const budget = tightBudget();
    const bytes = new Uint8Array(300_000);
    const digest = Digest.of(bytes);
    const memory = new MemoryBlobStore();
    await memory.put(digest, byteSourceOf(bytes));
    const inner = inPieces(memory, 100_000);
    let opens = 0;
    const counted = blobStoreWith(inner, {
      get(asked, options) {
        opens += 1;
        return inner.get(asked, options);
      },
    });
    for (const wholeBytesMax of [1_000, 1_000_000]) {
      const store = new BudgetedBlobStore(counted, budget, { pieceBytes: 100_000, wholeBytesMax });
      budget.take(12 * 1024 * 1024);
      opens = 0;
      const controller = new AbortController();
      const refused = opened(store.get(digest));
      const cancelled = opened(store.get(digest, { signal: controller.signal }));
      await new Promise((resolve) => setImmediate(resolve));
      assert.equal(budget.waiterCount, 2);
      controller.abort();
      await assert.rejects(cancelled, { code: 'cancelled' });
      for (let looks = 0; looks < 2; looks += 1) budget.look(1);
      await assert.rejects(refused, { code: 'unavailable' });
      const patient = opened(store.get(digest));
      await new Promise((resolve) => setImmediate(resolve));
      assert.equal(opens, 0, 'whoever waits for memory has no file open that others wait for');
      budget.give(12 * 1024 * 1024);
      const source = await patient;
      assert.ok((await source[Symbol.asyncIterator]().next()).value !== undefined);
      await source[Symbol.asyncDispose]();
      assert.deepEqual([opens, budget.usedBytes], [1, 0]);
    }
  });

  it('takes for a part of a large blob what the part can come to hold', async () => {
    const budget = unboundedByteBudget();
    const store = await filled(budget);
    const source = await opened(store.get(largeDigest, { range: { offset: 10, length: 100 } }));
    assert.equal(budget.usedBytes, 200);
    await source[Symbol.asyncDispose]();
    await assert.rejects(async () => store.get(largeDigest, { range: { offset: 0, length: 10_001 } }), { code: 'out_of_range' });
    assert.equal(budget.usedBytes, 0);
  });

  it('balances under random reads that end in every way', async (t) => {
    const random = seededRandom(t);
    const budget = tightBudget();
    const memory = new MemoryBlobStore();
    const digests = await Promise.all(
      [70_000, 300_000, 2_000_000].map(async (length) => {
        const bytes = new Uint8Array(length).fill(length % 251);
        await memory.put(Digest.of(bytes), byteSourceOf(bytes));
        return Digest.of(bytes);
      }),
    );
    const store = new BudgetedBlobStore(inPieces(memory, 256 * 1024), budget, { pieceBytes: 256 * 1024, wholeBytesMax: 100_000 });
    const reader = async (): Promise<void> => {
      const source = await opened(store.get(random.pick(digests)));
      let pieces = random.integer(0, 9);
      for await (const _ of source) {
        if (pieces-- === 0) break;
        if (random.integer(0, 3) === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      await source[Symbol.asyncDispose]();
    };
    await Promise.all(Array.from({ length: 200 }, reader));
    assert.equal(budget.usedBytes, 0);
    assert.equal(budget.waiterCount, 0);
  });
});
