// Uploads that are cut off, resumed, given up and refused, over real files. Crashes are in uploads.crash.test.ts.
import assert from 'node:assert/strict';
import { chmod, link, open, readFile, readdir, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { CacheError } from '../base/cache-error.ts';
import { temporaryDirectory } from '../testing/temporary-directory.ts';
import { HeldSyncs, WatchedLogFiles } from '../testing/watched-log-files.ts';
import { objectPath, openUploads, patternOf as blob, renaming, takenBytes } from '../testing/temporary-uploads.ts';
import type { OpenUploads, PatternBlob as Sent } from '../testing/temporary-uploads.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import type { SeededRandom } from '../testing/seeded-random.ts';
import { NodeLogFileSystem } from '../platform/node-log-files.ts';
import { journalEntryBytes, journalHeaderBytes, pieceBytes, uploadKey } from './upload-journal-format.ts';

/** Chunks of random lengths; throws behind the last one, if told to. */
async function* chunks(bytes: Buffer, random: SeededRandom, end?: Error): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes.byteLength; ) {
    const length = random.pick([1, 1_000, 65_536, 300_000, 2_000_000]);
    yield bytes.subarray(at, at + length);
    at += length;
  }
  if (end !== undefined) throw end;
}

const cutOff = new Error('the client is gone');

/** Sends the blob from `from` to `to` and is cut off there. */
async function sendPart({ uploads }: OpenUploads, { upload, bytes }: Sent, [from, to]: readonly [number, number], random: SeededRandom): Promise<number> {
  await assert.rejects(uploads.resume(upload, from, chunks(bytes.subarray(from, to), random, cutOff)), cutOff);
  return uploads.committedBytes(upload);
}

async function sendRest({ uploads }: OpenUploads, { upload, bytes }: Sent, random: SeededRandom): Promise<void> {
  const from = uploads.committedBytes(upload);
  assert.deepEqual(await uploads.resume(upload, from, chunks(bytes.subarray(from), random)), { kind: 'stored' });
}

async function assertStored(root: string, { upload, bytes }: Sent): Promise<void> {
  const path = objectPath(root, upload.digest);
  assert.ok((await readFile(path)).equals(bytes));
  assert.equal((await stat(path)).mode & 0o7777, 0o444);
}

/** Everything is counted, and nothing else is. */
async function assertCounted(root: string, { ledger }: OpenUploads): Promise<void> {
  assert.equal(ledger.reservedBytes, 0);
  assert.equal(ledger.usedBytes, await takenBytes(root));
}

async function setup(t: TestContext): Promise<{ readonly root: string; readonly random: SeededRandom }> {
  const directory = await temporaryDirectory();
  t.after(() => directory[Symbol.asyncDispose]());
  return { root: directory.path, random: seededRandom(t) };
}

const whole = 2 * pieceBytes + 3_000_000;

