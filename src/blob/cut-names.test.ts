// Large files whose hashes are longer than an index key, and of which the log has lost the rest: their names still say it.
import assert from 'node:assert/strict';
import { open, readFile, readdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { byteSourceOf, collect } from '../base/byte-source.ts';
import { Digest } from '../digest/digest.ts';
import { sha384, sha512 } from '../digest/digest-function.ts';
import { DigestList } from '../digest/digest-list.ts';
import { RememberingLog } from '../testing/remembering-log.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import { temporaryDirectory } from '../testing/temporary-directory.ts';
import { openEngineStore } from '../testing/temporary-engine-store.ts';
import type { EngineStore } from './engine-store.ts';

const options = { maxBytes: 4 * 2 ** 20, segmentBytes: 65_536, smallBytesMax: 8_192, leaseMs: 0 } as const;
const fileBytes = 100_000;
const commitKind = 5;
const [kindOffset, hashOffset] = [9, 56];

function pathOf(directory: string, { function: { name }, hash }: Digest): string {
  return join(directory, 'objects', name, hash.slice(0, 2), hash);
}

/** Spoils the record that says that the file is there. */
async function damageCommit(directory: string, { hash }: Digest): Promise<void> {
  const segments = join(directory, 'segments');
  let damaged = 0;
  for (const name of await readdir(segments)) {
    if (!name.endsWith('.blob')) continue;
    const bytes = await readFile(join(segments, name));
    const wanted = Buffer.from(hash, 'hex');
    for (let at = bytes.indexOf(wanted); at !== -1; at = bytes.indexOf(wanted, at + 1)) {
      if (bytes[at - hashOffset + kindOffset] !== commitKind) continue;
      await using file = await open(join(segments, name), 'r+');
      await file.write(Buffer.alloc(4), 0, 4, at - hashOffset);
      damaged += 1;
    }
  }
  assert.equal(damaged, 1);
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(() => true, () => false);
}

async function diskBytes(directory: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(join(directory, 'objects'), { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) bytes += Math.ceil((await stat(join(entry.parentPath, entry.name))).size / 4_096) * 4_096;
  }
  return bytes;
}

async function put(store: EngineStore, bytes: Uint8Array, digest = Digest.of(bytes)): Promise<Digest> {
  await store.blobs.put(digest, byteSourceOf(bytes));
  return digest;
}

describe('a large file of a long hash whose commit is damaged', () => {
  for (const digestFunction of [sha384, sha512]) {
    it(`is evicted as others are, ${digestFunction.name}`, async (t) => {
      const random = seededRandom(t);
      await using directory = await temporaryDirectory();
      await using store = await openEngineStore(directory.path, options);
      const bytes = random.bytes(fileBytes);
      const digest = await put(store, bytes, Digest.of(bytes, digestFunction));
      await damageCommit(directory.path, digest);
      for (let count = 0; count < 80; count += 1) await put(store, random.bytes(fileBytes));
      assert.equal((await store.blobs.findMissing(DigestList.from([digest]))).length, 1);
      while (store.usage.trashBytes > 0) await new Promise(setImmediate);
      assert.equal(await isThere(pathOf(directory.path, digest)), false, 'nothing counts it, so it must not be there');
    });
  }

  it('K1-03: stays when the segment that had the commit is given up, over a start too', async (t) => {
    const random = seededRandom(t);
    await using directory = await temporaryDirectory();
    const log = new RememberingLog();
    const bytes = random.bytes(fileBytes);
    const digest = Digest.of(bytes, sha512);
    {
      await using store = await openEngineStore(directory.path, options, { log });
      await put(store, bytes, digest);
      await damageCommit(directory.path, digest);
      while (!log.lines.some((line) => line.includes('was written anew'))) {
        await put(store, random.bytes(8_000));
        assert.equal((await store.blobs.findMissing(DigestList.from([digest]))).length, 0);
        assert.ok(await isThere(dirname(pathOf(directory.path, digest))));
      }
    }
    await using store = await openEngineStore(directory.path, options);
    const found = await store.blobs.get(digest);
    assert.ok(found && Buffer.from(await collect(found, fileBytes)).equals(bytes));
    assert.equal(await diskBytes(directory.path), Math.ceil(fileBytes / 4_096) * 4_096);
  });
});
