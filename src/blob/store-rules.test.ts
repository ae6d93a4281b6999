// Rules of durability that no single part of the segment engine keeps: the whole store over real files.
import assert from 'node:assert/strict';
import { chmod, cp, readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { byteSourceOf, collect } from '../base/byte-source.ts';
import { CacheError } from '../base/cache-error.ts';
import { Digest } from '../digest/digest.ts';
import { sha256 } from '../digest/digest-function.ts';
import { DigestList } from '../digest/digest-list.ts';
import { pieceBytes } from '../engine/upload-journal-format.ts';
import { FormatOneStore } from '../testing/format-one-store.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { SeededRandom, seededRandom } from '../testing/seeded-random.ts';
import { temporaryDirectory } from '../testing/temporary-directory.ts';
import { openEngineStore, temporaryEngineStore } from '../testing/temporary-engine-store.ts';
import { patternOf } from '../testing/temporary-uploads.ts';
import { HeldSyncs, WatchedLogFiles } from '../testing/watched-log-files.ts';
import type { BlobStore } from './blob-store.ts';
import type { EngineStore } from './engine-store.ts';
import type { ValueKey } from './value-store.ts';

const key: ValueKey = { kind: 'action_result', instance: 'main', digestFunction: sha256, hash: '0b'.repeat(32) };
const gone = new Error('the client is gone');
const day = 24 * 60 * 60 * 1_000;

/** A writer that sends so much of its bytes and then nothing, until it is told how to end. */
class SilentWriter {
  readonly #bytes: Uint8Array;
  readonly #sentBytes: number;
  readonly #end = Promise.withResolvers<'goes on' | 'is gone'>();

  constructor(bytes: Uint8Array, sentBytes: number) {
    this.#bytes = bytes;
    this.#sentBytes = sentBytes;
  }

  async *send(): AsyncGenerator<Uint8Array, void, undefined> {
    for (let at = 0; at < this.#sentBytes; at += 1_000_000) yield this.#bytes.subarray(at, Math.min(this.#sentBytes, at + 1_000_000));
    if ((await this.#end.promise) === 'is gone') throw gone;
    yield this.#bytes.subarray(this.#sentBytes);
  }

  goOn(): void {
    this.#end.resolve('goes on');
  }

  leave(): void {
    this.#end.resolve('is gone');
  }
}

describe('a blob that is being written', () => {
  it('K1-05: is so only while its writer lives, then incomplete until somebody goes on with it, and in the end absent', async () => {
    const [clock, timers] = [new ManualClock(Date.now()), new ManualClock()];
    await using opened = await temporaryEngineStore({ maxBytes: 2 ** 30 }, { clock, timers });
    const { uploads, blobs } = opened.store;
    const { upload, bytes } = patternOf(pieceBytes + 1_000);
    for (let writers = 0; writers < 2; writers += 1) {
      const writer = new SilentWriter(bytes, pieceBytes + 10);
      const writing = uploads.resume(upload, 0, writer.send());
      await until(() => uploads.committedBytes(upload) === pieceBytes);
      await assert.rejects(uploads.resume(upload, 0, new SilentWriter(bytes, 10).send()), { code: 'aborted' }, 'there is a writer');
      assert.equal(await read(blobs, upload.digest), undefined, 'a reader is told nothing but absence');
      writer.leave();
      await assert.rejects(writing, gone);
      // Not after 30 seconds, as with a lease that somebody has to let run out: at once, and the next writer is let in.
    }
    assert.equal(uploads.committedBytes(upload), pieceBytes);
    assert.equal(uploads.idleCount, 1);
    clock.advance(day);
    timers.advance(60 * 60 * 1_000);
    await until(() => uploads.committedBytes(upload) === 0);
    assert.equal(await read(blobs, upload.digest), undefined);
    while ((await readdir(join(opened.directory, 'uploads'))).length > 0) await turn();
  });

  it('K1-05: has no writer after a start, whoever was writing when the process was killed', async () => {
    const { upload, bytes } = patternOf(pieceBytes + 1_000);
    await using after = await temporaryDirectory();
    {
      await using opened = await temporaryEngineStore({ maxBytes: 2 ** 30 });
      const writer = new SilentWriter(bytes, pieceBytes + 10);
      const writing = opened.store.uploads.resume(upload, 0, writer.send());
      await until(() => opened.store.uploads.committedBytes(upload) === pieceBytes);
      await cp(opened.directory, after.path, { recursive: true });
      writer.leave();
      await assert.rejects(writing, gone);
    }
    await using store = await openEngineStore(after.path, { maxBytes: 2 ** 30 });
    assert.equal(await read(store.blobs, upload.digest), undefined);
    assert.equal(store.uploads.idleCount, 1);
    assert.deepEqual(await store.uploads.resume(upload, pieceBytes, byteSourceOf(bytes.subarray(pieceBytes))), { kind: 'stored' });
    assert.ok((await read(store.blobs, upload.digest))?.equals(bytes));
  });

  it('K1-04: is absent, as one that never came and one whose writer was killed, and a corrupt one ends with an error; nobody waits', async (t) => {
    const random = seededRandom(t);
    const stored = [random.bytes(500), random.bytes(100_000), random.bytes(2_000_000)];
    const [killed, live, never] = [300_000, 400_000, 500_000].map((size) => random.bytes(size));
    assert.ok(killed !== undefined && live !== undefined && never !== undefined);
    await using after = await temporaryDirectory();
    {
      await using opened = await temporaryEngineStore();
      for (const bytes of stored) await opened.store.blobs.put(Digest.of(bytes), byteSourceOf(bytes));
      const writer = new SilentWriter(killed, 200_000);
      const writing = opened.store.blobs.put(Digest.of(killed), writer.send());
      await until(async () => (await readdir(join(opened.directory, 'uploads'))).length > 0);
      // The log has these as records: only a close would seal it, and a start reads it all the same.
      await cp(opened.directory, after.path, { recursive: true });
      writer.leave();
      await assert.rejects(writing, gone);
    }
    await spoil(after.path, stored);
    await using store = await openEngineStore(after.path);
    const writer = new SilentWriter(live, 200_000);
    const writing = store.blobs.put(Digest.of(live), writer.send());
    for (const bytes of [killed, live, never]) assert.equal(await read(store.blobs, Digest.of(bytes)), undefined);
    for (const bytes of stored) {
      const outcome = await read(store.blobs, Digest.of(bytes)).catch((thrown: unknown) => thrown);
      assert.ok(outcome === undefined || (outcome instanceof CacheError && outcome.kind === 'corrupt'));
    }
    writer.goOn();
    await writing;
    assert.ok((await read(store.blobs, Digest.of(live)))?.equals(live), 'and is there once it is stored');
  });
});

describe('what is acknowledged', () => {
  /** Every file that was written has a sync that began after its last byte and has ended. */
  function assertDurable(events: readonly string[]): void {
    const written = new Set(events.flatMap((event) => /^write (.+\.(?:data|blob|value|partial|journal))$/.exec(event)?.[1] ?? []));
    for (const name of written) {
      const begins = events.indexOf(`sync ${name} begins`, events.lastIndexOf(`write ${name}`));
      assert.ok(begins !== -1 && events.includes(`sync ${name} ends`, begins), `${name} was not synced after its last byte:\n${events.join('\n')}`);
    }
    assert.ok(written.size > 0, 'something was written');
  }

  /** Ends one sync after the other until the work is done; gives what had happened by then. */
  async function eventsUntil(work: Promise<unknown>, files: WatchedLogFiles, syncs: HeldSyncs): Promise<readonly string[]> {
    let events: readonly string[] | undefined;
    const done = work.then(() => void (events = [...files.events]));
    for (;;) {
      for (let turns = 0; turns < 20 && events === undefined; turns += 1) await turn();
      if (events !== undefined) break;
      if (syncs.held.length > 0) await syncs.end();
    }
    await done;
    return events;
  }

  /** A store that closes waits for its syncs, whatever a test ends with. */
  function released(syncs: HeldSyncs): AsyncDisposable {
    return {
      async [Symbol.asyncDispose]() {
        syncs.isHeld = () => false;
        while (syncs.held.length > 0) await syncs.end();
      },
    };
  }

  const [record, file, largeFile] = [1_000, 100_000, 3_000_000].map((size) => new SeededRandom(size).bytes(size));

  for (const [what, bytes] of [['a record', record], ['a file', file], ['a large file', largeFile]] as const) {
    it(`K1-12: is durable to the last byte, of ${what} whose body is slow`, async () => {
      assert.ok(bytes !== undefined);
      await using files = new WatchedLogFiles();
      const syncs = new HeldSyncs(files);
      await using opened = await temporaryEngineStore({}, { files, syncs });
      await using _released = released(syncs);
      syncs.isHeld = () => true;
      const from = files.events.length;
      const writer = new SilentWriter(bytes, bytes.byteLength - 1);
      const putting = opened.store.blobs.put(Digest.of(bytes), writer.send());
      let isDone = false;
      const done = putting.then(() => void (isDone = true));
      for (let turns = 0; turns < 50; turns += 1) {
        await turn();
        if (syncs.held.length > 0) await syncs.end();
      }
      assert.equal(isDone, false, 'one byte has not come');
      assert.equal(await opened.store.blobs.get(Digest.of(bytes)), undefined);
      writer.goOn();
      assertDurable((await eventsUntil(done, files, syncs)).slice(from));
      syncs.isHeld = () => false;
      assert.ok((await read(opened.store.blobs, Digest.of(bytes)))?.equals(bytes));
    });
  }

  it('K1-12: is durable with its record, of values short and long, of a batch, and of a resumed upload', async (t) => {
    const random = seededRandom(t);
    await using files = new WatchedLogFiles();
    const syncs = new HeldSyncs(files);
    await using opened = await temporaryEngineStore({ maxBytes: 2 ** 30 }, { files, syncs });
    await using _released = released(syncs);
    const { values, blobs, uploads } = opened.store;
    const batch = [10, 5_000, 70_000, 300_000].map((size) => random.bytes(size));
    const { upload, bytes } = patternOf(pieceBytes + 1_000);
    const works: (() => Promise<unknown>)[] = [
      () => values.put(key, byteSourceOf(random.bytes(1_000))),
      () => values.put(key, byteSourceOf(random.bytes(200_000))),
      () => blobs.putMany(batch.map((one) => ({ digest: Digest.of(one), bytes: one }))),
      () => uploads.resume(upload, 0, byteSourceOf(bytes)),
    ];
    for (const work of works) {
      const from = files.events.length;
      syncs.isHeld = () => true;
      assertDurable((await eventsUntil(work(), files, syncs)).slice(from));
      syncs.isHeld = () => false;
      while (syncs.held.length > 0) await syncs.end();
    }
    assert.equal((await blobs.findMissing(DigestList.from([...batch.map((one) => Digest.of(one)), upload.digest]))).length, 0);
  });

  it('K1-12: is durable, of all that a directory of the format before is made of, before the store is open', async (t) => {
    const random = seededRandom(t);
    await using directory = await temporaryDirectory();
    const stored = [10, 5_000, 200_000].map((size) => random.bytes(size));
    {
      await using store = await FormatOneStore.open(directory.path, { clock: new ManualClock(Date.now()) });
      for (const bytes of stored) await store.blobs.put(Digest.of(bytes), byteSourceOf(bytes));
      await store.values.put(key, byteSourceOf(Buffer.from('a result')));
    }
    await using files = new WatchedLogFiles();
    const syncs = new HeldSyncs(files);
    syncs.isHeld = () => true;
    const opening = openEngineStore(directory.path, {}, { files, syncs });
    assertDurable(await eventsUntil(opening, files, syncs));
    syncs.isHeld = () => false;
    while (syncs.held.length > 0) await syncs.end();
    await using store = await opening;
    for (const bytes of stored) assert.ok((await read(store.blobs, Digest.of(bytes)))?.equals(bytes));
    const value = await store.values.get(key);
    assert.equal(value && String(Buffer.from(await collect(value, 100))), 'a result');
  });

  it('K1-16: is not written again: inode, times and segments stay as they are, whichever way it comes', async (t) => {
    const random = seededRandom(t);
    await using opened = await temporaryEngineStore();
    const { blobs, uploads } = opened.store;
    const stored = [1_000, 100_000, 1_500_000].map((size) => random.bytes(size));
    for (const bytes of stored) await blobs.put(Digest.of(bytes), byteSourceOf(bytes));
    const before = await filesOf(opened.directory);
    for (const bytes of stored) await blobs.put(Digest.of(bytes), byteSourceOf(bytes));
    assert.deepEqual(await blobs.putMany(stored.map((bytes) => ({ digest: Digest.of(bytes), bytes }))), [undefined, undefined, undefined]);
    assert.deepEqual(await filesOf(opened.directory), before);
    const large = stored[2] ?? assert.fail();
    assert.deepEqual(await uploads.resume({ instance: '', uploadId: 'again', digest: Digest.of(large) }, 0, byteSourceOf(large)), { kind: 'stored' });
    assert.deepEqual(await filesOf(opened.directory), before);
  });

  it('K1-16: a batch does not hash it again, and whatever is sent for it changes nothing', async (t) => {
    const random = seededRandom(t);
    await using opened = await temporaryEngineStore();
    const { blobs } = opened.store;
    const stored = [1_000, 100_000].map((size) => random.bytes(size));
    await blobs.putMany(stored.map((bytes) => ({ digest: Digest.of(bytes), bytes })));
    const others = stored.map((bytes) => ({ digest: Digest.of(bytes), bytes: Buffer.alloc(bytes.byteLength) }));
    assert.deepEqual(await blobs.putMany(others), [undefined, undefined]);
    const shorter = stored.map((bytes) => ({ digest: Digest.of(bytes), bytes: bytes.subarray(1) }));
    assert.deepEqual((await blobs.putMany(shorter)).map((result) => result?.code), ['invalid_argument', 'invalid_argument']);
    for (const bytes of stored) assert.ok((await read(blobs, Digest.of(bytes)))?.equals(bytes));
  });
});

describe('what is reported present', () => {
  it('K1-19: stays readable while it is leased or pinned, in a store that is written over and over', (t) => stress(t, { maxBytes: 6 << 20, filesShare: 0.3, rounds: 80 }));

  // Where all that is given up next was used, uses alone keep half of it at the most.
  it('K1-19: so do records where nothing else may go', (t) => stress(t, { maxBytes: 3 << 20, filesShare: 0, rounds: 120 }));

  async function stress(t: TestContext, { maxBytes, filesShare, rounds }: { readonly maxBytes: number; readonly filesShare: number; readonly rounds: number }): Promise<void> {
    const random = seededRandom(t);
    const clock = new ManualClock(Date.now());
    // All that is written and asked for within a lease is less than the half of the store that may be leased.
    const leaseMs = 30_000;
    await using opened = await temporaryEngineStore({ maxBytes, segmentBytes: 65_536, leaseMs }, { clock });
    const { blobs } = opened.store;
    const make = (): Buffer => Buffer.alloc(random.fraction() >= filesShare ? random.integer(1, 16_000) : random.integer(20_000, 100_000), random.bytes(16));
    const pinned = [make(), make(), make()];
    for (const bytes of pinned) await put(blobs, bytes);
    let pin = opened.store.pin(DigestList.from(pinned.map((bytes) => Digest.of(bytes))));
    /** Records, the one that was asked for longest ago first: what is asked for stands where the log is given up next. */
    const known: Buffer[] = [];
    let leased: { readonly bytes: Buffer; readonly untilMs: number }[] = [];
    let reads = 0;
    const readAll = async (): Promise<void> => {
      for (const { bytes } of leased) {
        assert.ok((await read(blobs, Digest.of(bytes)))?.equals(bytes), `a leased blob of ${bytes.byteLength} bytes`);
        reads += 1;
      }
    };
    for (let round = 0; round < rounds; round += 1) {
      const fresh = Array.from({ length: 6 }, make);
      const asked = known.splice(0, 10);
      const missing = new Set(Array.from(await blobs.findMissing(DigestList.from(asked.map((bytes) => Digest.of(bytes)))), String));
      const present = asked.filter((bytes) => !missing.has(String(Digest.of(bytes))));
      leased.push(...present.map((bytes) => ({ bytes, untilMs: clock.nowMs() + leaseMs })));
      known.push(...present, ...fresh.filter(({ byteLength }) => byteLength <= 16_000));
      await Promise.all([...fresh.map((bytes) => put(blobs, bytes)), readAll()]);
      clock.advance(5_000);
      leased = leased.filter(({ untilMs }) => untilMs > clock.nowMs());
      using _before = pin;
      pin = opened.store.pin(DigestList.from(pinned.map((bytes) => Digest.of(bytes)))); // a pin ends after two minutes
    }
    using _last = pin;
    assert.ok(opened.store.usage.evictedCount > 80, `${opened.store.usage.evictedCount} were evicted`);
    assert.ok(reads > 300, `${reads} reads`);
    for (const bytes of pinned) assert.ok((await read(blobs, Digest.of(bytes)))?.equals(bytes), 'a pinned blob');
  }
});

describe('a range of a file that is streamed', () => {
  it('K1-13: has exactly its bytes, wherever it begins and ends around 256 KiB', async () => {
    await using opened = await temporaryEngineStore();
    const size = 1_310_721;
    const bytes = new SeededRandom(size).bytes(size);
    const digest = await put(opened.store.blobs, bytes);
    const edges = [0, 1, 262_136, 262_143, 262_144, 262_145, 327_672, 327_680, size - 262_144, size - 1, size];
    for (const offset of edges) {
      for (const end of edges.filter((at) => at >= offset)) {
        const source = await opened.store.blobs.get(digest, { range: { offset, length: end - offset } });
        assert.ok(source && Buffer.from(await collect(source, size)).equals(bytes.subarray(offset, end)), `${offset} to ${end}`);
      }
    }
  });
});

describe('a blob that is written out to a file', () => {
  it('K1-14: is the same whether it stands in a segment or is a file: one byte below the limit, at it, and above', async (t) => {
    const random = seededRandom(t);
    const limit = 65_536;
    await using opened = await temporaryEngineStore({ smallBytesMax: limit });
    await using out = await temporaryDirectory();
    const objects = new Set<string>();
    for (const size of [limit - 1, limit, limit + 1]) {
      const bytes = random.bytes(size);
      const digest = await put(opened.store.blobs, bytes);
      const source = await opened.store.blobs.get(digest);
      const path = join(out.path, digest.hash);
      await writeFile(path, source ?? assert.fail('it is there'));
      assert.ok((await readFile(path)).equals(bytes), `${size} bytes`);
      for (const name of await readdir(join(opened.directory, 'objects'), { recursive: true }).catch(() => [])) if (name.endsWith(digest.hash)) objects.add(`${size}`);
    }
    assert.deepEqual([...objects], [String(limit + 1)], 'only what is above the limit is a file of its own');
  });
});

async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

async function until(is: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await is())) await turn();
}

async function put(store: BlobStore, bytes: Uint8Array): Promise<Digest> {
  const digest = Digest.of(bytes);
  await store.put(digest, byteSourceOf(bytes));
  return digest;
}

async function read(store: EngineStore['blobs'], digest: Digest): Promise<Buffer | undefined> {
  const source = await store.get(digest);
  return source && Buffer.from(await collect(source, 20_000_000));
}

/** Inode, time of change and length of each file that holds blobs, by name. */
async function filesOf(directory: string): Promise<readonly string[]> {
  const found: string[] = [];
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || entry.name.endsWith('.touch')) continue;
    const { ino, mtimeMs, size } = await stat(join(entry.parentPath, entry.name));
    found.push(`${entry.name} ${ino} ${mtimeMs} ${size}`);
  }
  return found.toSorted();
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
    }
  }
}