describe('Uploads', () => {
  it('K5-11, BS-18: an upload that was cut off goes on where it is committed, and is stored', async (t) => {
    const { root, random } = await setup(t);
    await using opened = await openUploads(root);
    const sent = blob(whole);
    assert.equal(opened.uploads.committedBytes(sent.upload), 0, 'an upload that is not known');
    assert.equal(await sendPart(opened, sent, [0, Math.floor(whole * 0.6)], random), pieceBytes);
    assert.equal(opened.uploads.idleCount, 1);
    await assertCounted(root, opened);
    await sendRest(opened, sent, random);
    await assertStored(root, sent);
    assert.deepEqual([opened.uploads.committedBytes(sent.upload), opened.uploads.idleCount], [0, 0]);
    assert.deepEqual(await readdir(join(root, 'uploads')), []);
    await assertCounted(root, opened);
  });

  it('K5-11: after a restart as well, with the hash made again from what was kept', async (t) => {
    const { root, random } = await setup(t);
    const sent = blob(whole);
    for (const [from, to, committed] of [[0, pieceBytes + 1, 1], [1, 2 * pieceBytes + 5, 2]] as const) {
      await using opened = await openUploads(root);
      assert.equal(opened.uploads.committedBytes(sent.upload), from * pieceBytes);
      await assertCounted(root, opened);
      assert.equal(await sendPart(opened, sent, [from * pieceBytes, to], random), committed * pieceBytes);
    }
    await using opened = await openUploads(root);
    await sendRest(opened, sent, random);
    await assertStored(root, sent);
    await assertCounted(root, opened);
  });

  it('BS-16: what is shorter than a piece leaves nothing, and neither does one that ends before its first', async (t) => {
    const { root, random } = await setup(t);
    await using opened = await openUploads(root);
    const [short, long] = [blob(100_000, 1), blob(whole, 2)];
    assert.equal(await sendPart(opened, short, [0, 50_000], random), 0);
    assert.equal(await sendPart(opened, long, [0, pieceBytes - 1], random), 0);
    assert.deepEqual(await opened.uploads.resume(long.upload, 0, chunks(Buffer.alloc(0), random)), { kind: 'partial', committedBytes: 0 });
    assert.deepEqual(await readdir(join(root, 'uploads')), []);
    await assertCounted(root, opened);
    await sendRest(opened, short, random);
    await assertStored(root, short);
  });

  it('BS-11: bytes that end early are no failure, and no blob', async (t) => {
    const { root, random } = await setup(t);
    await using opened = await openUploads(root);
    const { upload, bytes } = blob(whole);
    const outcome = await opened.uploads.resume(upload, 0, chunks(bytes.subarray(0, whole - 1), random));
    assert.deepEqual(outcome, { kind: 'partial', committedBytes: 2 * pieceBytes });
  });

  it('K5-11, BS-21: another offset is out_of_range, but for 0, where what is committed is passed over', async (t) => {
    const { root, random } = await setup(t);
    await using opened = await openUploads(root);
    const sent = blob(whole);
    await sendPart(opened, sent, [0, pieceBytes + 1_000], random);
    const before = (await stat(join(root, 'uploads', `${uploadKey(sent.upload)}.data`))).ino;
    for (const from of [1, pieceBytes - 1, pieceBytes + 1, whole]) {
      await assert.rejects(opened.uploads.resume(sent.upload, from, chunks(sent.bytes.subarray(from), random)), { code: 'out_of_range', message: new RegExp(`at byte ${pieceBytes}, not at ${from};`) });
    }
    await assert.rejects(opened.uploads.resume(blob(whole, 9).upload, 5, chunks(sent.bytes, random)), { code: 'out_of_range' });
    assert.equal(opened.uploads.committedBytes(sent.upload), pieceBytes, 'nobody lost anything by it');
    assert.deepEqual(await opened.uploads.resume(sent.upload, 0, chunks(sent.bytes, random)), { kind: 'stored' });
    await assertStored(root, sent);
    assert.equal((await stat(objectPath(root, sent.upload.digest))).ino, before);
  });

  it('K5-13: a second writer of one upload is aborted, one of the same blob under another id is not', async (t) => {
    const { root, random } = await setup(t);
    await using opened = await openUploads(root);
    const sent = blob(whole);
    const gate = Promise.withResolvers<void>();
    const first = opened.uploads.resume(sent.upload, 0, (async function* () {
      yield sent.bytes.subarray(0, pieceBytes);
      await gate.promise;
      yield sent.bytes.subarray(pieceBytes);
    })());
    await assert.rejects(opened.uploads.resume(sent.upload, 0, chunks(sent.bytes, random)), { code: 'aborted' });
    assert.deepEqual(await opened.uploads.resume({ ...sent.upload, uploadId: 'other' }, 0, chunks(sent.bytes, random)), { kind: 'stored' });
    gate.resolve();
    assert.deepEqual(await first, { kind: 'stored' });
    await assertStored(root, sent);
  });

  it('BS-12, K1-10: bytes that are too many or have another hash are refused, and nothing is kept', async (t) => {
    const { root, random } = await setup(t);
    await using opened = await openUploads(root);
    const { upload, bytes } = blob(whole);
    await assert.rejects(opened.uploads.resume(upload, 0, chunks(Buffer.concat([bytes, Buffer.alloc(1)]), random)), { code: 'invalid_argument' });
    const wrong = Buffer.from(bytes);
    wrong.writeUInt8(wrong.readUInt8(5) ^ 1, 5);
    await sendPart(opened, { upload, bytes: wrong }, [0, pieceBytes + 1], random);
    await assert.rejects(opened.uploads.resume(upload, pieceBytes, chunks(wrong.subarray(pieceBytes), random)), { code: 'invalid_argument' });
    assert.equal(opened.uploads.committedBytes(upload), 0);
    assert.deepEqual(await readdir(root), ['uploads']);
    await assertCounted(root, opened);
    assert.deepEqual(await opened.uploads.resume(upload, 0, chunks(bytes, random)), { kind: 'stored' });
  });

  it('a call that is cancelled ends, and what is committed stays', async (t) => {
    const { root, random } = await setup(t);
    await using opened = await openUploads(root);
    const { upload, bytes } = blob(whole);
    const cancel = new AbortController();
    const sent = (async function* () {
      yield bytes.subarray(0, pieceBytes + 1);
      cancel.abort();
      yield* chunks(bytes.subarray(pieceBytes + 1), random);
    })();
    await assert.rejects(opened.uploads.resume(upload, 0, sent, { signal: cancel.signal }), { code: 'cancelled' });
    assert.equal(opened.uploads.committedBytes(upload), pieceBytes);
    await assert.rejects(opened.uploads.resume(upload, pieceBytes, sent, { signal: cancel.signal }), { code: 'cancelled' });
    await assertCounted(root, opened);
  });

  it('without room or permits nothing is asked for, and what was kept stays', async (t) => {
    const { root, random } = await setup(t);
    const sent = blob(whole);
    await using opened = await openUploads(root, { maxBytes: whole + 8_192 });
    await sendPart(opened, sent, [0, pieceBytes + 1], random);
    const asked: string[] = [];
    const asking = (async function* () {
      asked.push('asked');
      yield* chunks(sent.bytes, random);
    })();
    await assert.rejects(opened.uploads.resume(blob(whole, 2).upload, 0, asking), { code: 'resource_exhausted' });
    assert.deepEqual(asked, []);
    using _other = opened.ledger.tryReserve(1_000_000);
    await assert.rejects(opened.uploads.resume(sent.upload, pieceBytes, asking), { code: 'resource_exhausted' });
    assert.equal(opened.uploads.committedBytes(sent.upload), pieceBytes);
    assert.equal(opened.uploads.idleCount, 1);
  });

  it('after close writers are refused, and those there are have ended', async (t) => {
    const { root, random } = await setup(t);
    const opened = await openUploads(root);
    const { upload, bytes } = blob(whole);
    const gate = Promise.withResolvers<void>();
    const running = assert.rejects(opened.uploads.resume(upload, 0, (async function* () {
      yield bytes.subarray(0, pieceBytes + 1);
      await gate.promise;
      throw cutOff;
    })()), cutOff);
    let isClosed = false;
    const closed = opened.uploads.close().then(() => (isClosed = true));
    await assert.rejects(opened.uploads.resume(blob(whole, 2).upload, 0, chunks(bytes, random)), { code: 'unavailable' });
    assert.equal(isClosed, false);
    gate.resolve();
    await Promise.all([closed, running]);
    assert.equal(opened.uploads.committedBytes(upload), pieceBytes);
  });
});

