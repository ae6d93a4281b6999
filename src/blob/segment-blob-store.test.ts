// Blobs in segments and files beyond the contract: what costs no promise, what is held in memory, and what somebody else did to
// the files.
import assert from 'node:assert/strict';
import { chmod, mkdir, readdir, rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ByteBudget } from '../base/byte-budget.ts';
import { byteSourceOf, collect } from '../base/byte-source.ts';
import { CacheError } from '../base/cache-error.ts';
import { isPromise } from '../base/maybe-promise.ts';
import { Digest } from '../digest/digest.ts';
import { sha256 } from '../digest/digest-function.ts';
import { DigestList } from '../digest/digest-list.ts';
import { NodeLogFileSystem } from '../platform/node-log-files.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { SeededRandom, chunked, seededRandom } from '../testing/seeded-random.ts';
import { temporaryDirectory } from '../testing/temporary-directory.ts';
import { openEngineStore, temporaryEngineStore } from '../testing/temporary-engine-store.ts';
import type { EngineStore } from './engine-store.ts';

const random = new SeededRandom(11);
const [small, middle, large] = [random.bytes(3_000), random.bytes(200_000), random.bytes(2_500_000)];
const [smallDigest, middleDigest, largeDigest] = [Digest.of(small), Digest.of(middle), Digest.of(large)];

/** As if the disk had so many bytes free, or could not say. */
class SmallDisk extends NodeLogFileSystem {
  freeBytes = 10 ** 12;
  isSick = false;

  override async space(path: string): Promise<{ totalBytes: number; freeBytes: number }> {
    if (this.isSick) throw Object.assign(new Error('EIO: i/o error, statfs'), { code: 'EIO', syscall: 'statfs' });
    return { ...(await super.space(path)), freeBytes: this.freeBytes };
  }
}

