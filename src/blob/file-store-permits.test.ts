// Uploads that hold all files that may be open for writing, and what gets past them.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { byteSourceOf } from '../base/byte-source.ts';
import { Digest } from '../digest/digest.ts';
import { temporaryDirectory } from '../testing/kiln-process.ts';
import { openFileStore } from '../testing/temporary-file-store.ts';

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