describe('the order of an upload', () => {
  it('K5-11: a piece is told when it, its entry and both names are durable, and not before', async (t) => {
    const { root } = await setup(t);
    const files = new WatchedLogFiles();
    const [small, large] = [new HeldSyncs(files), new HeldSyncs(files)];
    small.isHeld = () => true;
    await using ending = new AsyncDisposableStack();
    const opening = openUploads(root, { files, smallSyncs: small, largeSyncs: large });
    while (small.held.length === 0) await new Promise(setImmediate);
    small.isHeld = (name) => !name.startsWith('kiln-test');
    large.isHeld = () => true;
    await small.end();
    const opened = ending.use(await opening);
    const { upload, bytes } = blob(whole);
    const gate = Promise.withResolvers<void>();
    const running = opened.uploads.resume(upload, 0, (async function* () {
      yield bytes.subarray(0, pieceBytes - 70_000);
      yield bytes.subarray(pieceBytes - 70_000, pieceBytes + 1);
      await gate.promise;
      yield bytes.subarray(pieceBytes + 1);
    })());
    const key = uploadKey(upload);
    for (const rest of [70_000, 0]) {
      while (large.held.length === 0) await new Promise(setImmediate);
      for (let turn = 0; turn < 10; turn += 1) await new Promise(setImmediate);
      assert.ok(!files.events.includes(`create ${key}.journal`), `nothing is entered while the sync of all but ${rest} bytes is under way`);
      if (rest === 0) large.isHeld = () => false;
      await large.end();
    }
    for (const name of [`${key}.journal`, 'uploads/']) {
      while (!small.held.includes(name)) await new Promise(setImmediate);
      assert.equal(opened.uploads.committedBytes(upload), 0, `the sync of ${name} is under way`);
      await small.end();
    }
    while (opened.uploads.committedBytes(upload) === 0) await new Promise(setImmediate);
    small.isHeld = () => false;
    gate.resolve();
    await running;
  });

  for (const failing of ['.data', '.journal']) {
    it(`a sync of ${failing} that fails is final: nothing of the upload is kept`, async (t) => {
      const { root, random } = await setup(t);
      const files = new WatchedLogFiles();
      await using opened = await openUploads(root, { files, smallSyncs: new HeldSyncs(files) });
      const sent = blob(whole);
      await sendPart(opened, sent, [0, pieceBytes + 1], random);
      files.fault = (operation, name) => (operation === 'sync' && name.endsWith(failing) ? 'EIO' : undefined);
      await assert.rejects(opened.uploads.resume(sent.upload, pieceBytes, chunks(sent.bytes.subarray(pieceBytes), random)), { code: 'unavailable' });
      assert.equal(opened.uploads.committedBytes(sent.upload), 0);
      await assertCounted(root, opened);
      files.fault = () => undefined;
      await sendRest(opened, sent, random);
      await assertStored(root, sent);
    });
  }

  it('a write that fails for want of space is told so, and what is committed stays', async (t) => {
    const { root, random } = await setup(t);
    const files = new WatchedLogFiles();
    await using opened = await openUploads(root, { files, smallSyncs: new HeldSyncs(files) });
    const sent = blob(whole);
    await sendPart(opened, sent, [0, pieceBytes + 1], random);
    files.fault = (operation, name) => (operation === 'write' && name.endsWith('.data') ? 'ENOSPC' : undefined);
    await assert.rejects(opened.uploads.resume(sent.upload, pieceBytes, chunks(sent.bytes.subarray(pieceBytes), random)), { kind: 'disk_full' });
    assert.equal(opened.uploads.committedBytes(sent.upload), pieceBytes);
    await assertCounted(root, opened);
    files.fault = () => undefined;
    await sendRest(opened, sent, random);
  });

  it('when it cannot be made a stored file, nothing is left of it', async (t) => {
    const { root, random } = await setup(t);
    const refusal = new CacheError('unavailable', 'the log is sick');
    const publisher = renaming(root, new NodeLogFileSystem(), () => {
      throw refusal;
    });
    await using opened = await openUploads(root, {
      publisher: {
        async publish(upload) {
          try {
            return await publisher.publish(upload);
          } catch (thrown) {
            await new NodeLogFileSystem().remove(upload.path);
            upload.room.settle('trash', 0);
            throw thrown;
          }
        },
      },
    });
    const sent = blob(whole);
    await assert.rejects(opened.uploads.resume(sent.upload, 0, chunks(sent.bytes, random)), refusal);
    assert.deepEqual(await readdir(join(root, 'uploads')), []);
    await assertCounted(root, opened);
  });
});

