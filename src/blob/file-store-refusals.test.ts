// Directories that cannot be used: each is refused with what to do, and nothing in it is changed.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmod, mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { byteSourceOf } from '../base/byte-source.ts';
import { noMeter } from '../base/metrics.ts';
import { Digest } from '../digest/digest.ts';
import { DigestList } from '../digest/digest-list.ts';
import { lockDataDirectory } from '../platform/data-directory-lock.ts';
import { NodeFileSystem } from '../platform/node-file-system.ts';
import { FaultyFileSystem } from '../testing/faulty-file-system.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { SeededRandom } from '../testing/seeded-random.ts';
import { RememberingLog, openFileStore, temporaryDirectory } from '../testing/temporary-file-store.ts';
import { FileStore } from './file-store.ts';

/** The refusal has the code, and its text names the directory and the way out. */
function refusal(code: string, ...facts: readonly string[]) {
  return (thrown: { code: string; message: string }): boolean => {
    const text = thrown.message;
    assert.equal(thrown.code, code, text);
    for (const fact of facts) assert.ok(text.includes(fact), `${JSON.stringify(fact)} in: ${text}`);
    return true;
  };
}

/** As the daemon opens it: with the real lock. */
function openLocked(directory: string): Promise<FileStore> {
  const clock = new ManualClock(Date.now());
  const holder = { pid: process.pid, startedAt: 'now', listen: 'here' };
  return FileStore.open(
    { directory, maxBytes: 1 << 20 },
    { files: new NodeFileSystem(), monotonicClock: clock, wallClock: clock, timers: clock, log: new RememberingLog(), meter: noMeter, lock: (path) => lockDataDirectory(path, holder) },
  );
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
    for (const text of ['', 'kiln data directory, format 1', 'something else\n', 'kiln data directory, format 1\n\n']) {
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

  const codes = [
    ['EROFS', 'failed_precondition', 'read-only'], ['EACCES', 'failed_precondition', 'may not be used by this user'], ['EPERM', 'failed_precondition', 'may not be used'],
    ['ENOSPC', 'resource_exhausted', 'is full'], ['EDQUOT', 'resource_exhausted', 'is full'], ['EIO', 'failed_precondition', 'EIO'], ['ELOOP', 'failed_precondition', 'ELOOP'],
  ] as const;
  for (const [systemCode, code, text] of codes) {
    it(`is refused when the system reports ${systemCode} at any step of opening it`, async () => {
      const bytes = new SeededRandom(4).bytes(2_000);
      const digest = Digest.of(bytes);
      const prepared = new FaultyFileSystem();
      await using before = await openFileStore('/parent/data', {}, { files: prepared });
      await before.blobs.put(digest, byteSourceOf(bytes));
      await before.close();
      for (const fresh of [true, false]) {
        const steps = fresh ? new FaultyFileSystem() : prepared.afterKill();
        await (await openFileStore('/parent/data', {}, { files: steps })).close();
        let refused = 0;
        for (const [step, { operation, path }] of steps.operations.entries()) {
          const disk = fresh ? new FaultyFileSystem() : prepared.afterKill();
          disk.fault = () => (disk.operations.length - 1 === step ? systemCode : undefined);
          try {
            await (await openFileStore('/parent/data', {}, { files: disk })).close();
            // Two things need not work: what is only tried, and the log of recency at the end.
            const dispensable = operation === 'discard' || (operation === 'syncDirectory' && !path.startsWith('/parent/data')) || path.includes('/recency/');
            assert.ok(dispensable, `${operation} ${path} failed and nobody noticed`);
          } catch (thrown) {
            refusal(code, '/parent/data', text)(thrown as { code: string; message: string });
            refused += 1;
          }
          disk.fault = () => undefined;
          await using after = await openFileStore('/parent/data', {}, { files: disk.afterKill() });
          if (!fresh) assert.equal((await after.blobs.findMissing(DigestList.of(digest))).length, 0, 'nothing was lost');
        }
        assert.ok(refused >= 5, `${refused} steps were refused`);
      }
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

  it('is on a full disk at start, or gets full: nothing acknowledged is lost', needsRoot, async (t) => {
    await using disk = await mounted('size=1m');
    if (disk.failed !== undefined) return t.skip(disk.failed);
    const random = new SeededRandom(5);
    const stored: Digest[] = [];
    {
      await using store = await openFileStore(disk.path, { maxBytes: 1 << 30 });
      for (;;) {
        const bytes = random.bytes(100_000);
        const put = store.blobs.put(Digest.of(bytes), byteSourceOf(bytes));
        const failure = await put.then(() => undefined, (thrown: { code: string }) => thrown);
        if (failure !== undefined) {
          assert.equal(failure.code, 'resource_exhausted');
          break;
        }
        stored.push(Digest.of(bytes));
      }
      assert.ok(stored.length >= 5);
      assert.equal((await store.blobs.findMissing(DigestList.from(stored))).length, 0);
      const again = stored[0];
      assert.ok(again);
      await store.blobs.put(again, byteSourceOf(new Uint8Array(0))); // K1-07: a present blob needs no room
    }
    await writeFile(join(disk.path, '.filler'), new Uint8Array(1 << 20)).catch(() => undefined);
    await assert.rejects(openLocked(disk.path), refusal('resource_exhausted', disk.path, 'full'));
    await writeFile(join(disk.path, '.filler'), '');
    await using store = await openLocked(disk.path);
    assert.equal((await store.blobs.findMissing(DigestList.from(stored))).length, 0);
    return undefined;
  });
});
