// Cuts power and kills at every step of durable writes, and proves that the check would catch broken variants.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { FileSystem } from '../base/file-system.ts';
import { Digest } from '../digest/digest.ts';
import { FaultyFileSystem } from '../testing/faulty-file-system.ts';
import type { Operation } from '../testing/faulty-file-system.ts';
import { SeededRandom, chunked, seededRandom } from '../testing/seeded-random.ts';
import { DigestCheck } from './digest-check.ts';
import { DurableDirectories } from './durable-directories.ts';
import { writeDurably } from './durable-write.ts';
import type { DurableStorage, WriteTarget } from './durable-write.ts';

const root = '/data';

interface Blob {
  readonly digest: Digest;
  readonly bytes: Uint8Array;
  readonly final: string;
}

function target({ digest, final }: Blob): WriteTarget {
  const directory = final.slice(0, final.lastIndexOf('/'));
  return { paths: { directory, partial: `${final}.partial`, final }, check: new DigestCheck(digest), guard: (publish) => publish() };
}

function makeBlobs(random: SeededRandom): readonly Blob[] {
  return ['one', 'two', 'three', 'four'].map((name, index) => {
    const bytes = random.bytes(random.integer(1, 40_000));
    return { digest: Digest.of(bytes), bytes, final: `${root}/objects/${index >> 1}/${name}` };
  });
}

/** A disk with a durable, empty data directory. */
async function freshDisk(): Promise<FaultyFileSystem> {
  const disk = new FaultyFileSystem();
  await disk.makeDirectory(root);
  await disk.syncDirectory('/');
  disk.operations.length = 0;
  return disk;
}

/** Writes the blobs, the middle two at the same time. Returns the names acknowledged before the process died. */
async function writeAll(files: FileSystem, blobs: readonly Blob[], random: SeededRandom): Promise<ReadonlySet<string>> {
  const acknowledged = new Set<string>();
  const storage: DurableStorage = { files, directories: new DurableDirectories(files, root) };
  const write = async (blob: Blob): Promise<void> => {
    await writeDurably(storage, target(blob), chunked(blob.bytes, random));
    acknowledged.add(blob.final);
  };
  const [first, second, third, fourth] = blobs;
  assert.ok(first && second && third && fourth);
  const dead = (): undefined => undefined;
  await write(first).catch(dead);
  await Promise.all([write(second).catch(dead), write(third).catch(dead)]);
  await write(fourth).catch(dead);
  return acknowledged;
}

/** What is wrong with the disk that a crash left; undefined when every promise was kept. */
function broken(left: FaultyFileSystem, blobs: readonly Blob[], acknowledged: ReadonlySet<string>): string | undefined {
  const found = left.snapshot();
  for (const { final, bytes } of blobs) {
    const file = found.get(final);
    if (file === undefined && acknowledged.has(final)) return `${final} was acknowledged and is lost`;
    if (file !== undefined && !file.equals(bytes)) return `${final} is not whole: ${file.byteLength} of ${bytes.byteLength} bytes, or others`;
  }
  return undefined;
}

/** Cuts before every operation. `spoil` stands between the code and the disk. Returns the first broken promise and the points tried. */
async function explore(seed: number, spoil: (disk: FaultyFileSystem) => FileSystem): Promise<{ readonly found: string | undefined; readonly points: number }> {
  let points = 0;
  for (let cutAt = 0; ; cutAt += 1) {
    const random = new SeededRandom(seed);
    const blobs = makeBlobs(random);
    const disk = await freshDisk();
    disk.cutAt = cutAt;
    const acknowledged = await writeAll(spoil(disk), blobs, random);
    const cut = disk.cutAt === -1;
    const states = [disk.afterKill(), ...Array.from({ length: 8 }, () => disk.afterPowerCut(random))];
    for (const state of states) {
      points += 1;
      const found = broken(state, blobs, acknowledged);
      if (found !== undefined) return { found: `cut at ${cutAt}: ${found}`, points };
    }
    if (!cut) {
      assert.equal(acknowledged.size, blobs.length, 'the run without a cut acknowledges everything');
      return { found: undefined, points };
    }
  }
}

/** The disk with some operations replaced. */
function spoiled(disk: FaultyFileSystem, replaced: Partial<FileSystem>): FileSystem {
  return new Proxy(disk, {
    get(from, name) {
      const own: unknown = Reflect.get(replaced, name) ?? Reflect.get(from, name, from);
      return typeof own === 'function' ? own.bind(from) : own;
    },
  });
}

function withoutDataSync(disk: FaultyFileSystem, sync: (real: () => Promise<void>) => Promise<void>): FileSystem {
  return spoiled(disk, {
    async createExclusive(path) {
      const file = await disk.createExclusive(path);
      return { ...file, syncData: () => sync(() => file.syncData()), [Symbol.asyncDispose]: () => file[Symbol.asyncDispose]() };
    },
  });
}

