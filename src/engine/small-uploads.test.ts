// Uploads of blobs that are records, and what leases have to say of any.
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ByteBudget } from '../base/byte-budget.ts';
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

describe('uploads of small blobs and what they take', () => {
  const smallBytesMax = 65_536;

  it('is memory of the budget while they come, and no file that may be open', async () => {
    await using directory = await temporaryDirectory();
    const budget = new ByteBudget({ maxBytes: 1_000_000, waitersMax: 10 });
    await using opened = await openUploads(directory.path, { smallBytesMax, budget, writesMax: 1 });
    const go = Promise.withResolvers<void>();
    const running = [10_000, 20_000, 2_000_000].map(async (size) => {
      const { upload, bytes } = blob(size, size);
      return opened.uploads.resume(
        upload,
        0,
        (async function* () {
          await go.promise;
          yield* chunks(bytes);
        })(),
      );
    });
    const { upload, bytes } = blob(30_000, 3);
    assert.deepEqual(await opened.uploads.resume(upload, 0, chunks(bytes)), { kind: 'stored' }, 'who waits stands in the way of nobody');
    assert.equal(budget.usedBytes, 30_000);
    await assert.rejects(opened.uploads.resume(upload, 0, chunks(bytes.subarray(0, 5), cutOff)), cutOff);
    go.resolve();
    assert.deepEqual(await Promise.all(running), [{ kind: 'stored' }, { kind: 'stored' }, { kind: 'stored' }]);
    assert.equal(budget.usedBytes, 0);
  });

  it('is refused, and no byte asked for, where requests may not grow; a little always is taken', async () => {
    await using directory = await temporaryDirectory();
    const budget = new ByteBudget({ maxBytes: 1_000_000, waitersMax: 10 });
    budget.take(900_000);
    await using opened = await openUploads(directory.path, { smallBytesMax, budget });
    const { upload } = blob(10_000);
    const unread = (async function* (): AsyncGenerator<Uint8Array> {
      yield assert.fail('nobody asks for the bytes');
    })();
    await assert.rejects(opened.uploads.resume(upload, 0, unread), { kind: 'busy' });
    const little = blob(4_096, 2);
    assert.deepEqual(await opened.uploads.resume(little.upload, 0, chunks(little.bytes)), { kind: 'stored' });
    assert.equal(budget.usedBytes, 900_000);
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
