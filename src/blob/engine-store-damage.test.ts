// What a start makes of a log in which the history of large files is damaged: the files are right, and their names say so.
import assert from 'node:assert/strict';
import { open, readFile, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { byteSourceOf, collect } from '../base/byte-source.ts';
import { Digest } from '../digest/digest.ts';
import { blake3, md5, sha256, sha512 } from '../digest/digest-function.ts';
import { DigestList } from '../digest/digest-list.ts';
import { NodeLogFileSystem } from '../platform/node-log-files.ts';
import { RememberingLog } from '../testing/remembering-log.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import { temporaryDirectory } from '../testing/temporary-directory.ts';
import { openEngineStore } from '../testing/temporary-engine-store.ts';
import type { EngineStore } from './engine-store.ts';

const options = { maxBytes: 64 * 2 ** 20, segmentBytes: 65_536, smallBytesMax: 8_192 } as const;
const recordMagic = Buffer.from('KREC');

interface Stored {
  readonly digest: Digest;
  readonly bytes: Uint8Array;
}

/** A closed store of small blobs, values' segments aside, with large files of several functions among them. */
async function closedStore(t: TestContext, directory: string): Promise<readonly Stored[]> {
  const random = seededRandom(t);
  const stored: Stored[] = [];
  await using store = await openEngineStore(directory, options);
  for (let round = 0; round < 3; round += 1) {
    for (const digestFunction of [sha256, blake3, md5, sha512]) {
      const bytes = random.bytes(20_000 + random.integer(0, 90_000));
      stored.push({ bytes, digest: Digest.of(bytes, digestFunction) });
    }
    for (let count = 0; count < 12; count += 1) {
      const bytes = random.bytes(7_000);
      stored.push({ bytes, digest: Digest.of(bytes) });
    }
    for (const { digest, bytes } of stored.slice(-16)) await store.blobs.put(digest, byteSourceOf(bytes));
  }
  return stored;
}

/** Spoils the heads of all records that are about the files, wherever a start would read them. */
async function damageHistory(directory: string, isKind: (kind: number) => boolean): Promise<void> {
  const segments = join(directory, 'segments');
  let damaged = 0;
  for (const name of await readdir(segments)) {
    if (name.endsWith('.hint')) await rm(join(segments, name));
    if (!name.endsWith('.blob')) continue;
    const bytes = await readFile(join(segments, name));
    await using file = await open(join(segments, name), 'r+');
    for (let at = bytes.indexOf(recordMagic); at !== -1; at = bytes.indexOf(recordMagic, at + 1)) {
      if (!isKind(bytes[at + 5] ?? 0)) continue;
      await file.write(Buffer.alloc(4), 0, 4, at - 4);
      damaged += 1;
    }
  }
  assert.ok(damaged > 0);
}

/** What the store counts beside segments, hints and quarantine is what stands in `objects/`. */
async function checkCounted(store: EngineStore, directory: string): Promise<void> {
  let bytes = 0;
  for (const folder of ['objects', 'segments', 'quarantine', 'uploads', 'trash']) {
    for (const entry of await readdir(join(directory, folder), { recursive: true, withFileTypes: true }).catch(() => [])) {
      const { size } = entry.isFile() ? await stat(join(entry.parentPath, entry.name)) : { size: 0 };
      if (entry.isFile()) bytes += folder === 'segments' ? size : Math.ceil(size / 4_096) * 4_096;
    }
  }
  assert.equal(store.usage.usedBytes, bytes);
}

async function assertRight(store: EngineStore, { digest, bytes }: Stored): Promise<void> {
  const found = await store.blobs.get(digest);
  assert.ok(found && Buffer.from(await collect(found, bytes.byteLength)).equals(bytes), digest.toString());
}

function isFile({ bytes }: Stored): boolean {
  return bytes.byteLength > options.smallBytesMax;
}

/** Cannot look into the directories of files. */
class HiddenFiles extends NodeLogFileSystem {
  override async list(path: string): ReturnType<NodeLogFileSystem['list']> {
    if (/\/objects\/\w+$/.test(path)) throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO' });
    return super.list(path);
  }
}

const historyKinds = new Set([4, 5]);

describe('files that somebody removed with their directories', () => {
  it('are absent, told of once, not counted, and can be put again', async (t) => {
    await using directory = await temporaryDirectory();
    const stored = await closedStore(t, directory.path);
    const log = new RememberingLog();
    await using store = await openEngineStore(directory.path, options, { log });
    const files = stored.filter(isFile);
    await rm(join(directory.path, 'objects'), { recursive: true });
    for (const { digest } of files) assert.equal(await store.blobs.get(digest), undefined);
    await checkCounted(store, directory.path);
    assert.equal(store.usage.trashBytes, 0);
    assert.deepEqual(log.lines.filter((line) => line.startsWith('error')), []);
    assert.equal(log.lines.filter((line) => line.startsWith('warn a stored file was removed by somebody else')).length, files.length);
    for (const { digest, bytes } of files) await store.blobs.put(digest, byteSourceOf(bytes));
    for (const one of stored) await assertRight(store, one);
    await checkCounted(store, directory.path);
  });
});

describe('a log in which the history of large files is damaged', () => {
  it('K1-03, K1-06: the files are taken in by their names and counted; a second start finds nothing to do', async (t) => {
    await using directory = await temporaryDirectory();
    const stored = await closedStore(t, directory.path);
    await damageHistory(directory.path, (kind) => historyKinds.has(kind));
    const log = new RememberingLog();
    {
      await using store = await openEngineStore(directory.path, options, { log });
      assert.ok(log.lines.includes('warn files whose records were damaged were found by their names, and taken in'));
      assert.ok(!log.lines.some((line) => line.includes('was not closed')), 'it was');
      assert.ok(store.usage.corruptCount >= stored.filter(isFile).length, `${store.usage.corruptCount} records are lost`);
      for (const one of stored.filter(isFile)) await assertRight(store, one);
      assert.equal((await store.blobs.findMissing(DigestList.from(stored.filter((one) => !isFile(one)).map(({ digest }) => digest)))).length, 0);
      await checkCounted(store, directory.path);
    }
    const again = new RememberingLog();
    await using store = await openEngineStore(directory.path, options, { log: again });
    assert.deepEqual(again.lines.filter((line) => /^(?:warn|error)/.test(line)), []);
    for (const one of stored) await assertRight(store, one);
  });

  it('K1-03: so they are when a whole segment cannot be told any more, and what was in it is absent', async (t) => {
    await using directory = await temporaryDirectory();
    const stored = await closedStore(t, directory.path);
    const segments = join(directory.path, 'segments');
    for (const name of await readdir(segments)) {
      if (!name.endsWith('.blob')) continue;
      await using file = await open(join(segments, name), 'r+');
      await file.write(Buffer.alloc(64, 0xff), 0, 64, 0);
    }
    await using store = await openEngineStore(directory.path, options);
    for (const one of stored) {
      if (isFile(one)) await assertRight(store, one);
      else assert.equal(await store.blobs.get(one.digest), undefined);
    }
    await checkCounted(store, directory.path);
  });

  it('K1-10: a file that is taken in and is not what its name says is found out before anybody has it', async (t) => {
    await using directory = await temporaryDirectory();
    const stored = await closedStore(t, directory.path);
    const victim = stored.find(isFile);
    assert.ok(victim);
    await damageHistory(directory.path, (kind) => historyKinds.has(kind));
    const { function: { name }, hash } = victim.digest;
    const path = join(directory.path, 'objects', name, hash.slice(0, 2), hash);
    await rm(path);
    await writeFile(path, Buffer.alloc(victim.bytes.byteLength, 'x'));
    await writeFile(join(directory.path, 'objects', name, hash.slice(0, 2), 'not a hash'), 'x');
    await using store = await openEngineStore(directory.path, options);
    assert.equal(await store.blobs.get(victim.digest), undefined);
    assert.deepEqual(await readdir(join(directory.path, 'quarantine')).then((names) => names.filter((one) => one.endsWith(hash))), [`${name}-${hash}`]);
  });

  for (const { what, spoil, line } of [
    { what: 'was cut in the middle of its records', spoil: (path: string) => truncate(path, 30_000), line: /^error segments\/\w+\.blob has 30000 of its 65536 bytes: it was cut, and what stood behind is lost/ },
    { what: 'was emptied', spoil: (path: string) => truncate(path, 0), line: /^error segments\/\w+\.blob is empty, where Kiln has left a segment/ },
    { what: 'was removed', spoil: (path: string) => rm(path), line: /^warn files whose records were damaged were found/ },
  ]) {
    it(`K1-06: is told of where a segment ${what}, and every file is there and counted`, async (t) => {
      await using directory = await temporaryDirectory();
      const stored = await closedStore(t, directory.path);
      const segments = join(directory.path, 'segments');
      for (const name of await readdir(segments)) if (name.endsWith('.blob')) await spoil(join(segments, name));
      const log = new RememberingLog();
      {
        await using store = await openEngineStore(directory.path, options, { log });
        assert.ok(log.lines.some((one) => line.test(one)), log.lines.join('\n'));
        assert.ok(!log.lines.some((one) => one.includes('was not closed')) || what.includes('cut'));
        assert.equal(store.usage.corruptCount > 0, what !== 'was removed');
        for (const one of stored.filter(isFile)) await assertRight(store, one);
        for (const one of stored) await store.blobs.put(one.digest, byteSourceOf(one.bytes));
        await checkCounted(store, directory.path);
      }
      const again = new RememberingLog();
      await using store = await openEngineStore(directory.path, options, { log: again });
      assert.deepEqual(again.lines.filter((one) => /^(?:warn|error)/.test(one)), []);
      for (const one of stored) await assertRight(store, one);
    });
  }

  for (const { what, spoil } of [
    { what: 'a segment that cannot be told any more', spoil: (path: string) => truncate(path, 40) },
    { what: 'one that is gone', spoil: (path: string) => rm(path) },
    { what: 'one that was cut', spoil: (path: string) => truncate(path, 30_000) },
  ]) {
    it(`K1-03: a start that ended behind ${what} and before the files were settled leaves them to the next`, async (t) => {
      await using directory = await temporaryDirectory();
      const stored = await closedStore(t, directory.path);
      const segments = join(directory.path, 'segments');
      const blobs = (await readdir(segments)).filter((name) => name.endsWith('.blob')).toSorted();
      for (const name of blobs.slice(0, -1)) await spoil(join(segments, name));
      await assert.rejects(openEngineStore(directory.path, options, { files: new HiddenFiles() }), /EIO/);
      {
        await using store = await openEngineStore(directory.path, options);
        for (const one of stored.filter(isFile)) await assertRight(store, one);
        await checkCounted(store, directory.path);
      }
      assert.ok(!(await readdir(directory.path)).includes('unsettled'));
    });
  }

  it('K1-06: finds the files where all of the log was removed', async (t) => {
    await using directory = await temporaryDirectory();
    const stored = await closedStore(t, directory.path);
    await rm(join(directory.path, 'segments'), { recursive: true });
    await using store = await openEngineStore(directory.path, options);
    for (const one of stored.filter(isFile)) await assertRight(store, one);
    await checkCounted(store, directory.path);
  });

  it('a start does not look for files where nothing is damaged', async (t) => {
    await using directory = await temporaryDirectory();
    const stored = await closedStore(t, directory.path);
    const victim = stored.find(isFile);
    assert.ok(victim);
    const { function: { name }, hash } = victim.digest;
    const other = `${hash.slice(0, 2)}${'0'.repeat(62)}`;
    await writeFile(join(directory.path, 'objects', name, hash.slice(0, 2), other), 'nobody put this');
    await using store = await openEngineStore(directory.path, options);
    assert.equal(await store.blobs.resolve(sha256, other), undefined);
  });
});