describe('limits of uploads', () => {
  it('BS-22, K5-10: those that nobody goes on with have a share of the store, the one idle longest goes first', async (t) => {
    const { root, random } = await setup(t);
    const sent = [1, 2, 3].map((salt) => blob(whole, salt));
    await using opened = await openUploads(root, { limits: { idleBytesMax: 2 * (pieceBytes + 4_096) } });
    for (const one of sent.slice(0, 2)) await sendPart(opened, one, [0, pieceBytes + 1], random);
    // The first one is gone on with and idle again, so it is the second that has waited longest.
    const [first, second, third] = sent;
    assert.ok(first && second && third);
    await sendPart(opened, first, [pieceBytes, pieceBytes + 1_000], random);
    await sendPart(opened, third, [0, pieceBytes + 1], random);
    await opened.uploads.close();
    assert.deepEqual(sent.map(({ upload }) => opened.uploads.committedBytes(upload)), [pieceBytes, 0, pieceBytes]);
    await assertCounted(root, opened);
    await using again = await openUploads(root, { limits: { idleBytesMax: pieceBytes + 4_096 } });
    assert.equal(again.uploads.idleCount, 1, 'the share was lowered');
    await assertCounted(root, again);
  });

  it('lets go of the one idle longest when its room is needed', async (t) => {
    const { root, random } = await setup(t);
    await using opened = await openUploads(root);
    const sent = [1, 2].map((salt) => blob(whole, salt));
    for (const one of sent) {
      await sendPart(opened, one, [0, pieceBytes + 1], random);
      opened.clock.advance(1_000);
    }
    assert.equal(await opened.uploads.giveUpOldest(), true);
    assert.deepEqual(sent.map(({ upload }) => opened.uploads.committedBytes(upload)), [0, pieceBytes]);
    assert.equal(await opened.uploads.giveUpOldest(), true);
    assert.equal(await opened.uploads.giveUpOldest(), false);
    await opened.uploads.close();
    assert.equal(opened.ledger.usedBytes, 0);
  });

  it('K5-10: one that is gone on with does not count, however large it is', async (t) => {
    const { root, random } = await setup(t);
    await using opened = await openUploads(root, { limits: { idleBytesMax: 4_096 } });
    const sent = blob(whole);
    await sendRest(opened, sent, random);
    await assertStored(root, sent);
    assert.equal(await sendPart(opened, blob(whole, 2), [0, pieceBytes + 1], random), 0, 'alone it takes too much room');
  });

  it('K5-10: after a day without a byte it is given up, while running and at the next start', async (t) => {
    const { root, random } = await setup(t);
    const sent = blob(whole);
    {
      await using opened = await openUploads(root);
      await sendPart(opened, sent, [0, pieceBytes + 1], random);
      opened.clock.advance(86_400_000 - 1);
      assert.equal(opened.uploads.committedBytes(sent.upload), pieceBytes);
      await sendPart(opened, sent, [pieceBytes, pieceBytes + 5], random);
      opened.clock.advance(86_400_000 - 1);
      assert.equal(opened.uploads.committedBytes(sent.upload), pieceBytes, 'it was asked for meanwhile');
      opened.clock.advance(1);
      assert.equal(opened.uploads.committedBytes(sent.upload), 0);
      await opened.uploads.close();
      await assertCounted(root, opened);
      assert.equal(opened.clock.pendingTimers, 0);
    }
    {
      await using opened = await openUploads(root);
      await sendPart(opened, sent, [0, pieceBytes + 1], random);
    }
    const clock = (await openUploads(root)).clock;
    clock.advance(2 * 86_400_000);
    await using late = await openUploads(root, { clock });
    assert.equal(late.uploads.committedBytes(sent.upload), 0);
    assert.deepEqual(await readdir(join(root, 'uploads')), []);
  });
});

