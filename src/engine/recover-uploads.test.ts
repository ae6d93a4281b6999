// What a start makes of the uploads that it finds, whole or damaged.
import assert from 'node:assert/strict';
import { chmod, link, open, readFile, readdir, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import type { SeededRandom } from '../testing/seeded-random.ts';
import { assertCounted, assertStored, chunks, sendPart, sendRest, uploadsRoot } from '../testing/sent-uploads.ts';
import { openUploads, patternOf as blob } from '../testing/temporary-uploads.ts';
import type { PatternBlob as Sent } from '../testing/temporary-uploads.ts';
import { HeldSyncs, WatchedLogFiles } from '../testing/watched-log-files.ts';
import { journalEntryBytes, journalHeaderBytes, pieceBytes, uploadKey } from './upload-journal-format.ts';

describe('uploads that a start finds', () => {
  /** Two pieces are committed. */
  async function kept(t: TestContext): Promise<{ readonly root: string; readonly random: SeededRandom; readonly sent: Sent; readonly data: string; readonly journal: string }> {
    const { root, random } = await uploadsRoot(t);
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
