// Blobs in files: the contract, what is checked when, and what is served from memory.
import assert from 'node:assert/strict';
import { mkdir, readFile, readdir, rm, stat, truncate, writeFile, chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ByteBudget } from '../base/byte-budget.ts';
import { byteSourceOf, collect } from '../base/byte-source.ts';
import { CacheError } from '../base/cache-error.ts';
import { isPromise } from '../base/maybe-promise.ts';
import { Digest } from '../digest/digest.ts';
import { blake3, sha256 } from '../digest/digest-function.ts';
import { DigestList } from '../digest/digest-list.ts';
import { blobStoreConformance } from '../testing/blob-store-conformance.ts';
import { SeededRandom, chunked, seededRandom } from '../testing/seeded-random.ts';
import { openFileStore, temporaryDirectory, temporaryFileStore } from '../testing/temporary-file-store.ts';

const open = async (hotBytesMax: number) => {
  const opened = await temporaryFileStore({ hotBytesMax, blobBytesMax: 10_000_000 });
  return { store: opened.store.blobs, [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose]() };
};
blobStoreConformance('files', () => open(10_000_000));
blobStoreConformance('files, nothing kept in memory', () => open(0));

const large = new SeededRandom(1).bytes(3_000_000);
const largeDigest = Digest.of(large);
const small = new SeededRandom(2).bytes(5_000);
const smallDigest = Digest.of(small);

const pathOf = (directory: string, { hash }: Digest): string => join(directory, 'objects/sha256', hash.slice(0, 2), hash);

/** Changes stored bytes in spite of their mode. */
async function damage(path: string, change: (bytes: Buffer) => Buffer): Promise<void> {
  const bytes = await readFile(path);
  await chmod(path, 0o600);
  await writeFile(path, change(bytes));
}
const flipLast = (bytes: Buffer): Buffer => {
  bytes.writeUInt8((bytes.at(-1) ?? 0) ^ 1, bytes.byteLength - 1);
  return bytes;
};

