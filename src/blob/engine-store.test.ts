// The store of segments over real files: the contracts, what survives a close, and what is found wrong.
import assert from 'node:assert/strict';
import { chmod, mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { crc32 } from 'node:zlib';
import { byteSourceOf, collect } from '../base/byte-source.ts';
import { Digest } from '../digest/digest.ts';
import { blake3, digestFunctions, sha256, sha512 } from '../digest/digest-function.ts';
import { DigestList } from '../digest/digest-list.ts';
import { blobStoreConformance } from '../testing/blob-store-conformance.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { RememberingLog } from '../testing/remembering-log.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import { temporaryDirectory } from '../testing/temporary-directory.ts';
import { openEngineStore, temporaryEngineStore } from '../testing/temporary-engine-store.ts';
import { valueStoreConformance } from '../testing/value-store-conformance.ts';
import type { BlobStore } from './blob-store.ts';
import type { EngineStore } from './engine-store.ts';
import type { ValueKey, ValueStore } from './value-store.ts';

blobStoreConformance('EngineStore', async () => {
  const { store, [Symbol.asyncDispose]: end } = await temporaryEngineStore();
  return { store: store.blobs, [Symbol.asyncDispose]: end };
});

blobStoreConformance('EngineStore, where all blobs are files', async () => {
  const { store, [Symbol.asyncDispose]: end } = await temporaryEngineStore({ smallBytesMax: 0 });
  return { store: store.blobs, [Symbol.asyncDispose]: end };
});

blobStoreConformance('EngineStore, relaxed', async () => {
  const { store, [Symbol.asyncDispose]: end } = await temporaryEngineStore({ durability: 'relaxed' });
  return { store: store.blobs, [Symbol.asyncDispose]: end };
});

valueStoreConformance('EngineStore', async () => {
  const { store, [Symbol.asyncDispose]: end } = await temporaryEngineStore();
  return { store: store.values, [Symbol.asyncDispose]: end };
});

const key: ValueKey = { kind: 'action_result', instance: 'main', digestFunction: sha256, hash: '0a'.repeat(32) };
/** Around the limits of records, pieces and whole reads. */
const sizes = [1, 7, 8, 4_096, 65_535, 65_536, 65_537, 262_144, 1_048_576, 1_048_577, 3_000_000];

describe('EngineStore', () => {
  it('K1-03: has everything after a close and a start, of all sizes, functions and kinds', async (t) => {
    const random = seededRandom(t);
    await using directory = await temporaryDirectory();
    const stored = [
      ...sizes.map((size) => ({ bytes: random.bytes(size), digestFunction: sha256 })),
      ...digestFunctions.flatMap((digestFunction) => [100, 70_000].map((size) => ({ bytes: random.bytes(size), digestFunction }))),
    ];
    const values = [0, 1, 60_000, 70_000, 2_000_000].map((size, index) => ({ at: { ...key, hash: `${index}`.repeat(64) }, bytes: random.bytes(size) }));
    {
      await using store = await openEngineStore(directory.path);
      for (const { bytes, digestFunction } of stored) await put(store.blobs, bytes, digestFunction);
      for (const { at, bytes } of values) await store.values.put(at, byteSourceOf(bytes));
    }
    const log = new RememberingLog();
    await using store = await openEngineStore(directory.path, {}, { log });
    for (const { bytes, digestFunction } of stored) assert.ok((await read(store.blobs, Digest.of(bytes, digestFunction)))?.equals(bytes), `${digestFunction.name} ${bytes.length}`);
    for (const { at, bytes } of values) assert.ok((await readValue(store.values, at))?.equals(bytes), `value of ${bytes.length}`);
    assert.deepEqual(log.lines.filter((line) => /^(warn|error)/.test(line)), []);
    assert.equal(store.usage.blobsCount, stored.length + 2, 'long values are blobs too');
  });

  it('K1-14: keeps blobs above the limit as files of raw bytes, and those at it in segments', async (t) => {
    const random = seededRandom(t);
    await using opened = await temporaryEngineStore({ smallBytesMax: 1_000 });
    const [small, large] = [random.bytes(1_000), random.bytes(1_001)];
    await put(opened.store.blobs, small);
    await put(opened.store.blobs, large);
    const { hash } = Digest.of(large);
    const path = join(opened.directory, 'objects', 'sha256', hash.slice(0, 2), hash);
    assert.ok((await readFile(path)).equals(large));
    assert.equal((await stat(path)).mode & 0o777, 0o444);
    assert.deepEqual(await readdir(join(opened.directory, 'objects', 'sha256')), [hash.slice(0, 2)]);
  });

  it('leaves no file open when it closes while one is being opened', async (t) => {
    const random = seededRandom(t);
    await using opened = await temporaryEngineStore();
    const digest = await put(opened.store.blobs, random.bytes(2_000_000));
    const reads = [undefined, { offset: 1, length: 10 }].map((range) => Promise.resolve(opened.store.blobs.get(digest, range && { range })));
    const settled = Promise.allSettled(reads);
    await opened.store.close();
    for (const { status } of await settled) assert.equal(status, 'rejected');
    assert.equal(opened.store.usage.openReads, 0);
  });

  it('K1-22: syncs far less often than it is written to', async (t) => {
    const random = seededRandom(t);
    await using opened = await temporaryEngineStore();
    const blobs = Array.from({ length: 1_000 }, () => random.bytes(4_096));
    await Promise.all(blobs.map((bytes) => put(opened.store.blobs, bytes)));
    const { syncsCount } = opened.store.usage;
    assert.ok(syncsCount > 0 && syncsCount < 50, `${syncsCount} syncs`);
  });

  it('K1-16: writes nothing for a blob that is there', async (t) => {
    const random = seededRandom(t);
    await using opened = await temporaryEngineStore();
    const blobs = [random.bytes(1_000), random.bytes(100_000)];
    for (const bytes of blobs) await put(opened.store.blobs, bytes);
    const { usedBytes, syncsCount } = opened.store.usage;
    for (const bytes of blobs) await put(opened.store.blobs, bytes);
    const unread = (async function* (): AsyncGenerator<Uint8Array> {
      yield assert.fail('nobody asks for the bytes');
    })();
    for (const bytes of blobs) await opened.store.blobs.put(Digest.of(bytes), unread);
    assert.deepEqual(await opened.store.blobs.putMany(blobs.map((bytes) => ({ digest: Digest.of(bytes), bytes }))), [undefined, undefined]);
    assert.equal(opened.store.usage.usedBytes, usedBytes);
    assert.equal(opened.store.usage.syncsCount, syncsCount);
  });

  it('K1-02: quarantines what is found wrong on its first read after a start, and takes it again', async (t) => {
    const random = seededRandom(t);
    await using directory = await temporaryDirectory();
    const blobs = [random.bytes(500), random.bytes(100_000), random.bytes(2_000_000)];
    await withStore(directory.path, async ({ blobs: stored }) => {
      for (const bytes of blobs) await put(stored, bytes);
    });
    await spoil(directory.path, blobs);
    const log = new RememberingLog();
    await using store = await openEngineStore(directory.path, {}, { log });
    const [small, middle, large] = blobs.map((bytes) => Digest.of(bytes));
    assert.ok(small && middle && large);
    assert.equal(await read(store.blobs, small), undefined);
    assert.equal(await read(store.blobs, middle), undefined);
    await assert.rejects(read(store.blobs, large), { kind: 'corrupt' });
    assert.equal((await store.blobs.findMissing(DigestList.of(small, middle, large))).length, 3);
    assert.equal(store.usage.corruptCount, 3);
    assert.equal((await readdir(join(directory.path, 'quarantine'))).length, 3);
    assert.equal(log.lines.filter((line) => line.startsWith('warn') && line.includes('is corrupt')).length, 3);
    for (const bytes of blobs) {
      await put(store.blobs, bytes);
      assert.ok((await read(store.blobs, Digest.of(bytes)))?.equals(bytes));
    }
  });

  it('K1-02: what was found wrong is absent after another start, too', async (t) => {
    const random = seededRandom(t);
    await using directory = await temporaryDirectory();
    const blobs = [random.bytes(500), random.bytes(100_000)];
    const digests = DigestList.from(blobs.map((bytes) => Digest.of(bytes)));
    await withStore(directory.path, async ({ blobs: stored }) => {
      for (const bytes of blobs) await put(stored, bytes);
      await put(stored, random.bytes(700)); // a segment in which nothing counts would go
    });
    await spoil(directory.path, blobs);
    await withStore(directory.path, async (store) => {
      assert.deepEqual(await store.blobs.getMany(digests), [undefined, undefined]);
    });
    await using store = await openEngineStore(directory.path);
    assert.equal((await store.blobs.findMissing(digests)).length, 2);
    assert.equal(store.usage.blobsCount, 1);
  });

  it('K1-10: a record whose checksums are right and whose hash is not is found out on its first read after a start', async (t) => {
    const random = seededRandom(t);
    await using directory = await temporaryDirectory();
    const bytes = random.bytes(500);
    await withStore(directory.path, async ({ blobs }) => {
      await put(blobs, bytes);
    });
    const name = (await readdir(join(directory.path, 'segments'))).find((one) => one.endsWith('.blob')) ?? assert.fail('there is a segment');
    const path = join(directory.path, 'segments', name);
    const content = await readFile(path);
    const [record, headBytes] = [4_096, 56 + 32];
    content.writeUInt8(content.readUInt8(record + headBytes) ^ 1, record + headBytes);
    content.writeUInt32LE(crc32(content.subarray(record + headBytes, record + headBytes + 500)), record + 48);
    content.writeUInt32LE(crc32(content.subarray(record + 4, record + headBytes), crc32(content.subarray(24, 32))), record);
    await writeFile(path, content);
    await using store = await openEngineStore(directory.path);
    assert.equal(await read(store.blobs, Digest.of(bytes)), undefined);
    assert.equal(store.usage.corruptCount, 1);
  });

  it('checks a part of a file only once all of it was found right', async (t) => {
    const random = seededRandom(t);
    await using directory = await temporaryDirectory();
    const [right, wrong] = [random.bytes(2_000_000), random.bytes(2_000_000)];
    await withStore(directory.path, async ({ blobs }) => {
      await put(blobs, right);
      await put(blobs, wrong);
    });
    await spoil(directory.path, [wrong]);
    await using store = await openEngineStore(directory.path);
    const range = { offset: 10, length: 1_000 };
    assert.ok((await read(store.blobs, Digest.of(right), range))?.equals(right.subarray(10, 1_010)));
    assert.equal(await read(store.blobs, Digest.of(wrong), range), undefined);
  });

  it('AC-10: has the last put of each value after a start, and none that was never the last', async (t) => {
    const random = seededRandom(t);
    await using directory = await temporaryDirectory();
    const last = new Map<number, Uint8Array>();
    await withStore(directory.path, async ({ values }) => {
      for (let round = 0; round < 60; round += 1) {
        const which = random.integer(0, 9);
        const bytes = random.bytes(random.integer(0, 100_000));
        await values.put({ ...key, hash: `${which}`.repeat(64) }, byteSourceOf(bytes));
        last.set(which, bytes);
      }
    });
    await using store = await openEngineStore(directory.path);
    for (const [which, bytes] of last) assert.ok((await readValue(store.values, { ...key, hash: `${which}`.repeat(64) }))?.equals(bytes));
  });

  it('finds a long value absent whose blob has gone', async (t) => {
    const random = seededRandom(t);
    await using opened = await temporaryEngineStore();
    const bytes = random.bytes(200_000);
    await opened.store.values.put(key, byteSourceOf(bytes));
    assert.ok((await readValue(opened.store.values, key))?.equals(bytes));
    const { hash } = Digest.of(bytes);
    const path = join(opened.directory, 'objects', 'sha256', hash.slice(0, 2), hash);
    await opened.store.close();
    await rename(path, `${path}.away`);
    await using store = await openEngineStore(opened.directory);
    assert.equal(await readValue(store.values, key), undefined);
    assert.equal(await store.values.putFirst(key, byteSourceOf(Buffer.from('new')), () => assert.fail('there is nothing to judge')), true);
    assert.equal(String(await readValue(store.values, key)), 'new');
  });

  it('tells blobs apart whose hashes are longer than keys', async (t) => {
    const random = seededRandom(t);
    await using opened = await temporaryEngineStore();
    const bytes = random.bytes(100);
    const digest = await put(opened.store.blobs, bytes, sha512);
    const other = Digest.parse(sha512, `${digest.hash.slice(0, 64)}${'0'.repeat(64)}`, 100);
    assert.ok((await read(opened.store.blobs, digest))?.equals(bytes));
    assert.equal(await read(opened.store.blobs, other), undefined);
    assert.deepEqual(await opened.store.blobs.getMany(DigestList.of(other)), [undefined]);
  });

  it('evicts what was not used, and keeps what was, in far more than it has room for', async (t) => {
    const random = seededRandom(t);
    const content = (size: number): Buffer => Buffer.alloc(size, random.bytes(16));
    const clock = new ManualClock(Date.now());
    await using opened = await temporaryEngineStore({ maxBytes: 16 << 20, leaseMs: 60_000 }, { clock });
    const { blobs } = opened.store;
    const wanted = await put(blobs, content(5_000));
    const wantedFile = await put(blobs, content(500_000));
    for (let round = 0; round < 15; round += 1) {
      await Promise.all(Array.from({ length: 40 }, () => put(blobs, content(random.integer(1, 65_536)))));
      await put(blobs, content(random.integer(65_537, 2_000_000)));
      assert.equal((await blobs.findMissing(DigestList.of(wanted, wantedFile))).length, 0, `round ${round}`);
      clock.advance(30_000);
      const { usedBytes, reservedBytes, maxBytes } = opened.store.usage;
      assert.ok(usedBytes + reservedBytes <= maxBytes + (1 << 20), `${usedBytes} and ${reservedBytes} of ${maxBytes} bytes`);
    }
    assert.ok(opened.store.usage.evictedCount > 50, `${opened.store.usage.evictedCount} were evicted`);
    assert.ok(await read(blobs, wanted));
    assert.ok(await read(blobs, wantedFile));
  });

  it('comes down to a bound that was lowered, and is written to meanwhile', async (t) => {
    const random = seededRandom(t);
    await using directory = await temporaryDirectory();
    await withStore(directory.path, async ({ blobs }) => {
      for (let round = 0; round < 40; round += 1) {
        await Promise.all([60_000, 60_000, 60_000, 700_000].map((size) => put(blobs, Buffer.alloc(size + round, random.bytes(16)))));
      }
    });
    const log = new RememberingLog();
    await using store = await openEngineStore(directory.path, { maxBytes: 8 << 20 }, { log });
    const last = await put(store.blobs, random.bytes(100_000));
    while (store.usage.usedBytes > 8 << 20) await new Promise((resolve) => setImmediate(resolve));
    assert.ok(await read(store.blobs, last));
    assert.deepEqual(log.lines.filter((line) => line.startsWith('error')), []);
  });

  it('refuses what is no directory of its own, and says so', async () => {
    await using directory = await temporaryDirectory();
    const file = join(directory.path, 'file');
    await writeFile(file, 'mine');
    await assert.rejects(openEngineStore(file), { code: 'failed_precondition', message: /is a file/ });
    await assert.rejects(openEngineStore(directory.path), { code: 'failed_precondition', message: /was not made by Kiln/ });
    const newer = join(directory.path, 'newer');
    await mkdir(newer);
    await writeFile(join(newer, 'kiln-data-version'), 'kiln data directory, format 3\n');
    await assert.rejects(openEngineStore(newer), { code: 'failed_precondition', message: /format 3/ });
    assert.deepEqual(await readdir(newer), ['kiln-data-version']);
    assert.equal(await readFile(file, 'utf8'), 'mine');
  });

  it('K2-13: lets go of what was not used for so long, and of what is too much in number', async (t) => {
    const random = seededRandom(t);
    const clock = new ManualClock(Date.now());
    const timers = new ManualClock();
    await using opened = await temporaryEngineStore({ leaseMs: 0, ageMaxMs: 3_600_000, countMax: 50, segmentBytes: 65_536 }, { clock, timers });
    const { blobs } = opened.store;
    const used = await put(blobs, random.bytes(3_000));
    const file = await put(blobs, random.bytes(30_000));
    const unused = [await put(blobs, random.bytes(3_000)), await put(blobs, random.bytes(30_000))];
    for (let minute = 0; minute < 90; minute += 10) {
      clock.advance(600_000);
      assert.equal((await blobs.findMissing(DigestList.of(used, file))).length, 0, `minute ${minute}`);
    }
    const untilThere = async (count: number): Promise<void> => {
      while (opened.store.usage.filesCount > count) {
        timers.advance(5_000); // it looks for what is too old, or too much
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    await untilThere(2);
    assert.deepEqual(Array.from(await blobs.findMissing(DigestList.from([used, file, ...unused])), String), unused.map(String));
    for (let count = 0; count < 200; count += 1) await put(blobs, random.bytes(2_000));
    clock.advance(60_000); // times of use are known to 16 seconds
    await untilThere(50);
  });

  it('goes on being written to however little it holds', async (t) => {
    const random = seededRandom(t);
    for (const maxBytes of [1, 16].map((mib) => mib << 20)) {
      await using opened = await temporaryEngineStore({ maxBytes });
      const { blobs, values } = opened.store;
      for (let round = 0; round < 15; round += 1) {
        await Promise.all(Array.from({ length: 16 }, () => put(blobs, Buffer.alloc(random.integer(1, maxBytes / 100), random.bytes(16)))));
        await values.put({ ...key, hash: random.integer(0, 999).toString(16).padStart(64, '0') }, byteSourceOf(random.bytes(500)));
        const { usedBytes } = opened.store.usage;
        assert.ok(usedBytes <= maxBytes * 1.1, `${usedBytes} of ${maxBytes} bytes`);
      }
      const last = await put(blobs, Buffer.alloc(maxBytes / 10, random.bytes(16)));
      assert.ok(await read(blobs, last));
    }
  });

  it('refuses calls once it closes, and closes twice', async (t) => {
    const random = seededRandom(t);
    await using opened = await temporaryEngineStore();
    const { store } = opened;
    const bytes = random.bytes(100);
    const putting = store.blobs.putMany([{ digest: Digest.of(bytes), bytes }]);
    const closing = store.close();
    await assert.rejects(async () => store.blobs.get(Digest.of(bytes)), { code: 'unavailable' });
    await assert.rejects(put(store.blobs, random.bytes(100)), { code: 'unavailable' });
    await assert.rejects(store.values.put(key, byteSourceOf(bytes)), { code: 'unavailable' });
    assert.deepEqual(await putting, [undefined]);
    await closing;
    await store.close();
    await using again = await openEngineStore(opened.directory);
    assert.ok((await read(again.blobs, Digest.of(bytes, sha256)))?.equals(bytes), 'what was under way was finished');
    assert.equal(await again.blobs.resolve(blake3, Digest.of(bytes).hash), undefined);
  });
});

async function withStore(directory: string, use: (store: EngineStore) => Promise<void>): Promise<void> {
  await using store = await openEngineStore(directory);
  await use(store);
}

async function put(store: BlobStore, bytes: Uint8Array, digestFunction = sha256): Promise<Digest> {
  const digest = Digest.of(bytes, digestFunction);
  await store.put(digest, byteSourceOf(bytes));
  return digest;
}

async function read(store: BlobStore, digest: Digest, range?: { offset: number; length: number }): Promise<Buffer | undefined> {
  const source = await store.get(digest, { range });
  if (source === undefined) return undefined;
  await using owned = source;
  return Buffer.from(await collect(owned, 10_000_000));
}

async function readValue(store: ValueStore, asked: ValueKey): Promise<Buffer | undefined> {
  const source = await store.get(asked);
  if (source === undefined) return undefined;
  await using owned = source;
  return Buffer.from(await collect(owned, 10_000_000));
}

/** Flips a bit in the middle of each of these blobs, wherever in the directory its bytes are. */
async function spoil(directory: string, blobs: readonly Uint8Array[]): Promise<void> {
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const content = await readFile(path);
    for (const bytes of blobs) {
      const at = content.indexOf(bytes.subarray(0, 64));
      if (at === -1) continue;
      const middle = at + Math.floor(bytes.length / 2);
      content.writeUInt8(content.readUInt8(middle) ^ 1, middle);
      await chmod(path, 0o644);
      await writeFile(path, content);
      await chmod(path, entry.parentPath.includes('objects') ? 0o444 : 0o600);
    }
  }
}
