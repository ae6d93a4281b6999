// Rules of eviction that no single part of the segment engine keeps: the whole store over real files. Some were written for
// caches that are built in another way; what they are for is proved here, and how it is reached is in
// docs/decisions/0029-rules-of-other-caches.md.
import assert from 'node:assert/strict';
import { readdir, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { byteSourceOf, collect } from '../base/byte-source.ts';
import { CacheError } from '../base/cache-error.ts';
import { isPromise } from '../base/maybe-promise.ts';
import { Digest } from '../digest/digest.ts';
import { sha256 } from '../digest/digest-function.ts';
import { DigestList } from '../digest/digest-list.ts';
import { NodeLogFileSystem } from '../platform/node-log-files.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { RememberingLog } from '../testing/remembering-log.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import { temporaryDirectory } from '../testing/temporary-directory.ts';
import { openEngineStore, temporaryEngineStore } from '../testing/temporary-engine-store.ts';
import type { EngineStore } from './engine-store.ts';
import type { ValueKey } from './value-store.ts';

const mebibyte = 2 ** 20;
const fileBytes = 100_000;
const blockBytes = 4_096;

/** Deletes nothing while it is held: what is in the trash stays there. */
class HeldDeletions extends NodeLogFileSystem implements Disposable {
  isHeld = false;
  /** Asked for and not done yet. */
  waiting = 0;
  #go = Promise.withResolvers<void>();

  override async remove(path: string): Promise<boolean> {
    if (this.isHeld && basename(dirname(path)) === 'trash') {
      this.waiting += 1;
      await this.#go.promise;
      this.waiting -= 1;
    }
    return super.remove(path);
  }

  release(): void {
    this.isHeld = false;
    this.#go.resolve();
    this.#go = Promise.withResolvers();
  }

  /** Whatever a test ends with: a store that closes waits for the deletion that is under way. */
  [Symbol.dispose](): void {
    this.release();
  }
}

/** Counts how often eviction looks what room there is, which it does before each step while there is little. */
class CountedLooks extends NodeLogFileSystem {
  looks = 0;

  override space(path: string): Promise<{ totalBytes: number; freeBytes: number }> {
    this.looks += 1;
    return super.space(path);
  }
}

/** Content that differs from all other in its first bytes. */
let made = 0;
function content(size: number): Buffer {
  made += 1;
  return Buffer.alloc(size, `${made} `);
}

function batchOf(count: number): { readonly bytes: Buffer; readonly digest: Digest }[] {
  return Array.from({ length: count }, () => content(1_000)).map((bytes) => ({ bytes, digest: Digest.of(bytes) }));
}

function keyOf(number: number): ValueKey {
  return { kind: 'opaque', instance: '', digestFunction: sha256, hash: number.toString(16).padStart(64, '0') };
}

describe('look-ups and eviction', () => {
  it('K2-01: a look-up is answered in the same turn, whatever eviction waits for', async () => {
    const files = new HeldDeletions();
    await using opened = await temporaryEngineStore({ maxBytes: 4 * mebibyte, leaseMs: 0, lowWatermarkShare: 0.25 }, { files });
    using _files = files;
    const { blobs, values } = opened.store;
    for (let count = 0; count < 28; count += 1) await put(opened.store, content(fileBytes));
    const small = await put(opened.store, content(2_000));
    const known = await put(opened.store, content(fileBytes));
    await values.put(keyOf(1), byteSourceOf(content(500)));
    files.isHeld = true;
    while (files.waiting === 0) await put(opened.store, content(fileBytes));
    for (let round = 0; round < 100; round += 1) {
      const missing = blobs.findMissing(DigestList.of(small, known, Digest.of(Buffer.from('absent'))));
      assert.ok(!isPromise(missing) && missing.length === 1);
      assert.ok(!isPromise(blobs.resolve(sha256, known.hash)));
      if (round % 10 === 0) await turn();
    }
    assert.ok((await read(opened.store, small)) && (await read(opened.store, known)) && (await values.get(keyOf(1))), 'and reads come back');
    assert.equal(files.waiting, 1, 'eviction waits all the time');
    files.release();
  });

  it('K2-02: what is new is there right after it was put, in a store full of what is used all the time', async () => {
    const clock = new ManualClock(Date.now());
    await using opened = await temporaryEngineStore({ maxBytes: 4 * mebibyte, segmentBytes: 65_536, leaseMs: 60_000 }, { clock });
    const { blobs, values } = opened.store;
    const warm: Digest[] = [];
    const warmUp = async (): Promise<void> => {
      await blobs.findMissing(DigestList.from(warm)); // a use of each
      clock.advance(20_000);
    };
    while (opened.store.usage.evictedCount === 0) {
      warm.push(await put(opened.store, content(fileBytes)), await put(opened.store, content(9_000)));
      await warmUp();
    }
    for (let round = 0; round < 8; round += 1) {
      for (const size of [100, 9_000, fileBytes, 300_000]) {
        const bytes = content(size);
        const digest = await put(opened.store, bytes);
        assert.ok((await read(opened.store, digest))?.equals(bytes), `${size} bytes, round ${round}`);
      }
      const value = content(1_000);
      await values.put(keyOf(round), byteSourceOf(value));
      const found = await values.get(keyOf(round));
      assert.ok(found && Buffer.from(await collect(found, 10_000)).equals(value));
      await warmUp();
    }
  });

  it('K2-12: a put that makes others go is acknowledged before anything of them is deleted', async () => {
    const files = new HeldDeletions();
    await using opened = await temporaryEngineStore({ maxBytes: 16 * mebibyte, segmentBytes: 65_536, leaseMs: 0, lowWatermarkShare: 0.25 }, { files });
    using _files = files;
    while (opened.store.usage.evictedCount === 0) await put(opened.store, content(fileBytes));
    files.isHeld = true;
    const before = opened.store.usage.evictedCount;
    for (let count = 0; count < 12; count += 1) {
      await put(opened.store, content(fileBytes)); // would not come back, if it waited for a deletion
      while (opened.store.usage.evictedCount <= before + count) await turn();
    }
    assert.ok(opened.store.usage.evictedCount >= before + 10);
    assert.ok(opened.store.usage.trashBytes >= 10 * fileBytes, 'all of it is on the disk still');
    files.release();
    while (opened.store.usage.trashBytes > 0) await turn();
  });
});

describe('what is evicted', () => {
  it('K2-05: is neither lost nor more than the store has room for, while the disk deletes nothing', async () => {
    const files = new HeldDeletions();
    const log = new RememberingLog();
    const timers = new ManualClock();
    const maxBytes = 4 * mebibyte;
    await using opened = await temporaryEngineStore({ maxBytes, segmentBytes: 65_536, leaseMs: 0, lowWatermarkShare: 0.1 }, { files, log, timers });
    using _files = files;
    files.isHeld = true;
    let stored = 0;
    // Whoever writes on is held up, as nothing comes free, and told to come again in the end: so much for a queue that grows.
    const writing = (async () => {
      for (;;) {
        await put(opened.store, content(fileBytes));
        stored += 1;
      }
    })();
    let refusal: unknown;
    const refused = writing.catch((thrown: unknown) => void (refusal = thrown));
    let seen = 0;
    while (refusal === undefined) {
      timers.advance(100);
      await turn();
      const { usedBytes, reservedBytes } = opened.store.usage;
      seen = Math.max(seen, usedBytes + reservedBytes);
    }
    await refused;
    // Which of the two depends on what came first: that nothing is left to evict, or that what was evicted stays.
    assert.ok(refusal instanceof CacheError && ['unavailable', 'resource_exhausted'].includes(refusal.code), refusal instanceof Error ? refusal.message : 'no error');
    assert.ok(seen <= maxBytes + 65_536, `${seen} of ${maxBytes} bytes`);
    assert.ok(files.waiting === 1 && opened.store.usage.trashBytes > 0);
    files.release();
    while (opened.store.usage.trashBytes > 0) await turn();
    assert.deepEqual(await readdir(join(opened.directory, 'trash')), []);
    assert.equal(stored, opened.store.usage.blobsCount + opened.store.usage.evictedCount);
    assert.equal(log.lines.filter((line) => line.startsWith('warn what was stored or used a moment ago had to go')).length, 1);
    await put(opened.store, content(fileBytes));
  });

  it('K2-08: is counted once, is found no more, and gives back what it took', async (t) => {
    const random = seededRandom(t);
    await using opened = await temporaryEngineStore({ maxBytes: 4 * mebibyte, segmentBytes: 65_536, leaseMs: 0 });
    const { store, directory } = opened;
    const stored: Digest[] = [];
    for (let round = 0; round < 60; round += 1) {
      const sizes = Array.from({ length: 6 }, () => (random.fraction() < 0.8 ? random.integer(100, 15_000) : random.integer(20_000, 200_000)));
      stored.push(...(await Promise.all(sizes.map((size) => put(store, content(size))))));
    }
    // One is taken away by somebody else: that is found out, and is no eviction.
    const lost = await put(store, content(150_000));
    await rm(pathOf(directory, lost));
    assert.equal(await read(store, lost), undefined);
    while (store.usage.blobsCount + store.usage.evictedCount < stored.length || store.usage.trashBytes > 0) await turn();
    for (let turns = 0; turns < 50; turns += 1) await turn(); // in which nothing is counted twice
    const { blobsCount, evictedCount } = store.usage;
    assert.ok(evictedCount > 100, `${evictedCount} were evicted`);
    assert.equal(blobsCount + evictedCount, stored.length);
    assert.equal((await store.blobs.findMissing(DigestList.from([lost, ...stored]))).length, evictedCount + 1);
    // The next segment may be under way, which is counted first.
    while (store.usage.usedBytes !== (await diskBytes(directory))) await turn();
  });

  it('K2-08: a value that is replaced gives back the one before, once, and stays one entry', async () => {
    await using opened = await temporaryEngineStore({ maxBytes: 8 * mebibyte, segmentBytes: 65_536 });
    const { store } = opened;
    const last = content(3_000);
    for (let count = 0; count < 600; count += 1) await store.values.put(keyOf(1), byteSourceOf(count === 599 ? last : content(3_000)));
    assert.equal(store.usage.filesCount, 1);
    assert.equal(store.usage.evictedCount, 0, 'nothing that somebody could still ask for had to go');
    assert.ok(store.usage.leasedBytes < 4_000, `${store.usage.leasedBytes} bytes are leased`);
    const found = await store.values.get(keyOf(1));
    assert.ok(found && Buffer.from(await collect(found, 10_000)).equals(last));
  });

  it('K2-09: a batch of 552 is one sync beside the one that begins while it is hashed, is found in one turn and read in one go', async () => {
    await using opened = await temporaryEngineStore();
    const { blobs } = opened.store;
    await put(opened.store, content(100)); // begins a segment
    const { syncsCount } = opened.store.usage;
    const batch = batchOf(552);
    assert.ok((await blobs.putMany(batch)).every((result) => result === undefined));
    assert.equal(opened.store.usage.syncsCount, syncsCount + 2);
    const digests = DigestList.from(batch.map(({ digest }) => digest));
    const missing = blobs.findMissing(digests);
    assert.ok(!isPromise(missing) && missing.length === 0, 'sizes of all of them at once');
    const all = await blobs.getMany(digests);
    for (const [index, { bytes }] of batch.entries()) {
      const result = all[index];
      assert.ok(result instanceof Uint8Array && bytes.equals(result));
    }
  });

  it('K2-09: a batch of 552 makes room by segments where there is none, and not for each of them', async () => {
    const files = new CountedLooks();
    await using opened = await temporaryEngineStore({ maxBytes: 4 * mebibyte, segmentBytes: 65_536, leaseMs: 0 }, { files });
    const { blobs } = opened.store;
    while (opened.store.usage.evictedCount === 0) await blobs.putMany(batchOf(552));
    const { evictedCount } = opened.store.usage;
    files.looks = 0;
    assert.ok((await blobs.putMany(batchOf(552))).every((result) => result === undefined));
    const evicted = opened.store.usage.evictedCount - evictedCount;
    assert.ok(evicted > 300, `${evicted} were evicted`);
    assert.ok(files.looks < evicted / 4, `${files.looks} looks at the disk for ${evicted} evictions`);
  });
});

describe('order and limits', () => {
  it('K2-06: after a start the file that was not used for longest goes first, and none before room is needed', async () => {
    const clock = new ManualClock(Date.now());
    await using directory = await temporaryDirectory();
    const options = { maxBytes: 4 * mebibyte, segmentBytes: 65_536, leaseMs: 0, lowWatermarkShare: 0 };
    const digests: Digest[] = [];
    const order = [7, 2, 9, 0, 4, 1, 8, 3, 6, 5];
    {
      await using store = await openEngineStore(directory.path, options, { clock });
      for (let count = 0; count < 10; count += 1) {
        digests.push(await put(store, content(fileBytes)));
        clock.advance(60_000);
      }
      for (const number of order) {
        await store.blobs.findMissing(DigestList.of(digests[number] ?? assert.fail()));
        clock.advance(60_000);
      }
    }
    await using store = await openEngineStore(directory.path, options, { clock });
    const there = async (): Promise<readonly number[]> => {
      const is = await Promise.all(order.map((number) => exists(pathOf(directory.path, digests[number] ?? assert.fail()))));
      return order.filter((_, index) => is[index]);
    };
    for (let turns = 0; turns < 50; turns += 1) await turn();
    assert.equal(store.usage.evictedCount, 0);
    assert.deepEqual(await there(), order);
    for (let left: readonly number[] = order; left.length > 1; left = await there()) {
      await put(store, content(fileBytes));
      const evictedCount: number = store.usage.evictedCount;
      const now = await there();
      assert.ok(now.length <= order.length - evictedCount, 'nothing that is younger went before them');
      assert.deepEqual(now, order.slice(order.length - now.length), 'those that are left were used last');
    }
  });

  it('K2-06: a start makes nothing younger: what was not used for too long before it goes after it', async () => {
    const clock = new ManualClock(Date.now());
    const timers = new ManualClock();
    await using directory = await temporaryDirectory();
    const options = { maxBytes: 16 * mebibyte, segmentBytes: 65_536, leaseMs: 0, ageMaxMs: 3_600_000 };
    const old: Digest[] = [];
    {
      await using store = await openEngineStore(directory.path, options, { clock, timers });
      old.push(await put(store, content(fileBytes)), await put(store, content(1_000)));
    }
    for (let starts = 0; starts < 4; starts += 1) {
      clock.advance(1_000_000); // less than the limit, and more in all
      await using store = await openEngineStore(directory.path, options, { clock, timers });
      for (let turns = 0; turns < 20; turns += 1) await turn();
      if (starts < 3) {
        assert.equal(store.usage.blobsCount, 2, `start ${starts}`);
        continue;
      }
      while (store.usage.blobsCount > 0) {
        timers.advance(5_000);
        await turn();
      }
      assert.equal((await store.blobs.findMissing(DigestList.from(old))).length, 2);
    }
  });

  it('K2-07: with a limit of age alone everything goes by its age, and nothing for its size', async () => {
    const clock = new ManualClock(Date.now());
    const timers = new ManualClock();
    // More than any disk has: there is no mode without a bound, and none is needed.
    await using opened = await temporaryEngineStore({ maxBytes: 2 ** 50, segmentBytes: 65_536, leaseMs: 0, ageMaxMs: 5_000, lowWatermarkShare: 0 }, { clock, timers });
    const { store } = opened;
    const digests: Digest[] = [];
    for (let count = 0; count < 20; count += 1) digests.push(await put(store, content(count % 2 === 0 ? fileBytes : 9_000)));
    await store.values.put(keyOf(1), byteSourceOf(content(1_000)));
    timers.advance(5_000);
    for (let turns = 0; turns < 50; turns += 1) await turn();
    assert.deepEqual([store.usage.filesCount, store.usage.evictedCount], [21, 0]);
    clock.advance(5_000 + 16_000); // times of use are known to 16 seconds
    while (store.usage.filesCount > 0) {
      timers.advance(5_000);
      await turn();
    }
    assert.equal((await store.blobs.findMissing(DigestList.from(digests))).length, 20);
    assert.equal(await store.values.get(keyOf(1)), undefined);
    while (store.usage.evictedCount < 21) await turn(); // counted when its name is durably gone
    assert.equal(store.usage.evictedCount, 21);
  });

  it('K2-17: all copies of a content count, whatever they are kept as, and give way at the limit', async (t) => {
    const random = seededRandom(t);
    const maxBytes = 6 * mebibyte;
    await using opened = await temporaryEngineStore({ maxBytes, segmentBytes: 65_536, leaseMs: 0 });
    const { store, directory } = opened;
    for (let round = 0; round < 40; round += 1) {
      // The same bytes twice, as a blob and below a key: so would be a copy of another mode.
      const bytes = content(random.integer(20_000, 400_000));
      await put(store, bytes);
      await store.values.put(keyOf(round), byteSourceOf(Buffer.concat([bytes, Buffer.from('copy')])));
      const { usedBytes } = store.usage;
      assert.ok(usedBytes <= maxBytes + 65_536, `${usedBytes} of ${maxBytes} bytes`);
      assert.ok((await diskBytes(directory)) <= maxBytes + 2 * 65_536);
    }
    assert.ok(store.usage.evictedCount > 0);
    while (store.usage.trashBytes > 0) await turn();
    // The next segment may be under way, which is counted first.
    while (store.usage.usedBytes !== (await diskBytes(directory))) await turn();
  });
});

async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

async function put(store: EngineStore, bytes: Uint8Array): Promise<Digest> {
  const digest = Digest.of(bytes);
  await store.blobs.put(digest, byteSourceOf(bytes));
  return digest;
}

async function read(store: EngineStore, digest: Digest): Promise<Buffer | undefined> {
  const source = await store.blobs.get(digest);
  return source && Buffer.from(await collect(source, 10_000_000));
}

function pathOf(directory: string, { hash }: Digest): string {
  return join(directory, 'objects', 'sha256', hash.slice(0, 2), hash);
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(() => true, () => false);
}

/** What the files of the store take by its rule: segments their length, others whole blocks. */
async function diskBytes(directory: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const name = basename(entry.parentPath);
    const path = join(entry.parentPath, entry.name);
    if (entry.parentPath === directory) continue;
    const found = await stat(path).catch(() => undefined); // it may go meanwhile
    if (found === undefined) continue;
    bytes += name === 'segments' ? found.size : Math.max(1, Math.ceil(found.size / blockBytes)) * blockBytes;
  }
  return bytes;
}
