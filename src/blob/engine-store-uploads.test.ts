// Uploads that are cut off and resumed, in the whole store over real files.
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { collect } from '../base/byte-source.ts';
import { DigestList } from '../digest/digest-list.ts';
import { pieceBytes } from '../engine/upload-journal-format.ts';
import { temporaryDirectory } from '../testing/temporary-directory.ts';
import { openEngineStore } from '../testing/temporary-engine-store.ts';
import { patternOf, takenBytes } from '../testing/temporary-uploads.ts';
import type { EngineStore } from './engine-store.ts';

const cutOff = new Error('the client is gone');

async function* chunks(bytes: Buffer, end?: Error): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes.byteLength; at += 1_000_000) yield bytes.subarray(at, at + 1_000_000);
  if (end !== undefined) throw end;
}

/** What uploads take is counted, and nothing else is. */
async function assertCounted(root: string, { usage }: EngineStore): Promise<void> {
  assert.equal(usage.uploadsBytes, await takenBytes(join(root, 'uploads')));
}

describe('uploads of the whole store', () => {
  it('K5-11, K1-03: one is cut off, resumed after a start, cut off again, resumed, and is a blob from there on', async () => {
    await using directory = await temporaryDirectory();
    const { upload, bytes } = patternOf(3 * pieceBytes + 77);
    const options = { maxBytes: 2 ** 30 };
    for (const [committed, sent] of [[0, pieceBytes + 5], [1, 2 * pieceBytes - 1], [1, 2 * pieceBytes + 1]] as const) {
      await using store = await openEngineStore(directory.path, options);
      const from = store.uploads.committedBytes(upload);
      assert.equal(from, committed * pieceBytes);
      await assert.rejects(store.uploads.resume(upload, from, chunks(bytes.subarray(from, sent), cutOff)), cutOff);
      await assertCounted(directory.path, store);
      assert.equal(DigestList.of(upload.digest).length, (await store.blobs.findMissing(DigestList.of(upload.digest))).length, 'nothing of it can be seen');
    }
    {
      await using store = await openEngineStore(directory.path, options);
      const from = store.uploads.committedBytes(upload);
      assert.equal(from, 2 * pieceBytes);
      assert.deepEqual(await store.uploads.resume(upload, from, chunks(bytes.subarray(from))), { kind: 'stored' });
      assert.deepEqual(await readdir(join(directory.path, 'uploads')), []);
    }
    await using store = await openEngineStore(directory.path, options);
    const found = await store.blobs.get(upload.digest);
    assert.ok(found !== undefined && Buffer.from(await collect(found, bytes.byteLength)).equals(bytes));
    assert.equal(store.uploads.committedBytes(upload), 0);
    await assertCounted(directory.path, store);
  });

  it('BS-15: two writers of one blob under two ids both succeed, and one file stays', async () => {
    await using directory = await temporaryDirectory();
    await using store = await openEngineStore(directory.path, { maxBytes: 2 ** 30 });
    const { upload, bytes } = patternOf(pieceBytes + 77);
    const outcomes = await Promise.all([upload, { ...upload, uploadId: 'other' }].map((one) => store.uploads.resume(one, 0, chunks(bytes))));
    assert.deepEqual(outcomes, [{ kind: 'stored' }, { kind: 'stored' }]);
    assert.deepEqual(await readdir(join(directory.path, 'uploads')), []);
    assert.deepEqual(await readdir(join(directory.path, 'objects', 'sha256')), [upload.digest.hash.slice(0, 2)]);
  });

  it('one that is small is a record, also beside puts of the same blob, and nothing is left that nobody counts', async () => {
    await using directory = await temporaryDirectory();
    const options = { maxBytes: 2 ** 30 };
    const blobs = Array.from({ length: 20 }, (_, index) => patternOf(1_000 + index, index));
    {
      await using store = await openEngineStore(directory.path, options);
      await Promise.all(
        blobs.flatMap(({ upload, bytes }) => [store.blobs.put(upload.digest, chunks(bytes)), store.uploads.resume(upload, 0, chunks(bytes)), store.uploads.resume({ ...upload, uploadId: 'other' }, 0, chunks(bytes))]),
      );
      assert.equal(store.usage.blobsCount, blobs.length);
    }
    assert.deepEqual(await readdir(join(directory.path, 'objects')).catch(() => []), []);
    await using store = await openEngineStore(directory.path, options);
    assert.equal((await store.blobs.findMissing(DigestList.from(blobs.map(({ upload }) => upload.digest)))).length, 0);
  });

  it('K2-14: one is refused where leases are strict and take what they may, small or large', async () => {
    await using directory = await temporaryDirectory();
    await using store = await openEngineStore(directory.path, { maxBytes: 4 << 20, segmentBytes: 65_536, leases: 'strict', leaseMs: 3_600_000 });
    const [first, large, small] = [patternOf(1_990_000, 1), patternOf(150_000, 2), patternOf(10_000, 3)];
    assert.deepEqual(await store.uploads.resume(first.upload, 0, chunks(first.bytes)), { kind: 'stored' });
    await assert.rejects(store.uploads.resume(large.upload, 0, chunks(large.bytes)), { kind: 'disk_full', message: /are leased/ });
    assert.deepEqual(await store.uploads.resume(small.upload, 0, chunks(small.bytes)), { kind: 'stored' });
    const another = patternOf(100_000, 4);
    await assert.rejects(store.uploads.resume(another.upload, 0, chunks(another.bytes)), { kind: 'disk_full' });
    assert.deepEqual(await store.uploads.resume({ ...first.upload, uploadId: 'again' }, 0, chunks(first.bytes)), { kind: 'stored' });
  });

  it('an upload that stays behind when its blob came by another way is gone after a start', async () => {
    await using directory = await temporaryDirectory();
    const { upload, bytes } = patternOf(pieceBytes + 77);
    {
      await using store = await openEngineStore(directory.path, { maxBytes: 2 ** 30 });
      await assert.rejects(store.uploads.resume(upload, 0, chunks(bytes.subarray(0, pieceBytes + 1), cutOff)), cutOff);
      await store.blobs.put(upload.digest, chunks(bytes));
      assert.equal(store.uploads.committedBytes(upload), pieceBytes);
    }
    await using store = await openEngineStore(directory.path, { maxBytes: 2 ** 30 });
    assert.equal(store.uploads.committedBytes(upload), 0);
    assert.deepEqual(await readdir(join(directory.path, 'uploads')), []);
    await assertCounted(directory.path, store);
  });
});