describe('uploads that a start finds', () => {
  /** Two pieces are committed. */
  async function kept(t: TestContext): Promise<{ readonly root: string; readonly random: SeededRandom; readonly sent: Sent; readonly data: string; readonly journal: string }> {
    const { root, random } = await setup(t);
    const sent = blob(4 * pieceBytes + 5);
    {
      await using opened = await openUploads(root);
      assert.equal(await sendPart(opened, sent, [0, 2 * pieceBytes + 1], random), 2 * pieceBytes);
    }
    const path = join(root, 'uploads', uploadKey(sent.upload));
    return { root, random, sent, data: `${path}.data`, journal: `${path}.journal` };
  }

  async function flip(path: string, at: number): Promise<void> {
    await chmod(path, 0o600);
    await using file = await open(path, 'r+');
    const byte = Buffer.alloc(1);
    await file.read(byte, 0, 1, at);
    byte.writeUInt8(byte.readUInt8(0) ^ 0x10, 0);
    await file.write(byte, 0, 1, at);
  }

  it('names of other forms are left alone and reported, halves and numbers removed', async (t) => {
    const { root, random, sent } = await kept(t);
    const other = 'ab'.repeat(32);
    const foreign = ['notes.txt', `${other}.partial`, 'xyz.data', '012.data'];
    for (const name of [...foreign, `${other}.data`, '17.data', `${'cd'.repeat(32)}.journal`]) await writeFile(join(root, 'uploads', name), 'x');
    await using opened = await openUploads(root);
    const key = uploadKey(sent.upload);
    assert.deepEqual((await readdir(join(root, 'uploads'))).sort(), [...foreign, `${key}.data`, `${key}.journal`].sort());
    assert.ok(opened.log.lines.some((line) => line.startsWith('warn') && line.includes('left alone')));
    await sendRest(opened, sent, random);
    await assertStored(root, sent);
  });

  it('K1-06: a second start finds the same and changes nothing', async (t) => {
    const { root, sent } = await kept(t);
    await writeFile(join(root, 'uploads', '17.data'), 'x');
    await (await openUploads(root)).uploads.close();
    const files = new WatchedLogFiles();
    await using again = await openUploads(root, { files, smallSyncs: new HeldSyncs(files) });
    assert.equal(again.uploads.committedBytes(sent.upload), 2 * pieceBytes);
    assert.deepEqual(files.events.filter((event) => /^(?:remove|rename|write|truncate|create)/.test(event)), []);
  });

  it('the upload of a blob that is stored is removed', async (t) => {
    const { root, sent } = await kept(t);
    await using opened = await openUploads(root, { isStored: ({ hash }) => hash === sent.upload.digest.hash });
    assert.deepEqual(await readdir(join(root, 'uploads')), []);
    await assertCounted(root, opened);
  });

  it('a piece whose bytes are not what was entered is found out before it is gone on with', async (t) => {
    const { root, random, sent, data } = await kept(t);
    await flip(data, pieceBytes + 77);
    await using opened = await openUploads(root);
    assert.equal(opened.uploads.committedBytes(sent.upload), 2 * pieceBytes, 'nobody has read it yet');
    await assert.rejects(opened.uploads.resume(sent.upload, 2 * pieceBytes, chunks(sent.bytes.subarray(2 * pieceBytes), random)), { code: 'out_of_range' });
    assert.equal(opened.uploads.committedBytes(sent.upload), pieceBytes);
    assert.ok(opened.log.lines.some((line) => line.startsWith('warn') && line.includes('not what was written')));
    await assertCounted(root, opened);
    await sendRest(opened, sent, random);
    await assertStored(root, sent);
  });

  it('with its first piece wrong it begins anew', async (t) => {
    const { root, random, sent, data } = await kept(t);
    await flip(data, 5);
    await using opened = await openUploads(root);
    await assert.rejects(opened.uploads.resume(sent.upload, 2 * pieceBytes, chunks(sent.bytes, random)), { code: 'out_of_range' });
    assert.equal(opened.uploads.committedBytes(sent.upload), 0);
    await assertCounted(root, opened);
    await sendRest(opened, sent, random);
    await assertStored(root, sent);
  });

  it('an entry that is not right does not count, nor do those behind it, also once others stand before them', async (t) => {
    const { root, random, sent, data, journal } = await kept(t);
    {
      await using opened = await openUploads(root);
      await sendPart(opened, sent, [2 * pieceBytes, 3 * pieceBytes + 1], random);
    }
    await flip(journal, journalHeaderBytes + journalEntryBytes + 9);
    {
      await using opened = await openUploads(root);
      assert.equal(await sendPart(opened, sent, [pieceBytes, 2 * pieceBytes + 1], random), 2 * pieceBytes);
    }
    await truncate(data, 3 * pieceBytes); // its process was killed when more had come
    await using opened = await openUploads(root);
    assert.equal(opened.uploads.committedBytes(sent.upload), 2 * pieceBytes, 'the old third entry spoke for other bytes');
    await sendRest(opened, sent, random);
    await assertStored(root, sent);
  });

  it('data that is shorter than its entries, or longer, goes on at its last whole piece', async (t) => {
    const { root, random, sent, data } = await kept(t);
    await chmod(data, 0o600);
    await truncate(data, 2 * pieceBytes - 1);
    {
      await using opened = await openUploads(root);
      assert.equal(opened.uploads.committedBytes(sent.upload), pieceBytes);
      await assertCounted(root, opened);
      await sendPart(opened, sent, [pieceBytes, 2 * pieceBytes + 1], random);
    }
    await truncate(data, 5 * pieceBytes); // longer than the blob
    await using opened = await openUploads(root);
    assert.equal(opened.uploads.committedBytes(sent.upload), 2 * pieceBytes);
    await assertCounted(root, opened);
    await sendRest(opened, sent, random);
    await assertStored(root, sent);
    await assertCounted(root, opened);
  });

  it('K1-18: a file that has a second name is neither written to nor changed', async (t) => {
    const { root, random, sent, data } = await kept(t);
    await chmod(data, 0o444);
    const second = join(root, 'second');
    await link(data, second);
    await using opened = await openUploads(root);
    await assert.rejects(opened.uploads.resume(sent.upload, 2 * pieceBytes, chunks(sent.bytes, random)), { code: 'out_of_range' });
    await sendRest(opened, sent, random);
    await assertStored(root, sent);
    const { size, mode, nlink } = await stat(second);
    assert.deepEqual([size, mode & 0o7777, nlink], [2 * pieceBytes, 0o444, 1]);
    assert.ok((await readFile(second)).equals(sent.bytes.subarray(0, 2 * pieceBytes)));
  });

  it('a journal that is not right, or of another version, is removed with its data', async (t) => {
    const { root, sent, journal } = await kept(t);
    await flip(journal, 8);
    await using opened = await openUploads(root);
    assert.equal(opened.uploads.committedBytes(sent.upload), 0);
    assert.deepEqual(await readdir(join(root, 'uploads')), []);
    await assertCounted(root, opened);
  });
});
