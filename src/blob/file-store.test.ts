// One data directory under one bound: what goes when, what a restart keeps, and how it refuses.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { byteSourceOf, collect } from '../base/byte-source.ts';
import { Digest } from '../digest/digest.ts';
import { sha256 } from '../digest/digest-function.ts';
import { DigestList } from '../digest/digest-list.ts';
import { FaultyFileSystem } from '../testing/faulty-file-system.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { SeededRandom, chunked, seededRandom } from '../testing/seeded-random.ts';
import { RememberingLog, openFileStore, temporaryDirectory } from '../testing/temporary-file-store.ts';
import type { FileStore } from './file-store.ts';
import type { ValueKey } from './value-store.ts';

const directory = '/data';
const blockBytes = 4096;
/** Distinct blobs of one block each. */
const blobs = Array.from({ length: 40 }, (_, index) => {
  const bytes = new SeededRandom(index).bytes(3_000);
  return { bytes, digest: Digest.of(bytes) };
});
const blob = (index: number): { readonly bytes: Uint8Array; readonly digest: Digest } => {
  const found = blobs[index];
  assert.ok(found);
  return found;
};
const key = (index: number, kind: ValueKey['kind'] = 'action_result'): ValueKey => ({
  kind, instance: '', digestFunction: sha256, hash: blob(index).digest.hash,
});
const put = (store: FileStore, index: number) => store.blobs.put(blob(index).digest, byteSourceOf(blob(index).bytes));
const putValue = (store: FileStore, index: number, kind?: ValueKey['kind']) => store.values.put(key(index, kind), byteSourceOf(blob(index).bytes));

/** The blobs that are there, by number; asking does not count as a use worth keeping, since nothing follows. */
async function present(store: FileStore): Promise<readonly number[]> {
  const missing = new Set(Array.from(await store.blobs.findMissing(DigestList.from(blobs.map(({ digest }) => digest))), ({ key: one }) => one));
  return [...blobs.keys()].filter((index) => !missing.has(blob(index).digest.key));
}

/** A disk in memory and a clock that both agree on the time. */
function world() {
  const clock = new ManualClock(1_700_000_000_000);
  const disk = new FaultyFileSystem();
  disk.nowMs = () => clock.nowMs();
  return { clock, disk };
}

/** A file's use written down: `durationMs` pass, and the background flush runs. */
async function pass(clock: ManualClock, durationMs: number): Promise<void> {
  clock.advance(durationMs);
  await new Promise(setImmediate);
}

