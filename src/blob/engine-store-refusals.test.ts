// Directories that cannot be used: each is refused with what to do, and nothing in it is changed or lost.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, writeSync } from 'node:fs';
import { chmod, cp, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { byteSourceOf, collect } from '../base/byte-source.ts';
import { Digest } from '../digest/digest.ts';
import { DigestList } from '../digest/digest-list.ts';
import { dataDirectoryError } from '../engine/data-directory.ts';
import { lockDataDirectory } from '../platform/data-directory-lock.ts';
import { NodeLogFileSystem } from '../platform/node-log-files.ts';
import { systemError } from '../testing/faulty-file-system.ts';
import { mortalFiles, mortalSyncs } from '../testing/mortal-files.ts';
import type { BeforeOperation } from '../testing/mortal-files.ts';
import { SeededRandom } from '../testing/seeded-random.ts';
import { temporaryDirectory } from '../testing/temporary-directory.ts';
import { enginePorts, openEngineStore } from '../testing/temporary-engine-store.ts';
import { EngineStore } from './engine-store.ts';

/** The refusal has the code, and its text names the directory and the way out. */
function refusal(code: string, ...facts: readonly string[]) {
  return (thrown: unknown): boolean => {
    const { code: found, message } = thrown as { code: string; message: string };
    assert.equal(found, code, message);
    for (const fact of facts) assert.ok(message.includes(fact), `${JSON.stringify(fact)} in: ${message}`);
    return true;
  };
}

/** As the daemon opens it: with the real lock. */
function openLocked(directory: string): Promise<EngineStore> {
  const holder = { pid: process.pid, startedAt: 'now', listen: 'here' };
  return EngineStore.open({ directory, maxBytes: 1 << 20, diskFloorBytes: 0 }, { ...enginePorts(), lock: (path) => lockDataDirectory(path, holder) });
}

const isRoot = process.getuid?.() === 0;
const needsRoot = { skip: !isRoot && 'only root may mount' };

/** A small file system of its own, unmounted at the end. */
async function mounted(options: string) {
  const directory = await temporaryDirectory();
  const mount = spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', directory.path], { encoding: 'utf8' });
  return {
    path: directory.path,
    failed: mount.status === 0 ? undefined : `no permission to mount: ${mount.stderr}`,
    async [Symbol.asyncDispose]() {
      if (mount.status === 0) spawnSync('umount', ['-l', directory.path]);
      await directory[Symbol.asyncDispose]();
    },
  };
}

describe('a data directory that cannot be used', () => {
  it('is a file, or below one', async () => {
    await using temporary = await temporaryDirectory();
    const file = join(temporary.path, 'file');
    await writeFile(file, 'mine');
    for (const directory of [file, join(file, 'data')]) {
      await assert.rejects(openLocked(directory), refusal('failed_precondition', directory, 'is a file', '--data'));
    }
    assert.equal(await readFile(file, 'utf8'), 'mine');
  });

  it('K1-15: is owned by another', async () => {
    await using temporary = await temporaryDirectory();
    await using store = await openLocked(temporary.path);
    await assert.rejects(openLocked(temporary.path), refusal('failed_precondition', temporary.path, `process ${process.pid}`, '--data'));
    const bytes = Buffer.from('still served');
    await store.blobs.put(Digest.of(bytes), byteSourceOf(bytes));
    await store.close();
    await using next = await openLocked(temporary.path);
    assert.equal((await next.blobs.findMissing(DigestList.of(Digest.of(bytes)))).length, 0);
  });

  it('holds what Kiln did not make', async () => {
    await using temporary = await temporaryDirectory();
    await mkdir(join(temporary.path, 'objects'));
    await writeFile(join(temporary.path, 'objects', 'x.partial'), '');
    await assert.rejects(openLocked(temporary.path), refusal('failed_precondition', temporary.path, '"objects"', '--data'));
    assert.deepEqual(await readdir(join(temporary.path, 'objects')), ['x.partial']);
  });

  it('has another format, or a marker that says nothing', async () => {
    await using temporary = await temporaryDirectory();
    const marker = join(temporary.path, 'kiln-data-version');
    await writeFile(marker, 'kiln data directory, format 7\n');
    await assert.rejects(openLocked(temporary.path), refusal('failed_precondition', temporary.path, 'format 7', '--data'));
    for (const text of ['', 'kiln data directory, format 2', 'something else\n', 'kiln data directory, format 2\n\n']) {
      await writeFile(marker, text);
      await assert.rejects(openLocked(temporary.path), refusal('failed_precondition', marker, '--data'));
    }
  });

  it('gets ready whatever a start before it left behind, and may hold hidden files', async () => {
    await using temporary = await temporaryDirectory();
    for (const name of ['kiln-data-version.partial', 'holder.json.123', '.nfs000']) await writeFile(join(temporary.path, name), '');
    await mkdir(join(temporary.path, 'lost+found'));
    await (await openLocked(temporary.path)).close();
    assert.ok((await readdir(temporary.path)).includes('kiln-data-version'));
  });

  it('is refused with what to do about what the system reports', () => {
    const codes = [
      ['EROFS', 'failed_precondition', 'read-only'], ['EACCES', 'failed_precondition', 'may not be used by this user'], ['EPERM', 'failed_precondition', 'may not be used'],
      ['ENOSPC', 'resource_exhausted', 'is full'], ['EDQUOT', 'resource_exhausted', 'is full'], ['EIO', 'failed_precondition', 'EIO'], ['ELOOP', 'failed_precondition', 'ELOOP'],
    ] as const;
    for (const [systemCode, code, text] of codes) assert.ok(refusal(code, '/data', text)(dataDirectoryError('/data', systemError(systemCode))));
  });

  for (const isNew of [true, false]) {
    it(`is refused when the disk is full at any step of opening it, and nothing is lost: ${isNew ? 'a new one' : 'one with content'}`, async () => {
      await using temporary = await temporaryDirectory();
      const prepared = join(temporary.path, 'prepared');
      const random = new SeededRandom(4);
      const contents = [2_000, 100_000].map((length) => random.bytes(length));
      const stored = DigestList.from(contents.map((bytes) => Digest.of(bytes)));
      await mkdir(prepared);
      if (!isNew) {
        await using store = await openEngineStore(prepared);
        for (const bytes of contents) await store.blobs.put(Digest.of(bytes), byteSourceOf(bytes));
      }
      const directory = join(temporary.path, 'data');
      const open = async (before: BeforeOperation): Promise<void> => {
        await rm(directory, { recursive: true, force: true });
        await cp(prepared, directory, { recursive: true });
        await (await openEngineStore(directory, { maxBytes: 2 << 20 }, { files: mortalFiles(new NodeLogFileSystem(), before), syncs: mortalSyncs(before) })).close();
      };
      let steps = 0;
      await open(() => void (steps += 1));
      let refused = 0;
      for (let step = 0; step < steps; step += 1) {
        let done = 0;
        try {
          await open((operation) => {
            if ((done += 1) === step + 1) throw systemError('ENOSPC', operation);
          });
        } catch (thrown) {
          refusal('resource_exhausted', directory, 'is full')(thrown);
          refused += 1;
        }
        await using after = await openEngineStore(directory, { maxBytes: 2 << 20 });
        assert.equal((await after.blobs.findMissing(stored)).length, isNew ? stored.length : 0, `after step ${step}`);
      }
      assert.ok(refused >= 5, `${refused} of ${steps} steps were refused`);
    });
  }

  it('may not be entered by the user who starts Kiln', async () => {
    await using temporary = await temporaryDirectory();
    const directory = join(temporary.path, 'private');
    await mkdir(directory);
    await chmod(directory, 0o500);
    if (!isRoot) {
      await assert.rejects(openLocked(directory), refusal('failed_precondition', directory, 'EACCES', '--data'));
      return;
    }
    // Modes do not bind root, so somebody else tries.
    await chmod(temporary.path, 0o755);
    const code = `
      import { NodeFileSystem } from ${JSON.stringify(import.meta.resolve('../platform/node-file-system.ts'))};
      import { dataDirectoryError, makeDataDirectory } from ${JSON.stringify(import.meta.resolve('../engine/data-directory.ts'))};
      import { lockDataDirectory } from ${JSON.stringify(import.meta.resolve('../platform/data-directory-lock.ts'))};
      const directory = ${JSON.stringify(directory)};
      try {
        await makeDataDirectory(new NodeFileSystem(), directory);
        await lockDataDirectory(directory, { pid: 1, startedAt: '', listen: '' });
      } catch (thrown) {
        const refused = dataDirectoryError(directory, thrown);
        console.log(refused.code + ' ' + refused.message);
      }`;
    const nobody = 65_534;
    const child = spawnSync(process.execPath, ['--input-type=module-typescript', '-e', code], { uid: nobody, gid: nobody, encoding: 'utf8', env: {}, cwd: '/' });
    assert.match(child.stdout, /^failed_precondition .*private may not be used by this user \(EACCES\)/, child.stderr);
  });

  it('is on a read-only file system', needsRoot, async (t) => {
    await using disk = await mounted('ro,size=1m');
    if (disk.failed !== undefined) return t.skip(disk.failed);
    await assert.rejects(openLocked(disk.path), refusal('failed_precondition', disk.path, 'read-only', '--data'));
    return undefined;
  });

  it('K1-07: is on a disk that others fill: who writes is told, what did not give way is served, and it goes on when there is room', needsRoot, async (t) => {
    await using disk = await mounted('size=8m');
    if (disk.failed !== undefined) return t.skip(disk.failed);
    const random = new SeededRandom(5);
    const directory = join(disk.path, 'data');
    const options = { maxBytes: 1 << 30, segmentBytes: 1 << 16 };
    const put = (store: EngineStore, bytes: Uint8Array): Promise<void> => store.blobs.put(Digest.of(bytes), byteSourceOf(bytes));
    const contents = Array.from({ length: 6 }, (_, at) => random.bytes(at % 2 === 0 ? 5_000 : 100_000));
    const stored = DigestList.from(contents.map((bytes) => Digest.of(bytes)));
    {
      await using store = await openEngineStore(directory, options);
      for (const bytes of contents) await put(store, bytes);
      fill(join(disk.path, 'filler'));
      await assert.rejects(put(store, random.bytes(100_000)), refusal('resource_exhausted', 'disk is full'));
      // Others go, and their room is had.
      await put(store, random.bytes(1_000)).catch(refusal('resource_exhausted'));
      assert.ok((await store.blobs.findMissing(stored)).length < contents.length);
    }
    // A start need not be able to write, and must not lose anything if it cannot.
    const full = await openEngineStore(directory, options).catch((thrown: unknown) => (refusal('resource_exhausted', directory, 'is full')(thrown), undefined));
    await full?.close();
    await rm(join(disk.path, 'filler'));
    await using store = await openEngineStore(directory, options);
    assert.ok((await store.blobs.findMissing(stored)).length < contents.length, 'not all of it gave way');
    for (const bytes of contents) {
      await put(store, bytes);
      const found = await store.blobs.get(Digest.of(bytes));
      assert.ok(found && Buffer.from(await collect(found, 1 << 20)).equals(bytes));
    }
    return undefined;
  });
});

/** Takes all that is left of the disk. */
function fill(path: string): void {
  const file = openSync(path, 'w');
  try {
    for (const piece = Buffer.alloc(4_096); ; ) writeSync(file, piece);
  } catch {
    closeSync(file);
  }
}
