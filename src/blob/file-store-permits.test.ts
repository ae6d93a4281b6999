// Files that may be open at the same time: what holds them, what gets past those, and what must give them back.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { byteSourceOf, collect } from '../base/byte-source.ts';
import type { FileHandle } from '../base/file-system.ts';
import { Digest } from '../digest/digest.ts';
import { DigestList } from '../digest/digest-list.ts';
import { NodeFileSystem } from '../platform/node-file-system.ts';
import { systemError } from '../testing/faulty-file-system.ts';
import { temporaryDirectory } from '../testing/kiln-process.ts';
import { openFileStore } from '../testing/temporary-file-store.ts';

/** A disk whose files cannot be closed. */
class UnclosableFileSystem extends NodeFileSystem {
  override async openRead(path: string): Promise<FileHandle | undefined> {
    const opened = await super.openRead(path);
    if (!path.includes('/objects/')) return opened;
    return (
      opened && {
        write: (bytes) => opened.write(bytes),
        read: (into, offset) => opened.read(into, offset),
        syncData: () => opened.syncData(),
        async [Symbol.asyncDispose]() {
          await opened[Symbol.asyncDispose]();
          throw systemError('EIO', 'close');
        },
      }
    );
  }
}

it('a file that cannot be closed costs no permit, and the reader is told that the disk is sick', async (t) => {
  const directory = await temporaryDirectory(t);
  const bytes = Buffer.alloc(2_000_000, 1);
  {
    await using store = await openFileStore(directory);
    await store.blobs.put(Digest.of(bytes), byteSourceOf(bytes));
  }
  await using store = await openFileStore(directory, { openReadsMax: 2 }, { files: new UnclosableFileSystem() });
  for (let round = 0; round < 5; round += 1) {
    const source = await store.blobs.get(Digest.of(bytes));
    assert.ok(source !== undefined);
    await assert.rejects(collect(source, bytes.byteLength), { code: 'unavailable', message: /close a stored file/ });
  }
  assert.equal(store.usage.openReads, 0);
});

it('who asks for the same small blob at once shares one read of the disk and one file', async (t) => {
  const directory = await temporaryDirectory(t);
  const bytes = Buffer.alloc(100_000, 1);
  const digest = Digest.of(bytes);
  {
    await using store = await openFileStore(directory);
    await store.blobs.put(digest, byteSourceOf(bytes));
  }
  let opens = 0;
  class CountingFileSystem extends NodeFileSystem {
    override openRead(path: string): Promise<FileHandle | undefined> {
      if (path.includes(digest.hash)) opens += 1;
      return super.openRead(path);
    }
  }
  await using store = await openFileStore(directory, {}, { files: new CountingFileSystem() });
  const [controller, range] = [new AbortController(), { offset: 10, length: 20 }];
  const left = Promise.resolve(store.blobs.get(digest, { signal: controller.signal }));
  const sources = Promise.all([store.blobs.get(digest), store.blobs.get(digest, { range })]);
  const batches = store.blobs.getMany(DigestList.of(digest, digest));
  controller.abort();
  await assert.rejects(left, { code: 'cancelled' });
  assert.deepEqual((await sources).map((source) => source?.inMemory?.byteLength), [bytes.byteLength, range.length]);
  for (const result of await batches) assert.ok(result instanceof Uint8Array && bytes.equals(result));
  assert.equal(opens, 1);
});

const openWritesMax = 16;
const largeBytes = 300_000;

it('what has all come is written while large uploads hold all files that are theirs, and another one of them waits', async (t) => {
  await using store = await openFileStore(await temporaryDirectory(t), { openWritesMax });
  const gate = Promise.withResolvers<void>();
  const large = Array.from({ length: openWritesMax }, (_, index) => Buffer.alloc(largeBytes, `large ${index} `));
  const uploads = large.map((bytes) =>
    store.blobs.put(Digest.of(bytes), (async function* () {
      yield bytes.subarray(0, 1);
      await gate.promise;
      yield bytes.subarray(1);
    })()),
  );
  while (store.usage.waitingWrites === 0) await new Promise((resolve) => setImmediate(resolve));
  assert.ok(store.usage.openWrites < openWritesMax);
  for (let index = 0; index < 20; index += 1) {
    const small = Buffer.from(`small ${index}`);
    await store.blobs.put(Digest.of(small), byteSourceOf(small));
  }
  assert.ok(store.usage.waitingWrites > 0, 'the large ones hold theirs all the while');
  gate.resolve();
  await Promise.all(uploads);
  assert.deepEqual([store.usage.openWrites, store.usage.waitingWrites, store.usage.openWritesMax], [0, 0, openWritesMax]);
});
