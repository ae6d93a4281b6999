// Uploads of blobs that are records, and what leases have to say of any.
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { CacheError } from '../base/cache-error.ts';
import { temporaryDirectory } from '../testing/temporary-directory.ts';
import { openUploads, patternOf as blob, takenBytes } from '../testing/temporary-uploads.ts';

const cutOff = new Error('the client is gone');

async function* chunks(bytes: Buffer, end?: Error): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes.byteLength; at += 777_777) yield bytes.subarray(at, at + 777_777);
  if (end !== undefined) throw end;
}

describe('uploads of blobs that are records', () => {
  const smallBytesMax = 65_536;

  it('are put as such once they are whole, and never are a file', async () => {
    await using directory = await temporaryDirectory();
    const root = directory.path;
    await using opened = await openUploads(root, { smallBytesMax });
    const [small, large] = [blob(smallBytesMax, 1), blob(smallBytesMax + 1, 2)];
    assert.deepEqual(await opened.uploads.resume(small.upload, 0, chunks(small.bytes)), { kind: 'stored' });
    assert.deepEqual(await opened.uploads.resume(large.upload, 0, chunks(large.bytes)), { kind: 'stored' });
    assert.deepEqual([...opened.small.keys()], [small.upload.digest.hash]);
    assert.ok(small.bytes.equals(opened.small.get(small.upload.digest.hash) ?? Buffer.alloc(0)));
    assert.deepEqual(await readdir(join(root, 'objects')), [large.upload.digest.hash]);
    assert.deepEqual(await readdir(join(root, 'uploads')), []);
    assert.equal(opened.ledger.reservedBytes, 0);
    assert.equal(opened.ledger.usedBytes, await takenBytes(root));
  });

  it('BS-11, BS-12, K5-13: end early, are wrong, or have another writer as others do, and nothing of them is kept', async () => {
    await using directory = await temporaryDirectory();
    const root = directory.path;
    await using opened = await openUploads(root, { smallBytesMax, maxBytes: 0 });
    const { upload, bytes } = blob(10_000);
    assert.deepEqual(await opened.uploads.resume(upload, 0, chunks(bytes.subarray(0, 9_999))), { kind: 'partial', committedBytes: 0 });
    await assert.rejects(opened.uploads.resume(upload, 0, chunks(bytes.subarray(0, 5_000), cutOff)), cutOff);
    const wrong = Buffer.from(bytes);
    wrong[77] = 1 + (wrong[77] ?? 0);
    await assert.rejects(opened.uploads.resume(upload, 0, chunks(wrong)), { code: 'invalid_argument' });
    await assert.rejects(opened.uploads.resume(upload, 0, chunks(Buffer.concat([bytes, bytes]))), { code: 'invalid_argument' });
    await assert.rejects(opened.uploads.resume(upload, 5, chunks(bytes)), { code: 'out_of_range' });
    const go = Promise.withResolvers<void>();
    const first = opened.uploads.resume(
      upload,
      0,
      (async function* () {
        await go.promise;
        yield bytes;
      })(),
    );
    await assert.rejects(opened.uploads.resume(upload, 0, chunks(bytes)), { code: 'aborted' });
    go.resolve();
    assert.deepEqual(await first, { kind: 'stored' });
    assert.deepEqual([opened.small.size, opened.uploads.idleCount, opened.ledger.usedBytes], [1, 0, 0]);
  });
});

describe('uploads and leases', () => {
  it('are refused, and no byte is asked for, where leases are strict and take what they may; what is stored is let in', async () => {
    await using directory = await temporaryDirectory();
    const root = directory.path;
    const asked: number[] = [];
    let isThere = false;
    await using opened = await openUploads(root, {
      smallBytesMax: 1_000,
      isStored: () => isThere,
      admit: (bytes) => {
        asked.push(bytes);
        throw new CacheError('disk_full', 'too much is leased');
      },
    });
    for (const size of [1_000, 2_000_000]) {
      const { upload, bytes } = blob(size);
      const unread = (async function* (): AsyncGenerator<Uint8Array> {
        yield assert.fail('nobody asks for the bytes');
      })();
      isThere = false;
      await assert.rejects(opened.uploads.resume(upload, 0, unread), { kind: 'disk_full' });
      isThere = true;
      assert.deepEqual(await opened.uploads.resume(upload, 0, chunks(bytes)), { kind: 'stored' });
    }
    assert.deepEqual(asked, [1_000, 2_000_000]);
  });
});
