// Uploads that are cut off, resumed and refused, over real files. Crashes are in uploads.crash.test.ts.
import assert from 'node:assert/strict';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { CacheError } from '../base/cache-error.ts';
import { NodeLogFileSystem } from '../platform/node-log-files.ts';
import { assertCounted, assertStored, chunks, cutOff, sendPart, sendRest, uploadsRoot, wholeBytes as whole } from '../testing/sent-uploads.ts';
import { objectPath, openUploads, renaming, patternOf as blob } from '../testing/temporary-uploads.ts';
import { HeldSyncs, WatchedLogFiles } from '../testing/watched-log-files.ts';
import { pieceBytes, uploadKey } from './upload-journal-format.ts';

describe('Uploads', () => {
  it('K5-11, BS-18: an upload that was cut off goes on where it is committed, and is stored', async (t) => {
    const { root, random } = await uploadsRoot(t);
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
    const { root, random } = await uploadsRoot(t);
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
    const { root, random } = await uploadsRoot(t);
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
    const { root, random } = await uploadsRoot(t);
    await using opened = await openUploads(root);
    const { upload, bytes } = blob(whole);
    const outcome = await opened.uploads.resume(upload, 0, chunks(bytes.subarray(0, whole - 1), random));
    assert.deepEqual(outcome, { kind: 'partial', committedBytes: 2 * pieceBytes });
  });

  it('K5-11, BS-21: another offset is out_of_range, but for 0, where what is committed is passed over', async (t) => {
    const { root, random } = await uploadsRoot(t);
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
    const { root, random } = await uploadsRoot(t);
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
    const { root, random } = await uploadsRoot(t);
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
    const { root, random } = await uploadsRoot(t);
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
    const { root, random } = await uploadsRoot(t);
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
    const { root, random } = await uploadsRoot(t);
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
    const { root } = await uploadsRoot(t);
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
      const { root, random } = await uploadsRoot(t);
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
    const { root, random } = await uploadsRoot(t);
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
    const { root, random } = await uploadsRoot(t);
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