describe('SegmentBlobStore', () => {
  it('answers existence, sizes, absence and small blobs that were written lately without a promise', async () => {
    await using opened = await temporaryEngineStore();
    const { blobs } = opened.store;
    await blobs.put(smallDigest, byteSourceOf(small));
    await blobs.put(largeDigest, byteSourceOf(large));
    assert.ok(!isPromise(blobs.findMissing(DigestList.of(smallDigest, middleDigest, largeDigest))));
    assert.ok(!isPromise(blobs.resolve(sha256, largeDigest.hash)));
    assert.equal(blobs.get(middleDigest), undefined);
    await blobs.get(smallDigest); // opens the segment
    const source = blobs.get(smallDigest);
    assert.ok(!isPromise(source) && source?.inMemory !== undefined && Buffer.from(source.inMemory).equals(small));
    const many = blobs.getMany(DigestList.of(smallDigest, middleDigest, smallDigest));
    assert.ok(!isPromise(many));
    assert.deepEqual(many.map((result) => result instanceof Uint8Array && result.byteLength), [3_000, false, 3_000]);
  });

  it('reads many small blobs with few reads, each as it was put', async (t) => {
    const seeded = seededRandom(t);
    await using directory = await temporaryDirectory();
    const blobs = Array.from({ length: 300 }, () => seeded.bytes(seeded.integer(1, 20_000)));
    {
      await using store = await openEngineStore(directory.path);
      await store.blobs.putMany(blobs.map((bytes) => ({ digest: Digest.of(bytes), bytes })));
    }
    await using store = await openEngineStore(directory.path);
    for (let round = 0; round < 2; round += 1) {
      const asked = Array.from({ length: 200 }, () => seeded.pick(blobs));
      const results = await store.blobs.getMany(DigestList.from(asked.map((bytes) => Digest.of(bytes))));
      for (const [index, result] of results.entries()) assert.ok(result instanceof Uint8Array && Buffer.from(result).equals(asked[index] ?? small));
    }
  });

  it('K1-10: serves small blobs from memory once they were read again and again, whatever becomes of the disk, and no others', async (t) => {
    const seeded = seededRandom(t);
    await using opened = await temporaryEngineStore();
    const blobs = Array.from({ length: 120 }, () => seeded.bytes(1_000));
    const asked = DigestList.from(blobs.map((bytes) => Digest.of(bytes)));
    const { store, directory } = opened;
    await store.blobs.putMany(blobs.map((bytes) => ({ digest: Digest.of(bytes), bytes })));
    for (let reads = 0; reads < 4; reads += 1) await store.blobs.getMany(asked);
    assert.ok(store.usage.hotBytes > 120_000 && store.usage.hotBytes <= store.usage.hotBytesMax);
    const rare = seeded.bytes(1_000);
    await store.blobs.putMany([{ digest: Digest.of(rare), bytes: rare }]);
    for (const name of await readdir(join(directory, 'segments'))) await truncate(join(directory, 'segments', name), 4_096);
    const results = store.blobs.getMany(asked);
    assert.ok(!isPromise(results));
    for (const [index, result] of results.entries()) assert.deepEqual(result, new Uint8Array(blobs[index] ?? []));
    assert.deepEqual(await store.blobs.getMany(DigestList.of(Digest.of(rare))), [undefined]);
    assert.equal(store.usage.corruptCount, 1);
  });

  it('gives results that stay as they are until their reader says that it is done', async (t) => {
    const seeded = seededRandom(t);
    await using opened = await temporaryEngineStore({ hotBytesMax: 0 });
    const { blobs } = opened.store;
    const batches = Array.from({ length: 6 }, () => Array.from({ length: 20 }, () => seeded.bytes(900)));
    for (const batch of batches) await blobs.putMany(batch.map((bytes) => ({ digest: Digest.of(bytes), bytes })));
    const readings = [];
    for (let round = 0; round < 60; round += 1) {
      const batch = seeded.pick(batches);
      const results = await blobs.getMany(DigestList.from(batch.map((bytes) => Digest.of(bytes))));
      readings.push({ batch, results });
      if (readings.length > 4) readings.shift()?.results.done?.();
      for (const reading of readings) {
        for (const [index, result] of reading.results.entries()) assert.ok(result instanceof Uint8Array && Buffer.compare(result, reading.batch[index] ?? small) === 0);
      }
    }
  });

  it('serves a file of up to 1 MiB from memory from the third read on, whole and by range', async () => {
    await using opened = await temporaryEngineStore();
    const { blobs } = opened.store;
    await blobs.put(middleDigest, byteSourceOf(middle));
    for (let reads = 0; reads < 2; reads += 1) assert.ok(isPromise(blobs.get(middleDigest)));
    await Promise.all([blobs.get(middleDigest), blobs.get(middleDigest)]);
    await blobs.get(middleDigest);
    const source = blobs.get(middleDigest, { range: { offset: 10, length: 20 } });
    assert.ok(source !== undefined && !isPromise(source));
    assert.deepEqual(Buffer.from(await collect(source, 100)), Buffer.from(middle.subarray(10, 30)));
    assert.ok(opened.store.usage.hotBytes > 200_000);
  });

  it('counts a small blob while it is received and stored, and refuses it when memory is short', async () => {
    const budget = new ByteBudget({ maxBytes: 1_000_000, waitersMax: 10 });
    await using opened = await temporaryEngineStore({}, { budget });
    const { blobs } = opened.store;
    let seen = 0;
    await blobs.put(
      Digest.of(middle.subarray(0, 60_000)),
      (async function* () {
        yield middle.subarray(0, 30_000);
        seen = budget.usedBytes;
        yield middle.subarray(30_000, 60_000);
      })(),
    );
    assert.deepEqual([seen, budget.usedBytes], [60_000, 0]);
    budget.take(900_000);
    await assert.rejects(blobs.put(Digest.of(large.subarray(0, 50_000)), byteSourceOf(large.subarray(0, 50_000))), { code: 'unavailable' });
    await blobs.put(smallDigest, byteSourceOf(small));
    assert.equal(budget.usedBytes, 900_000);
  });

  it('a file that lost its length is not in the way of its right size, whoever comes first', async () => {
    for (const [digest, bytes] of [[middleDigest, middle], [largeDigest, large]] as const) {
      for (const first of ['findMissing of another size', 'get', 'getMany', 'range'] as const) {
        await using directory = await temporaryDirectory();
        await withStore(directory.path, (store) => store.blobs.put(digest, byteSourceOf(bytes)));
        await shorten(pathOf(directory.path, digest), 100);
        await using store = await openEngineStore(directory.path);
        const { blobs } = store;
        if (first === 'findMissing of another size') assert.equal((await blobs.findMissing(DigestList.of(Digest.parse(sha256, digest.hash, 100)))).length, 1);
        if (first === 'get') await read(store, digest).then((got) => assert.equal(got, undefined), (thrown: unknown) => assert.ok(thrown instanceof CacheError && thrown.kind === 'corrupt'));
        if (first === 'getMany') assert.deepEqual((await blobs.getMany(DigestList.of(digest))).map((result) => result === undefined), [true]);
        if (first === 'range') assert.equal(await blobs.get(digest, { range: { offset: 0, length: 5 } }), undefined);
        assert.equal((await blobs.findMissing(DigestList.of(digest))).length, 1, first);
        await blobs.put(digest, byteSourceOf(bytes));
        assert.ok((await read(store, digest))?.equals(bytes), first);
      }
    }
  });

  it('a file that is cut short while it is served ends with data_loss and is out of service', async () => {
    await using opened = await temporaryEngineStore();
    const { blobs } = opened.store;
    await blobs.put(largeDigest, byteSourceOf(large));
    const source = await blobs.get(largeDigest);
    assert.ok(source);
    await shorten(pathOf(opened.directory, largeDigest), 1_000_000);
    await assert.rejects(collect(source, 10_000_000), { code: 'data_loss' });
    assert.equal(await blobs.get(largeDigest), undefined);
  });

  it('a blob whose file somebody removed is absent, not an error, and can be put again at once', async () => {
    await using opened = await temporaryEngineStore({ hotBytesMax: 0 });
    const { blobs } = opened.store;
    for (const [digest, bytes] of [[middleDigest, middle], [largeDigest, large]] as const) {
      await blobs.put(digest, byteSourceOf(bytes));
      await rm(pathOf(opened.directory, digest));
      assert.equal(await blobs.get(digest), undefined);
      await blobs.put(digest, byteSourceOf(bytes));
      assert.ok((await read(opened.store, digest))?.equals(bytes));
    }
  });

  it('goes on when somebody removes all files while it runs', async () => {
    await using opened = await temporaryEngineStore({ hotBytesMax: 0 });
    const { blobs } = opened.store;
    await blobs.put(middleDigest, byteSourceOf(middle));
    await blobs.put(smallDigest, byteSourceOf(small));
    await rm(join(opened.directory, 'objects'), { recursive: true });
    assert.equal(await blobs.get(middleDigest), undefined);
    await blobs.put(middleDigest, byteSourceOf(middle)).catch(() => blobs.put(middleDigest, byteSourceOf(middle)));
    assert.ok((await read(opened.store, middleDigest))?.equals(middle));
    assert.ok((await read(opened.store, smallDigest))?.equals(small));
  });

  it('a disk error is unavailable, never absence', async () => {
    await using opened = await temporaryEngineStore({ hotBytesMax: 0 });
    const { blobs } = opened.store;
    await blobs.put(middleDigest, byteSourceOf(middle));
    const path = pathOf(opened.directory, middleDigest);
    await rm(path);
    await mkdir(path); // reading a directory fails with EISDIR
    await assert.rejects(async () => blobs.get(middleDigest), { code: 'unavailable' });
    const [result] = await blobs.getMany(DigestList.of(middleDigest));
    assert.equal(result instanceof CacheError && result.code, 'unavailable');
  });

  it('K1-07: takes nothing new below the floor of the disk, what is there again, and goes on when there is room', async () => {
    const disk = new SmallDisk();
    const timers = new ManualClock();
    // Strict, so that nothing that is there goes instead.
    await using opened = await temporaryEngineStore({ diskFloorBytes: 500 << 20, leases: 'strict' }, { files: disk, timers });
    const { blobs } = opened.store;
    let count = 0;
    const putNew = (): Promise<void> => {
      const bytes = Buffer.alloc(100_000, `${(count += 1)}`);
      return blobs.put(Digest.of(bytes), byteSourceOf(bytes));
    };
    /** The disk is looked at each 5 seconds; what comes of it is known some turns later. */
    const untilPut = async (is: 'refused' | 'stored'): Promise<void> => {
      timers.advance(5_000);
      for (let outcome = 'none'; outcome !== is; await new Promise((resolve) => setImmediate(resolve))) {
        outcome = await putNew().then(() => 'stored', (thrown: unknown) => (assert.ok(thrown instanceof CacheError && thrown.kind === 'disk_full'), 'refused'));
      }
    };
    await blobs.put(largeDigest, byteSourceOf(large));
    disk.freeBytes = 400 << 20;
    await untilPut('refused');
    await blobs.put(largeDigest, byteSourceOf(large));
    disk.freeBytes = 10 ** 12;
    await untilPut('stored');
  });

  it('K1-07: takes nothing new of any size where others leave less than the floor, keeps what is leased, and looks anew each time', async () => {
    const disk = new SmallDisk();
    const timers = new ManualClock();
    await using opened = await temporaryEngineStore({ diskFloorBytes: 500 << 20 }, { files: disk, timers });
    const { blobs, values } = opened.store;
    const fresh = Buffer.from('not there yet');
    const freshDigest = Digest.of(fresh);
    const value = { kind: 'action_result', instance: '', digestFunction: sha256, hash: freshDigest.hash } as const;
    await blobs.put(largeDigest, byteSourceOf(large));
    await blobs.put(smallDigest, byteSourceOf(small));
    disk.freeBytes = 100 << 20;
    timers.advance(5_000);
    const isFull = { kind: 'disk_full' };
    await assert.rejects(async () => {
      for (let count = 0; count < 1_000; count += 1) {
        const bytes = Buffer.from(`put ${count} before the disk was looked at`);
        await blobs.put(Digest.of(bytes), byteSourceOf(bytes));
        await new Promise((resolve) => setImmediate(resolve));
      }
    }, isFull);
    await assert.rejects(blobs.put(freshDigest, byteSourceOf(fresh)), isFull);
    await assert.rejects(values.put(value, byteSourceOf(fresh)), isFull);
    assert.deepEqual((await blobs.putMany([{ digest: freshDigest, bytes: fresh }, { digest: smallDigest, bytes: small }])).map((outcome) => outcome?.kind), ['disk_full', undefined]);
    await blobs.put(smallDigest, byteSourceOf(small));
    await blobs.put(largeDigest, byteSourceOf(large));
    assert.equal(opened.store.usage.evictedCount, 0);
    disk.isSick = true;
    await assert.rejects(blobs.put(freshDigest, byteSourceOf(fresh)), { code: 'unavailable', message: /look how much of the disk is free/ });
    disk.isSick = false;
    disk.freeBytes = 10 ** 12;
    await blobs.put(freshDigest, byteSourceOf(fresh));
  });

  it('makes no room for a blob of a batch that is shorter than its digest says', async () => {
    await using opened = await temporaryEngineStore({ maxBytes: 16 << 20, leaseMs: 0 });
    const { blobs } = opened.store;
    for (let count = 0; count < 8; count += 1) {
      const bytes = Buffer.alloc(1 << 20, `${count}`);
      await blobs.put(Digest.of(bytes), byteSourceOf(bytes));
    }
    const [refused] = await blobs.putMany([{ digest: Digest.parse(sha256, smallDigest.hash, 12 << 20), bytes: small }]);
    assert.equal(refused?.code, 'invalid_argument');
    assert.equal(opened.store.usage.evictedCount, 0);
  });

  it('K2-04: keeps what is pinned, whatever has to go', async (t) => {
    const seeded = seededRandom(t);
    await using opened = await temporaryEngineStore({ maxBytes: 16 << 20, leaseMs: 0 });
    const { blobs } = opened.store;
    await blobs.put(smallDigest, byteSourceOf(small));
    await blobs.put(middleDigest, byteSourceOf(middle));
    using _pin = opened.store.pin(DigestList.of(smallDigest, middleDigest));
    for (let round = 0; round < 60; round += 1) {
      const bytes = Buffer.alloc(seeded.integer(40_000, 900_000), seeded.bytes(16));
      await blobs.put(Digest.of(bytes), byteSourceOf(bytes));
    }
    assert.ok(opened.store.usage.evictedCount > 10);
    assert.ok((await read(opened.store, smallDigest))?.equals(small));
    assert.ok((await read(opened.store, middleDigest))?.equals(middle));
    const whole = Buffer.alloc(5 << 20, 'x');
    await blobs.put(Digest.of(whole), byteSourceOf(whole));
    assert.throws(() => opened.store.pin(DigestList.of(Digest.of(whole))), { code: 'resource_exhausted' });
  });

  it('closes every file, whether read to the end, left, disposed or never read', async (t) => {
    await using opened = await temporaryEngineStore();
    const { blobs } = opened.store;
    await blobs.put(largeDigest, chunked(large, seededRandom(t)));
    const get = async () => (await blobs.get(largeDigest)) ?? assert.fail('it is there');
    await collect(await get(), 10_000_000);
    for await (const _chunk of await get()) break;
    await (await get())[Symbol.asyncDispose]();
    const twice = await get();
    for await (const _chunk of twice) break;
    await twice[Symbol.asyncDispose]();
    assert.deepEqual([opened.store.usage.openReads, opened.store.usage.openWrites], [0, 0]);
  });

  it('a read that is cancelled ends with cancelled and closes its file', async () => {
    await using opened = await temporaryEngineStore();
    await opened.store.blobs.put(largeDigest, byteSourceOf(large));
    const abort = new AbortController();
    const source = await opened.store.blobs.get(largeDigest, { signal: abort.signal });
    assert.ok(source);
    await assert.rejects(async () => {
      for await (const _chunk of source) abort.abort();
    }, { code: 'cancelled' });
    assert.equal(opened.store.usage.openReads, 0);
  });

  it('waits for a file descriptor within its bound, and gives up when cancelled', async () => {
    await using opened = await temporaryEngineStore({ openReadsMax: 1 });
    const { blobs } = opened.store;
    await blobs.put(largeDigest, byteSourceOf(large));
    const first = await blobs.get(largeDigest);
    const abort = new AbortController();
    const second = Promise.resolve(blobs.get(largeDigest, { signal: abort.signal }));
    const third = Promise.resolve(blobs.get(largeDigest));
    abort.abort();
    await assert.rejects(second, { code: 'cancelled' });
    await first?.[Symbol.asyncDispose]();
    await (await third)?.[Symbol.asyncDispose]();
    assert.equal(opened.store.usage.openReads, 0);
  });
});

async function withStore(directory: string, use: (store: EngineStore) => Promise<unknown>): Promise<void> {
  await using store = await openEngineStore(directory);
  await use(store);
}

function pathOf(directory: string, { hash }: Digest): string {
  return join(directory, 'objects', 'sha256', hash.slice(0, 2), hash);
}

async function shorten(path: string, bytes: number): Promise<void> {
  await chmod(path, 0o644);
  await truncate(path, bytes);
  await chmod(path, 0o444);
}

async function read(store: EngineStore, digest: Digest): Promise<Buffer | undefined> {
  const source = await store.blobs.get(digest);
  return source && Buffer.from(await collect(source, 10_000_000));
}