describe('FileStore bound', () => {
  it('keeps within its bound, counted in blocks as the disk does, and drops what was used longest ago', async (t) => {
    const random = seededRandom(t);
    await using temporary = await temporaryDirectory();
    const maxBytes = 64 * blockBytes;
    await using store = await openFileStore(temporary.path, { maxBytes });
    for (let round = 0; round < 300; round += 1) {
      const bytes = random.bytes(random.integer(1, 12_000));
      await store.blobs.put(Digest.of(bytes), chunked(bytes, random));
      assert.ok(store.usage.usedBytes <= maxBytes, `${store.usage.usedBytes} of ${maxBytes}`);
    }
    const files = (await readdir(join(temporary.path, 'objects'), { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
    const statuses = await Promise.all(files.map((entry) => stat(join(entry.parentPath, entry.name))));
    const allocated = statuses.reduce((sum, { blocks }) => sum + blocks * 512, 0);
    assert.ok(allocated <= maxBytes, `${allocated} bytes are allocated on disk`);
    assert.equal(files.length, store.usage.filesCount);
    assert.ok(store.usage.filesCount > 20, 'the bound is used, not undercut');
  });

  it('reading, finding present, resolving and putting again are uses', async () => {
    const { clock, disk } = world();
    await using store = await openFileStore(directory, { maxBytes: 6 * blockBytes }, { files: disk, clock });
    for (let index = 0; index < 6; index += 1) {
      await put(store, index);
      await pass(clock, 10);
    }
    await (await store.blobs.get(blob(0).digest))?.[Symbol.asyncDispose]();
    await store.blobs.findMissing(DigestList.of(blob(1).digest));
    await store.blobs.resolve(sha256, blob(2).digest.hash);
    await put(store, 3);
    await store.blobs.getMany(DigestList.of(blob(4).digest));
    await put(store, 6);
    assert.deepEqual(await present(store), [0, 1, 2, 3, 4, 6]);
  });

  it('a result goes before the blobs that were put with it; an older blob goes before both', async () => {
    const { clock, disk } = world();
    await using store = await openFileStore(directory, { maxBytes: 4 * blockBytes }, { files: disk, clock });
    await put(store, 0);
    await pass(clock, 3_600_000);
    await put(store, 1);
    await put(store, 2);
    await pass(clock, 10_000);
    await putValue(store, 1);
    await put(store, 3);
    assert.deepEqual(await present(store), [1, 2, 3], 'the old blob went first');
    await put(store, 4);
    assert.equal(await store.values.get(key(1)), undefined, 'then the result, although it was used last');
    assert.deepEqual(await present(store), [1, 2, 3, 4]);
  });

  it('opaque values age like blobs, under the same bound', async () => {
    const { clock, disk } = world();
    await using store = await openFileStore(directory, { maxBytes: 3 * blockBytes }, { files: disk, clock });
    await put(store, 0);
    await pass(clock, 10);
    await putValue(store, 1, 'opaque');
    await pass(clock, 10);
    await put(store, 2);
    await put(store, 3);
    assert.deepEqual(await present(store), [2, 3]);
    assert.ok(await store.values.get(key(1, 'opaque')));
  });

  it('what is open stays readable after it was evicted', async () => {
    await using temporary = await temporaryDirectory();
    await using store = await openFileStore(temporary.path, { maxBytes: 5_000_000 });
    const bytes = randomBytes(3_000_000);
    const digest = Digest.of(bytes);
    await store.blobs.put(digest, byteSourceOf(bytes));
    const source = await store.blobs.get(digest);
    const other = randomBytes(3_000_000);
    await store.blobs.put(Digest.of(other), byteSourceOf(other));
    assert.equal((await store.blobs.findMissing(DigestList.of(digest))).length, 1);
    assert.ok(source && bytes.equals(await collect(source, bytes.byteLength)));
  });

  it('takes room before the first byte: what cannot fit is refused unread, and for good', async () => {
    const { clock, disk } = world();
    await using store = await openFileStore(directory, { maxBytes: 10 * blockBytes }, { files: disk, clock });
    await put(store, 0);
    const bytes = new Uint8Array(100_000).fill(1);
    let pulled = false;
    const source = (async function* () {
      pulled = true;
      yield bytes;
    })();
    await assert.rejects(store.blobs.put(Digest.of(bytes), source), { code: 'resource_exhausted' });
    assert.equal(pulled, false);
    assert.deepEqual(await present(store), [0], 'nothing was dropped for it');
    assert.equal(store.usage.reservedBytes, 0);
  });

  it('counts writes in progress: one that only those keep out is told to come again', async () => {
    const { clock, disk } = world();
    await using store = await openFileStore(directory, { maxBytes: 30 * blockBytes }, { files: disk, clock });
    const large = [1, 2, 3].map((fill) => new Uint8Array(80_000).fill(fill));
    const [first, second] = large;
    assert.ok(first && second);
    const { promise: gate, resolve: openGate } = Promise.withResolvers<void>();
    const slow = store.blobs.put(Digest.of(first), (async function* () {
      await gate;
      yield first;
    })());
    await pass(clock, 1);
    await assert.rejects(store.blobs.put(Digest.of(second), byteSourceOf(second)), (thrown: { code: string; details: readonly { kind: string }[] }) => {
      return thrown.code === 'unavailable' && thrown.details[0]?.kind === 'retry_after';
    });
    openGate();
    await slow;
    await store.blobs.put(Digest.of(second), byteSourceOf(second));
    assert.equal(store.usage.filesCount, 1, 'the first had to go for the second');
    assert.deepEqual([store.usage.reservedBytes, store.usage.openWrites], [0, 0]);
  });

  it('gives back room, files and permits of puts that fail', async (t) => {
    const random = seededRandom(t);
    const { clock, disk } = world();
    await using store = await openFileStore(directory, {}, { files: disk, clock });
    for (const length of [1_000, 200_000]) {
      const digest = Digest.of(random.bytes(length));
      await assert.rejects(store.blobs.put(digest, chunked(random.bytes(length), random)), { code: 'invalid_argument' });
      for (const code of ['ENOSPC', 'EIO']) {
        disk.fault = (operation) => (operation === 'syncData' ? code : undefined);
        const bytes = random.bytes(length);
        await assert.rejects(store.blobs.put(Digest.of(bytes), chunked(bytes, random)), { code: code === 'ENOSPC' ? 'resource_exhausted' : 'unavailable' });
        disk.fault = () => undefined;
      }
    }
    const { usedBytes, reservedBytes, openWrites } = store.usage;
    assert.deepEqual([usedBytes, reservedBytes, openWrites], [0, 0, 0]);
    assert.deepEqual([...disk.snapshot().keys()].filter((path) => path.includes('objects')), []);
  });

  it('files that cannot be deleted stay counted and served, and who needs their room is told', async () => {
    const { clock, disk } = world();
    const log = new RememberingLog();
    await using store = await openFileStore(directory, { maxBytes: 2 * blockBytes }, { files: disk, clock, log });
    await put(store, 0);
    await put(store, 1);
    disk.fault = (operation) => (operation === 'remove' ? 'EIO' : undefined);
    for (const index of [2, 3, 4]) await assert.rejects(put(store, index), { code: 'unavailable' });
    assert.equal(store.usage.usedBytes, 2 * blockBytes);
    assert.ok(log.lines.some((line) => line.startsWith('error')));
    assert.deepEqual(await present(store), [0, 1]);
    assert.ok(await store.blobs.get(blob(0).digest));
    disk.fault = () => undefined;
    await put(store, 2);
    assert.equal((await present(store)).length, 2);
    assert.equal(store.usage.usedBytes, 2 * blockBytes);
  });
});

describe('FileStore quarantine', () => {
  it('K1-02: counts towards the bound, keeps to a tenth of it, and stays within it after a restart with a lower one', async () => {
    const { clock, disk } = world();
    const before = await openFileStore(directory, {}, { files: disk, clock });
    for (let index = 0; index < 10; index += 1) await put(before, index);
    await before.close();
    for (const path of disk.snapshot().keys()) if (path.includes('objects')) disk.tamper(path, (bytes) => bytes.fill(0, 0, 1));
    const quarantined = (): number => [...disk.snapshot().keys()].filter((path) => path.includes('quarantine')).length;
    const maxBytes = 40 * blockBytes;
    {
      await using store = await openFileStore(directory, { maxBytes }, { files: disk, clock });
      const found = await store.blobs.getMany(DigestList.from(blobs.slice(0, 10).map(({ digest }) => digest)));
      assert.deepEqual(found, Array(10).fill(undefined));
      assert.deepEqual([quarantined(), store.usage.quarantinedCount, store.usage.corruptCount, store.usage.filesCount], [4, 4, 10, 0]);
      assert.equal(store.usage.usedBytes, 4 * blockBytes);
      for (let index = 0; index < 40; index += 1) await put(store, index);
      assert.ok(store.usage.usedBytes <= maxBytes && store.usage.filesCount === 36, `${store.usage.filesCount} files`);
    }
    await using store = await openFileStore(directory, { maxBytes: 20 * blockBytes }, { files: disk, clock });
    assert.deepEqual([quarantined(), store.usage.quarantinedCount, store.usage.filesCount], [2, 2, 18]);
  });
});

describe('FileStore restart', () => {
  for (const end of ['closed', 'killed'] as const) {
    it(`evicts in the same order after it was ${end}`, async () => {
      const { clock, disk } = world();
      const before = await openFileStore(directory, { maxBytes: 8 * blockBytes }, { files: disk, clock });
      for (let index = 0; index < 6; index += 1) {
        await put(before, index);
        await pass(clock, 20_000);
      }
      await putValue(before, 0, 'opaque');
      await pass(clock, 20_000);
      for (const index of [4, 0]) {
        await before.blobs.findMissing(DigestList.of(blob(index).digest));
        await pass(clock, 20_000);
      }
      if (end === 'closed') await before.close();
      await using store = await openFileStore(directory, { maxBytes: 4 * blockBytes }, { files: disk.afterKill(), clock });
      assert.deepEqual(await present(store), [0, 4, 5]);
      assert.ok(await store.values.get(key(0, 'opaque')));
    });
  }

  it('loses no more than seconds of the order when it is killed, and nothing else', async () => {
    const { clock, disk } = world();
    const before = await openFileStore(directory, {}, { files: disk, clock });
    for (let index = 0; index < 4; index += 1) {
      await put(before, index);
      await pass(clock, 10_000);
    }
    await before.blobs.findMissing(DigestList.of(blob(0).digest));
    await pass(clock, 1_000);
    await using store = await openFileStore(directory, { maxBytes: 2 * blockBytes }, { files: disk.afterKill(), clock });
    assert.deepEqual(await present(store), [0, 3], 'a use is written down a second later');
  });

  it('writes the order down in batches, and keeps the log short', async () => {
    const { clock, disk } = world();
    await using store = await openFileStore(directory, {}, { files: disk, clock });
    for (let index = 0; index < 20; index += 1) await put(store, index);
    disk.operations.length = 0;
    for (let second = 0; second < 60; second += 1) {
      await present(store);
      await pass(clock, 1_000);
    }
    const writes = disk.operations.filter(({ operation, path }) => operation === 'write' && path.includes('recency'));
    assert.ok(writes.length >= 5 && writes.length <= 15, `${writes.length} writes in a minute for 20 files used each second`);
    for (let round = 0; round < 2_000; round += 1) {
      await present(store);
      await pass(clock, 6_000);
    }
    const logs = [...disk.snapshot()].filter(([path]) => path.includes('recency'));
    assert.equal(logs.length, 1);
    assert.ok(logs[0] && logs[0][1].byteLength < 2 ** 20 + 100_000, `${logs[0]?.[1].byteLength} bytes`);
  });

  it('a clock that was wrong makes nothing immortal', async () => {
    const { clock, disk } = world();
    disk.nowMs = () => clock.nowMs() + 1e10;
    const before = await openFileStore(directory, {}, { files: disk, clock });
    await put(before, 0);
    await before.close();
    disk.nowMs = () => clock.nowMs();
    await using store = await openFileStore(directory, { maxBytes: 2 * blockBytes }, { files: disk, clock });
    await pass(clock, 1_000);
    for (const index of [1, 2]) await put(store, index);
    assert.deepEqual(await present(store), [1, 2]);
  });

  it('keeps the bound it derived from the disk: what the cache itself holds counts as free', async () => {
    const { clock, disk } = world();
    const availableBytes = 100 * 1024 ** 3;
    disk.freeBytes = availableBytes;
    const before = await openFileStore(directory, { maxBytes: undefined }, { files: disk, clock });
    for (let index = 0; index < 20; index += 1) await put(before, index);
    disk.freeBytes = availableBytes - before.usage.usedBytes;
    await before.close();
    await using store = await openFileStore(directory, { maxBytes: undefined }, { files: disk, clock });
    assert.equal(store.usage.maxBytes, before.usage.maxBytes);
    assert.equal(store.usage.maxBytes, availableBytes / 10);
  });

  it('evicts down to a lower bound', async () => {
    const { clock, disk } = world();
    const before = await openFileStore(directory, {}, { files: disk, clock });
    for (let index = 0; index < 20; index += 1) {
      await put(before, index);
      await pass(clock, 10);
    }
    await before.close();
    await using store = await openFileStore(directory, { maxBytes: 5 * blockBytes }, { files: disk, clock });
    assert.deepEqual(await present(store), [15, 16, 17, 18, 19]);
    assert.equal([...disk.snapshot().keys()].filter((path) => path.includes('objects')).length, 5);
  });

  it('sweeps what interrupted writes left, leaves alone what it did not make, and says so', async () => {
    const { clock, disk } = world();
    const before = await openFileStore(directory, {}, { files: disk, clock });
    await put(before, 0);
    await before.close();
    const shard = `${directory}/objects/sha256/${blob(0).digest.hash.slice(0, 2)}`;
    for (const name of [`${blob(0).digest.hash}.7.partial`, 'notes.txt']) await (await disk.createExclusive(`${shard}/${name}`)).write(Buffer.from('x'));
    const log = new RememberingLog();
    await using store = await openFileStore(directory, {}, { files: disk, clock, log });
    const names = [...disk.snapshot().keys()].filter((path) => path.startsWith(shard)).map((path) => path.slice(shard.length + 1));
    assert.deepEqual(names.toSorted(), [blob(0).digest.hash, 'notes.txt'].toSorted());
    assert.deepEqual(log.lines.map((line) => line.split(' ')[0]), ['info', 'warn']);
    assert.deepEqual(await present(store), [0]);
  });

  it('K1-06: taking in a directory twice finds the same and sweeps nothing the second time', async () => {
    await using temporary = await temporaryDirectory();
    await (await openFileStore(temporary.path)).close();
    await using first = await openFileStore(temporary.path);
    await put(first, 1);
    await first.close();
    await writeFile(join(temporary.path, 'objects/sha256', blob(1).digest.hash.slice(0, 2), 'x.partial'), '');
    const lines = [];
    for (let round = 0; round < 2; round += 1) {
      const log = new RememberingLog();
      await using store = await openFileStore(temporary.path, {}, { log });
      assert.deepEqual(await present(store), [1]);
      lines.push(log.lines.length);
    }
    assert.deepEqual(lines, [1, 0]);
  });
});

describe('FileStore close', () => {
  it('finishes writes, refuses new calls, and closing twice is fine', async () => {
    const { clock, disk } = world();
    const store = await openFileStore(directory, {}, { files: disk, clock });
    const large = new Uint8Array(100_000).fill(9);
    const { promise: gate, resolve: openGate } = Promise.withResolvers<void>();
    const slow = store.blobs.put(Digest.of(large), (async function* () {
      await gate;
      yield large;
    })());
    await pass(clock, 1);
    const closed = store.close();
    await assert.rejects(put(store, 1), { code: 'unavailable' });
    await assert.rejects(async () => store.blobs.findMissing(DigestList.of(blob(1).digest)), { code: 'unavailable' });
    await assert.rejects(async () => store.values.get(key(1)), { code: 'unavailable' });
    openGate();
    await slow;
    await closed;
    await store.close();
    assert.equal(clock.pendingTimers, 0);
    await using again = await openFileStore(directory, {}, { files: disk.afterKill(), clock });
    assert.equal((await again.blobs.findMissing(DigestList.of(Digest.of(large)))).length, 0);
  });
});
