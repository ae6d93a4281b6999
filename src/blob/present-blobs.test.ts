// Batches of blobs that are there already: right bytes are accepted, wrong ones refused, however it is found out, and what was
// spoilt on the disk is stored anew.
import assert from 'node:assert/strict';
import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { Digest } from '../digest/digest.ts';
import { sha512 } from '../digest/digest-function.ts';
import { DigestList } from '../digest/digest-list.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import type { SeededRandom } from '../testing/seeded-random.ts';
import { temporaryDirectory } from '../testing/temporary-directory.ts';
import { openEngineStore, temporaryEngineStore } from '../testing/temporary-engine-store.ts';
import type { BlobBytes, BlobStore } from './blob-store.ts';

/** Records and files, of every length modulo 8. */
function someBlobs(random: SeededRandom): readonly BlobBytes[] {
  const sizes = [1, 7, 8, 9, 1_023, 1_024, 1_025, 30_000, 100_000, 300_000];
  return sizes.map((size) => random.bytes(size)).map((bytes) => ({ digest: Digest.of(bytes), bytes }));
}

function spoilt(bytes: Uint8Array, at: number): Uint8Array {
  const other = Uint8Array.from(bytes);
  other[at] = (other[at] ?? 0) ^ 1;
  return other;
}

/** The same digests with bytes that differ somewhere, or are too few or too many. */
function wrong(blobs: readonly BlobBytes[], random: SeededRandom): readonly BlobBytes[] {
  return blobs.flatMap(({ digest, bytes }) => [
    { digest, bytes: spoilt(bytes, 0) },
    { digest, bytes: spoilt(bytes, bytes.byteLength - 1) },
    { digest, bytes: spoilt(bytes, random.integer(0, bytes.byteLength - 1)) },
    { digest, bytes: bytes.subarray(1) },
    { digest, bytes: Buffer.concat([bytes, Buffer.of(0)]) },
  ]);
}

async function codesOf(blobs: BlobStore, batch: readonly BlobBytes[]): Promise<readonly (string | undefined)[]> {
  return (await blobs.putMany(batch)).map((result) => result?.code);
}

async function checkAll(blobs: BlobStore, stored: readonly BlobBytes[], random: SeededRandom): Promise<void> {
  const bad = wrong(stored, random);
  assert.deepEqual(await codesOf(blobs, [...stored, ...bad, ...stored]), [...stored.map(() => undefined), ...bad.map(() => 'invalid_argument'), ...stored.map(() => undefined)]);
  const [first] = bad;
  assert.match((first && (await blobs.putMany([first]))[0]?.message) ?? '', /their hash is|bytes were sent/);
}

describe('blobs that are there and come again', () => {
  it('CAS-13: are checked against what was stored since the start', async (t) => {
    const random = seededRandom(t);
    await using opened = await temporaryEngineStore();
    const { blobs } = opened.store;
    const stored = someBlobs(random);
    assert.deepEqual(await codesOf(blobs, stored), stored.map(() => undefined));
    const { usedBytes, syncsCount } = opened.store.usage;
    await checkAll(blobs, stored, random); // the segment is not open yet: by hash
    await blobs.getMany(DigestList.from(stored.map(({ digest }) => digest)));
    await checkAll(blobs, stored, random); // now by what is stored
    assert.equal(opened.store.usage.usedBytes, usedBytes);
    assert.equal(opened.store.usage.syncsCount, syncsCount);
  });

  it('CAS-13: are checked after a start too, before anybody read them and behind that', async (t) => {
    const random = seededRandom(t);
    await using directory = await temporaryDirectory();
    const stored = someBlobs(random);
    {
      await using store = await openEngineStore(directory.path);
      await store.blobs.putMany(stored);
    }
    await using store = await openEngineStore(directory.path);
    await checkAll(store.blobs, stored, random);
    await store.blobs.getMany(DigestList.from(stored.map(({ digest }) => digest)));
    await checkAll(store.blobs, stored, random);
  });

  it('CAS-13: are checked by their whole hash where that is longer than a key', async (t) => {
    const random = seededRandom(t);
    await using opened = await temporaryEngineStore();
    const { blobs } = opened.store;
    const stored = [10, 2_000].map((size) => random.bytes(size)).map((bytes) => ({ digest: Digest.of(bytes, sha512), bytes }));
    await blobs.putMany(stored);
    await blobs.getMany(DigestList.from(stored.map(({ digest }) => digest)));
    await checkAll(blobs, stored, random);
    // As far as keys go it is the same blob.
    const alike = stored.map(({ digest, bytes }) => ({ digest: Digest.parse(sha512, `${digest.hash.slice(0, 64)}${'0'.repeat(64)}`, bytes.byteLength), bytes }));
    assert.deepEqual(await codesOf(blobs, alike), alike.map(() => 'invalid_argument'));
  });

  it('K1-02: are stored anew where the disk has something else by now', async (t) => {
    const random = seededRandom(t);
    await using opened = await temporaryEngineStore();
    const { blobs } = opened.store;
    const stored = [500, 1_024, 3_000].map((size) => random.bytes(size)).map((bytes) => ({ digest: Digest.of(bytes), bytes }));
    await blobs.putMany(stored);
    const digests = DigestList.from(stored.map(({ digest }) => digest));
    await blobs.getMany(digests);
    const [, middle] = stored;
    assert.ok(middle !== undefined);
    await spoilOnDisk(join(opened.directory, 'segments'), middle.bytes);
    assert.deepEqual(await codesOf(blobs, stored), [undefined, undefined, undefined]);
    assert.equal(opened.store.usage.corruptCount, 1);
    const read = await blobs.getMany(digests);
    assert.deepEqual(read.map((found) => found instanceof Uint8Array && Buffer.from(found)), stored.map(({ bytes }) => Buffer.from(bytes)));
    assert.deepEqual(await codesOf(blobs, [{ digest: middle.digest, bytes: spoilt(middle.bytes, 3) }]), ['invalid_argument']);
  });
});

/** Changes a byte of it in its place. */
async function spoilOnDisk(directory: string, bytes: Uint8Array): Promise<void> {
  for (const name of await readdir(directory)) {
    await using file = await open(join(directory, name), 'r+');
    const at = (await file.readFile()).indexOf(bytes);
    if (at === -1) continue;
    await file.write(spoilt(bytes.subarray(0, 1), 0), 0, 1, at);
    return;
  }
  assert.fail('it is in no segment');
}