describe('FileBlobStore', () => {
  it('keeps raw bytes under function, shard and hash, mode 0444 (K1-18), and finds them after a restart', async () => {
    await using directory = await temporaryDirectory();
    const other = Digest.of(small, blake3);
    {
      await using store = await openFileStore(directory.path);
      await store.blobs.put(smallDigest, byteSourceOf(small));
      await store.blobs.put(other, byteSourceOf(small));
      await store.blobs.put(largeDigest, byteSourceOf(large));
    }
    for (const path of [pathOf(directory.path, smallDigest), join(directory.path, 'objects/blake3', other.hash.slice(0, 2), other.hash)]) {
      assert.ok((await readFile(path)).equals(small));
      assert.equal((await stat(path)).mode & 0o7777, 0o444);
    }
    await using store = await openFileStore(directory.path);
    assert.equal((await store.blobs.findMissing(DigestList.of(smallDigest, largeDigest))).length, 0);
    assert.deepEqual(await read(store, largeDigest), Buffer.from(large));
    assert.deepEqual(await read(store, other), Buffer.from(small));
    assert.equal(store.usage.filesCount, 3);
  });

  it('answers existence, sizes, absence and hot bytes without a promise', async () => {
    await using opened = await temporaryFileStore();
    const { blobs } = opened.store;
    await blobs.put(smallDigest, byteSourceOf(small));
    const both = DigestList.of(smallDigest, largeDigest);
    for (const answer of [
      blobs.findMissing(both), blobs.resolve(sha256, smallDigest.hash), blobs.get(largeDigest),
      blobs.get(smallDigest), blobs.getMany(both), blobs.get(smallDigest, { range: { offset: 10, length: 5 } }),
    ]) assert.ok(!isPromise(answer));
  });

  it('serves a blob of up to 1 MiB from memory from the third read on, whole and by range', async () => {
    await using opened = await temporaryFileStore();
    const { blobs, usage } = { blobs: opened.store.blobs, usage: () => opened.store.usage };
    const middling = large.subarray(0, 1024 * 1024);
    const digest = Digest.of(middling);
    await blobs.put(digest, byteSourceOf(middling));
    for (let times = 0; times < 2; times += 1) {
      assert.equal(usage().hotBytes, 0, 'once is not often');
      await read(opened.store, digest);
    }
    assert.ok(usage().hotBytes > middling.byteLength);
    const source = blobs.get(digest);
    assert.ok(!isPromise(source) && source?.inMemory !== undefined && Buffer.from(source.inMemory).equals(middling));
    const part = blobs.get(digest, { range: { offset: 1000, length: 5 } });
    assert.ok(!isPromise(part) && part?.inMemory !== undefined);
    assert.ok(Buffer.from(part.inMemory).equals(middling.subarray(1000, 1005)));
    await rm(pathOf(opened.directory, digest));
    assert.ok((await read(opened.store, digest))?.equals(middling));
  });

  it('keeps what it counts in memory, and not the message that a blob came in', async () => {
    await using opened = await temporaryFileStore();
    for (const message of [Buffer.alloc(50_000, 1), new Uint8Array(50_000).fill(2)]) {
      const bytes = message.subarray(100, 1_100);
      const digest = Digest.of(bytes);
      await opened.store.blobs.putMany([{ digest, bytes }]);
      const [kept] = await opened.store.blobs.getMany(DigestList.of(digest));
      assert.ok(kept instanceof Uint8Array);
      assert.equal(kept.buffer.byteLength, 1_000);
    }
  });

  it('counts a small blob while it is received and stored, and refuses it when memory is short', async () => {
    await using directory = await temporaryDirectory();
    const budget = new ByteBudget({ maxBytes: 1_000_000, waitersMax: 0 });
    await using store = await openFileStore(directory.path, {}, { budget });
    const seen: number[] = [];
    const sent = (last: () => void) =>
      (async function* () {
        yield small.subarray(0, 100);
        seen.push(budget.usedBytes);
        last();
        yield small.subarray(100);
      })();
    await assert.rejects(store.blobs.put(smallDigest, sent(() => assert.fail('broken off'))), { message: 'broken off' });
    assert.equal(budget.usedBytes, 0);
    budget.take(900_000);
    await assert.rejects(store.blobs.put(smallDigest, sent(() => {})), { code: 'unavailable' });
    const little = new Uint8Array(4_096);
    await store.blobs.put(Digest.of(little), byteSourceOf(little));
    budget.give(900_000);
    await store.blobs.put(smallDigest, sent(() => {}));
    assert.deepEqual(seen, [5_000, 5_000]);
    assert.equal(budget.usedBytes, 0);
  });

  it('tells in the turn of the call that all blobs of a batch are there', async () => {
    await using opened = await temporaryFileStore();
    const { blobs } = opened.store;
    const batch = [{ digest: smallDigest, bytes: small }, { digest: largeDigest, bytes: large }];
    assert.deepEqual(await blobs.putMany(batch), [undefined, undefined]);
    assert.deepEqual(await blobs.putMany([...batch, { digest: Digest.of(Buffer.from('new')), bytes: Buffer.from('new') }]), [undefined, undefined, undefined]);
    const [, refused] = await blobs.putMany([batch[0] ?? assert.fail(), { digest: Digest.parse(sha256, largeDigest.hash, 5), bytes: large }]);
    assert.ok(refused instanceof CacheError && refused.code === 'invalid_argument');
  });

  it('K1-16: a put of a present blob reads nothing and rewrites nothing', async () => {
    await using opened = await temporaryFileStore();
    const { blobs } = opened.store;
    await blobs.put(largeDigest, byteSourceOf(large));
    const path = pathOf(opened.directory, largeDigest);
    const before = await stat(path);
    let pulled = false;
    await blobs.put(largeDigest, (async function* () {
      pulled = true;
      yield large;
    })());
    assert.deepEqual(await blobs.putMany([{ digest: largeDigest, bytes: large }]), [undefined]);
    const after = await stat(path);
    assert.equal(pulled, false);
    assert.deepEqual([after.ino, after.mtimeMs, after.ctimeMs], [before.ino, before.mtimeMs, before.ctimeMs]);
  });

  it('K1-02, K1-10: after a restart a small blob with a flipped bit is absent, quarantined, and can be put again', async () => {
    await using directory = await temporaryDirectory();
    await using first = await openFileStore(directory.path);
    await first.blobs.put(smallDigest, byteSourceOf(small));
    await first.close();
    await damage(pathOf(directory.path, smallDigest), flipLast);
    await using store = await openFileStore(directory.path);
    assert.deepEqual(await store.blobs.getMany(DigestList.of(smallDigest)), [undefined]);
    assert.equal(await store.blobs.get(smallDigest), undefined);
    assert.equal((await store.blobs.findMissing(DigestList.of(smallDigest))).length, 1);
    assert.deepEqual(await readdir(join(directory.path, 'quarantine')), [`sha256-${smallDigest.hash}`]);
    assert.equal(store.usage.corruptCount, 1);
    await store.blobs.put(smallDigest, byteSourceOf(small));
    assert.deepEqual(await read(store, smallDigest), Buffer.from(small));
  });

  it('K1-02, K1-10: a large blob found corrupt in passing ends with data_loss before its last chunk', async () => {
    await using directory = await temporaryDirectory();
    await using first = await openFileStore(directory.path);
    await first.blobs.put(largeDigest, byteSourceOf(large));
    await first.close();
    await damage(pathOf(directory.path, largeDigest), (bytes) => bytes.fill(0, 100_000, 104_096));
    await using store = await openFileStore(directory.path);
    const source = await store.blobs.get(largeDigest);
    assert.ok(source);
    let received = 0;
    await assert.rejects(async () => {
      for await (const chunk of source) received += chunk.byteLength;
    }, { code: 'data_loss' });
    assert.ok(received > 0 && received < large.byteLength, `${received} bytes went out`);
    assert.equal((await store.blobs.findMissing(DigestList.of(largeDigest))).length, 1);
    assert.equal((await readdir(join(directory.path, 'quarantine'))).length, 1);
  });

  it('K1-10: a part of a large blob is not served before the whole was found right', async () => {
    for (const damaged of [true, false]) {
      await using directory = await temporaryDirectory();
      await using first = await openFileStore(directory.path);
      await first.blobs.put(largeDigest, byteSourceOf(large));
      await first.close();
      if (damaged) await damage(pathOf(directory.path, largeDigest), flipLast);
      await using store = await openFileStore(directory.path);
      const range = { offset: 5, length: 10 };
      const parts = await Promise.all([0, 1, 2].map(async () => store.blobs.get(largeDigest, { range })));
      for (const part of parts) {
        if (damaged) assert.equal(part, undefined);
        else assert.deepEqual(part && Buffer.from(await collect(part, 10)), Buffer.from(large.subarray(5, 15)));
      }
      assert.equal(store.usage.corruptCount, damaged ? 1 : 0);
    }
  });

  it('a blob that lost its length on disk is not in the way of its right size', async () => {
    for (const [digest, bytes] of [[smallDigest, small], [largeDigest, large]] as const) {
      for (const left of [0, 100]) {
        for (const first of ['findMissing', 'get', 'getMany', 'put', 'resolve'] as const) {
          await using directory = await temporaryDirectory();
          await using before = await openFileStore(directory.path);
          await before.blobs.put(digest, byteSourceOf(bytes));
          await before.close();
          await truncate(pathOf(directory.path, digest), left);
          await using store = await openFileStore(directory.path);
          const { blobs } = store;
          if (first === 'findMissing') assert.equal((await blobs.findMissing(DigestList.of(digest))).length, 1);
          if (first === 'get') assert.equal(await blobs.get(digest), undefined);
          if (first === 'getMany') assert.deepEqual(await blobs.getMany(DigestList.of(digest)), [undefined]);
          if (first === 'resolve') await blobs.resolve(sha256, digest.hash);
          await blobs.put(digest, byteSourceOf(bytes));
          assert.deepEqual(await read(store, digest), Buffer.from(bytes), `${first}, ${left} bytes left`);
        }
      }
    }
  });

  it('a blob cut short while it is served ends with data_loss and is out of service', async () => {
    await using opened = await temporaryFileStore();
    const { blobs } = opened.store;
    await blobs.put(largeDigest, byteSourceOf(large));
    const source = await blobs.get(largeDigest);
    assert.ok(source);
    await truncate(pathOf(opened.directory, largeDigest), 1_000_000);
    await assert.rejects(collect(source, 10_000_000), { code: 'data_loss' });
    assert.equal(await blobs.get(largeDigest), undefined);
  });

  it('a blob whose file somebody removed is absent, not an error', async () => {
    await using opened = await temporaryFileStore({ hotBytesMax: 0 });
    const { blobs } = opened.store;
    for (const [digest, bytes] of [[smallDigest, small], [largeDigest, large]] as const) {
      await blobs.put(digest, byteSourceOf(bytes));
      await rm(pathOf(opened.directory, digest));
      assert.equal(await blobs.get(digest), undefined);
      assert.equal((await blobs.findMissing(DigestList.of(digest))).length, 1);
    }
  });

  it('goes on when somebody removes all blobs while it runs: the first write is told, the next one makes the directories', async () => {
    await using opened = await temporaryFileStore({ hotBytesMax: 0 });
    const { blobs } = opened.store;
    await blobs.put(smallDigest, byteSourceOf(small));
    await rm(join(opened.directory, 'objects'), { recursive: true });
    assert.equal(await blobs.get(smallDigest), undefined);
    await assert.rejects(blobs.put(smallDigest, byteSourceOf(small)), { code: 'unavailable' });
    await blobs.put(smallDigest, byteSourceOf(small));
    assert.deepEqual(await read(opened.store, smallDigest), Buffer.from(small));
  });

  it('a disk error is unavailable, never absence', async () => {
    await using opened = await temporaryFileStore({ hotBytesMax: 0 });
    const { blobs } = opened.store;
    await blobs.put(smallDigest, byteSourceOf(small));
    const path = pathOf(opened.directory, smallDigest);
    await rm(path);
    await mkdir(path); // reading a directory fails with EISDIR
    await assert.rejects(async () => blobs.get(smallDigest), { code: 'unavailable' });
    const [result] = await blobs.getMany(DigestList.of(smallDigest));
    assert.equal(result instanceof CacheError && result.code, 'unavailable');
  });

  it('closes every file, whether read to the end, left, disposed or never read', async (t) => {
    const random = seededRandom(t);
    await using opened = await temporaryFileStore();
    const { blobs } = opened.store;
    await blobs.put(largeDigest, chunked(large, random));
    const get = async () => {
      const source = await blobs.get(largeDigest);
      assert.ok(source);
      return source;
    };
    await collect(await get(), 10_000_000);
    for await (const _chunk of await get()) break;
    await (await get())[Symbol.asyncDispose]();
    const twice = await get();
    for await (const _chunk of twice) break;
    await twice[Symbol.asyncDispose]();
    assert.deepEqual([opened.store.usage.openReads, opened.store.usage.openWrites], [0, 0]);
  });

  it('a read that is cancelled ends with cancelled and closes its file', async () => {
    await using opened = await temporaryFileStore();
    const { blobs } = opened.store;
    await blobs.put(largeDigest, byteSourceOf(large));
    const abort = new AbortController();
    const source = await blobs.get(largeDigest, { signal: abort.signal });
    assert.ok(source);
    await assert.rejects(async () => {
      for await (const _chunk of source) abort.abort();
    }, { code: 'cancelled' });
    assert.equal(opened.store.usage.openReads, 0);
  });

  it('waits for a file descriptor within its bound, and gives up when cancelled', async () => {
    await using opened = await temporaryFileStore({ openReadsMax: 1 });
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

async function read(store: { readonly blobs: Awaited<ReturnType<typeof openFileStore>>['blobs'] }, digest: Digest): Promise<Buffer | undefined> {
  const source = await store.blobs.get(digest);
  return source && Buffer.from(await collect(source, 10_000_000));
}