describe('writeDurably under crashes', () => {
  it('K1-01, K1-03: keeps every promise at every step, killed or cut', async (t) => {
    const random = seededRandom(t);
    let points = 0;
    for (let round = 0; round < 10; round += 1) {
      const outcome = await explore(random.integer(0, 2 ** 31), (disk) => disk);
      assert.equal(outcome.found, undefined);
      points += outcome.points;
    }
    assert.ok(points > 1_000, `${points} points tried`);
  });

  const later = (real: () => Promise<void>): Promise<void> => {
    void Promise.resolve().then(() => new Promise(setImmediate)).then(real).catch(() => undefined);
    return Promise.resolve();
  };
  const brokenVariants: readonly (readonly [string, (disk: FaultyFileSystem) => FileSystem])[] = [
    ['no directory sync', (disk) => spoiled(disk, { syncDirectory: async () => undefined })],
    ['no data sync', (disk) => withoutDataSync(disk, async () => undefined)],
    ['acknowledged before the data sync', (disk) => withoutDataSync(disk, later)],
    ['acknowledged before the directory sync', (disk) => spoiled(disk, { syncDirectory: (path) => later(() => disk.syncDirectory(path)) })],
    ['shard directory not synced in its parent', (disk) => spoiled(disk, { syncDirectory: async (path) => (/objects$/.test(path) ? undefined : disk.syncDirectory(path)) })],
    ['written in place', (disk) => spoiled(disk, {
      createExclusive: (path) => disk.createExclusive(path.replace(/\.partial$/, '')),
      rename: async () => undefined,
    })],
  ];
  for (const [name, variant] of brokenVariants) {
    it(`the check catches a broken variant: ${name}`, async (t) => {
      const random = seededRandom(t);
      const { found } = await explore(random.integer(0, 2 ** 31), variant);
      assert.notEqual(found, undefined);
    });
  }

  it('K1-01: does the steps in this order, with one sync of the file and one of its directory', async (t) => {
    const random = seededRandom(t);
    const disk = await freshDisk();
    const storage = { files: disk, directories: new DurableDirectories(disk, root) };
    const [first, second] = makeBlobs(random);
    assert.ok(first && second);
    await writeDurably(storage, target(first), chunked(first.bytes, random));
    disk.operations.length = 0;
    await writeDurably(storage, target(second), chunked(second.bytes, random));
    const steps = disk.operations.map(({ operation }) => operation).filter((operation) => operation !== 'write');
    assert.deepEqual(steps, ['createExclusive', 'syncData', 'rename', 'syncDirectory']);
  });

  const codes = [['ENOSPC', 'resource_exhausted'], ['EDQUOT', 'resource_exhausted'], ['EIO', 'unavailable'], ['EMFILE', 'unavailable'], ['EROFS', 'unavailable']] as const;
  const steps: readonly Operation[] = ['makeDirectory', 'createExclusive', 'write', 'syncData', 'rename', 'syncDirectory'];
  for (const failing of steps) {
    it(`a failing ${failing} is typed and leaves no part behind`, async (t) => {
      const random = seededRandom(t);
      for (const [systemCode, code] of codes) {
        const disk = await freshDisk();
        const storage = { files: disk, directories: new DurableDirectories(disk, root) };
        const [blob] = makeBlobs(random);
        assert.ok(blob);
        disk.fault = (operation) => (operation === failing ? systemCode : undefined);
        await assert.rejects(writeDurably(storage, target(blob), chunked(blob.bytes, random)), { code });
        const names = [...disk.snapshot().keys()].filter((name) => name !== blob.final);
        assert.deepEqual(names, [], `after ${systemCode}`);
        disk.fault = () => undefined;
        await writeDurably(storage, target(blob), chunked(blob.bytes, random));
        assert.deepEqual([...disk.snapshot().keys()], [blob.final], 'the next try is not hindered');
      }
    });
  }

  it('a write that stops halfway leaves nothing', async (t) => {
    const random = seededRandom(t);
    const disk = await freshDisk();
    const storage = { files: disk, directories: new DurableDirectories(disk, root) };
    const [blob] = makeBlobs(random);
    assert.ok(blob);
    disk.fault = (operation) => (operation === 'write' ? 'short' : undefined);
    await assert.rejects(writeDurably(storage, target(blob), chunked(blob.bytes, random)), { code: 'resource_exhausted' });
    assert.deepEqual([...disk.snapshot().keys()], []);
  });

  it('K1-22: concurrent writers of one directory share its syncs', async (t) => {
    const random = seededRandom(t);
    const disk = await freshDisk();
    const storage = { files: disk, directories: new DurableDirectories(disk, root) };
    const writes = Array.from({ length: 100 }, (_, index) => {
      const bytes = random.bytes(100);
      const blob = { digest: Digest.of(bytes), bytes, final: `${root}/objects/${index}` };
      return writeDurably(storage, target(blob), chunked(bytes, random));
    });
    await Promise.all(writes);
    const syncs = disk.operations.filter(({ operation }) => operation === 'syncDirectory').length;
    assert.ok(syncs < 50, `${syncs} directory syncs for 100 writes`);
  });
});
