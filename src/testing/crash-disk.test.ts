// Proves that the simulated disk is a disk: what is written is read, what is synced survives, and everything that a cut
// may leave does come up.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LogFile } from '../base/log-files.ts';
import { CrashDisk } from './crash-disk.ts';
import { afterPowerCut, emptyDisk, sectorBytes } from './disk-image.ts';
import type { DiskImage } from './disk-image.ts';
import { DiskTree } from './disk-tree.ts';
import { seededRandom } from './seeded-random.ts';
import type { SeededRandom } from './seeded-random.ts';
import { SimulatedMachine } from './simulated-machine.ts';

function filesOf(image: DiskImage): Map<string, Buffer> {
  return new DiskTree(image).files();
}

/** Every set of files that cuts of this disk left, as text: `a=old b=new`. */
function leftByCuts(disk: CrashDisk, random: SeededRandom, shown: (bytes: Buffer) => string): Set<string> {
  const image = disk.image();
  return new Set(Array.from({ length: 300 }, () => Array.from(filesOf(afterPowerCut(image, random)), ([path, bytes]) => `${path}=${shown(bytes)}`).toSorted().join(' ')));
}

/** On a machine with a durable directory /d. */
async function onMachine(random: SeededRandom, work: (machine: SimulatedMachine) => Promise<void>): Promise<void> {
  using machine = new SimulatedMachine(random.integer(0, 2 ** 31), emptyDisk, 1_000);
  await machine.finish(
    (async () => {
      await machine.disk.makeDirectory('/d');
      await machine.disk.syncDirectory('/');
      await work(machine);
    })(),
  );
}

async function durableFile({ disk, smallSyncs }: SimulatedMachine, path: string, bytes: Uint8Array): Promise<LogFile> {
  const file = await disk.createLog(path, 0o600);
  file.writeNow([bytes], 0);
  await smallSyncs.sync(file.fd, 'data');
  await disk.syncDirectory('/d');
  return file;
}

const letters = (bytes: Buffer): string => Array.from({ length: Math.ceil(bytes.byteLength / sectorBytes) }, (_, index) => (bytes[index * sectorBytes] === 0 ? '0' : String.fromCharCode(bytes[index * sectorBytes] ?? 0))).join('');

describe('CrashDisk', () => {
  it('reads what was written, at any place and length, and keeps it over a cut once it is synced', async (t) => {
    const random = seededRandom(t);
    await onMachine(random, async (machine) => {
      const { disk, smallSyncs } = machine;
      const file = await durableFile(machine, '/d/a', Buffer.alloc(0));
      let expected = Buffer.alloc(0);
      for (let step = 0; step < 300; step += 1) {
        if (random.fraction() < 0.2) {
          const sizeBytes = random.integer(0, 6_000);
          await file.truncate(sizeBytes);
          expected = Buffer.concat([expected.subarray(0, sizeBytes), Buffer.alloc(Math.max(0, sizeBytes - expected.byteLength))]);
        } else {
          const at = random.integer(0, 5_000);
          const pieces = Array.from({ length: random.integer(1, 3) }, () => (random.fraction() < 0.2 ? Buffer.alloc(700) : Buffer.from(random.bytes(random.integer(0, 1_500)))));
          const written = Buffer.concat(pieces);
          if (random.fraction() < 0.5) file.writeNow(pieces, at);
          else await file.write(written, at);
          if (written.byteLength > 0) expected = Buffer.concat([expected, Buffer.alloc(Math.max(0, at + written.byteLength - expected.byteLength))]);
          written.copy(expected, at);
        }
        assert.ok(disk.files().get('/d/a')?.equals(expected), `step ${step}`);
        const [from, length] = [random.integer(0, 6_000), random.integer(0, 3_000)];
        const into = Buffer.alloc(length, 0xff);
        const count = file.readNow(into, from);
        assert.ok(into.subarray(0, count).equals(expected.subarray(from, from + length)));
        if (random.fraction() < 0.1) {
          await smallSyncs.sync(file.fd, 'data');
          assert.ok(filesOf(afterPowerCut(disk.image(), random)).get('/d/a')?.equals(expected), `synced in step ${step}`);
        }
      }
      assert.deepEqual(await file.status(), { sizeBytes: expected.byteLength, links: 1 });
    });
  });

  it('a kill keeps everything, and leaves it as unsynced as it was', async (t) => {
    const random = seededRandom(t);
    await onMachine(random, async (machine) => {
      const file = await durableFile(machine, '/d/a', Buffer.alloc(sectorBytes, 'o'));
      file.writeNow([Buffer.alloc(sectorBytes, 'n')], 0);
      const next = new CrashDisk(machine.turns, random, machine.disk.image());
      assert.equal(letters(next.files().get('/d/a') ?? Buffer.alloc(0)), 'n');
      assert.deepEqual([...leftByCuts(next, random, letters)].toSorted(), ['/d/a=n', '/d/a=o']);
    });
  });

  it('a cut leaves each sector that was not synced old or new, in any mixture', async (t) => {
    const random = seededRandom(t);
    await onMachine(random, async (machine) => {
      const file = await durableFile(machine, '/d/a', Buffer.alloc(3 * sectorBytes, 'o'));
      file.writeNow([Buffer.alloc(3 * sectorBytes, 'n')], 0);
      assert.deepEqual([...leftByCuts(machine.disk, random, letters)].toSorted(), ['nnn', 'nno', 'non', 'noo', 'onn', 'ono', 'oon', 'ooo'].map((one) => `/d/a=${one}`));
    });
  });

  it('a cut leaves the old length or the new one, with zeros where nothing was written', async (t) => {
    const random = seededRandom(t);
    await onMachine(random, async (machine) => {
      const file = await durableFile(machine, '/d/a', Buffer.alloc(sectorBytes, 'o'));
      file.writeNow([Buffer.alloc(sectorBytes + 1, 'n')], sectorBytes);
      assert.deepEqual([...leftByCuts(machine.disk, random, letters)].toSorted(), ['o', 'o00', 'o0n', 'on0', 'onn'].map((one) => `/d/a=${one}`));
      await machine.smallSyncs.sync(file.fd, 'data');
      await file.truncate(10);
      const lengths = leftByCuts(machine.disk, random, ({ byteLength }) => String(byteLength));
      assert.deepEqual([...lengths].toSorted(), ['/d/a=10', `/d/a=${2 * sectorBytes + 1}`]);
    });
  });

  it('a cut leaves any of the names that were not synced; of a move between directories both, or none', async (t) => {
    const random = seededRandom(t);
    await onMachine(random, async (machine) => {
      const { disk } = machine;
      await disk.makeDirectory('/e');
      await disk.syncDirectory('/');
      await durableFile(machine, '/d/a', Buffer.from('A'));
      await disk.rename('/d/a', '/e/b');
      assert.deepEqual([...leftByCuts(disk, random, String)].toSorted(), ['', '/d/a=A', '/d/a=A /e/b=A', '/e/b=A']);
      await disk.syncDirectory('/e');
      assert.deepEqual([...leftByCuts(disk, random, String)].toSorted(), ['/d/a=A /e/b=A', '/e/b=A']);
      await disk.syncDirectory('/d');
      await disk.rename('/e/b', '/e/c');
      assert.deepEqual([...leftByCuts(disk, random, String)].toSorted(), ['/e/b=A', '/e/c=A'], 'within a directory a rename is one change');
      assert.equal((await disk.list('/e'))?.length, 1);
    });
  });

  it('a sync reaches up to the call that asked for it', async (t) => {
    const random = seededRandom(t);
    await onMachine(random, async (machine) => {
      const file = await durableFile(machine, '/d/a', Buffer.alloc(2 * sectorBytes, 'o'));
      file.writeNow([Buffer.alloc(sectorBytes, 'n')], 0);
      const synced = machine.smallSyncs.sync(file.fd, 'data');
      file.writeNow([Buffer.alloc(sectorBytes, 'n')], sectorBytes);
      await synced;
      assert.deepEqual([...leftByCuts(machine.disk, random, letters)].toSorted(), ['/d/a=nn', '/d/a=no']);
    });
  });

  it('what a failed sync lost is not durable after a later one, though every process reads it', async (t) => {
    const random = seededRandom(t);
    const seen = new Set<string>();
    for (let round = 0; round < 100; round += 1) {
      await onMachine(random, async (machine) => {
        const { disk, smallSyncs } = machine;
        const file = await durableFile(machine, '/d/a', Buffer.alloc(sectorBytes, 'o'));
        file.writeNow([Buffer.alloc(sectorBytes, 'n')], 0);
        disk.fault = (operation) => (operation === 'sync' ? 'EIO' : undefined);
        await assert.rejects(smallSyncs.sync(file.fd, 'data'), { code: 'EIO' });
        disk.fault = () => undefined;
        await smallSyncs.sync(file.fd, 'data');
        assert.equal(letters(disk.files().get('/d/a') ?? Buffer.alloc(0)), 'n');
        const left = leftByCuts(disk, random, letters);
        assert.equal(left.size, 1, 'it is decided by then');
        for (const one of left) seen.add(one);
      });
    }
    assert.deepEqual([...seen].toSorted(), ['/d/a=n', '/d/a=o']);
  });

  it('a write that fails has written any part', async (t) => {
    const random = seededRandom(t);
    const lengths = new Set<number>();
    for (let round = 0; round < 50; round += 1) {
      await onMachine(random, async (machine) => {
        const file = await durableFile(machine, '/d/a', Buffer.alloc(0));
        machine.disk.fault = () => 'ENOSPC';
        assert.throws(() => file.writeNow([Buffer.from('abc')], 0), { code: 'ENOSPC' });
        lengths.add(machine.disk.files().get('/d/a')?.byteLength ?? -1);
      });
    }
    assert.deepEqual([...lengths].toSorted((a, b) => a - b), [0, 1, 2, 3]);
  });

  it('tells of files that are closed under a sync, or used after they were closed', async (t) => {
    const random = seededRandom(t);
    await onMachine(random, async (machine) => {
      const { disk, smallSyncs } = machine;
      const file = await durableFile(machine, '/d/a', Buffer.from('a'));
      const begun = disk.syncBegins(file.fd);
      await file[Symbol.asyncDispose]();
      await file[Symbol.asyncDispose]();
      disk.syncEnds(begun);
      assert.throws(() => file.readNow(Buffer.alloc(1), 0), { code: 'EBADF' });
      await assert.rejects(smallSyncs.sync(file.fd, 'data'), { code: 'EBADF' });
      assert.equal(disk.violations.length, 3, disk.violations.join('; '));
      const next = await disk.createLog('/d/b', 0o600);
      assert.equal(next.fd, file.fd, 'as systems do, the smallest descriptor that is free');
    });
  });

  it('does with names what POSIX says', async (t) => {
    const random = seededRandom(t);
    await onMachine(random, async (machine) => {
      const { disk } = machine;
      const file = await durableFile(machine, '/d/a', Buffer.from('a'));
      await disk.link('/d/a', '/d/b');
      assert.equal((await file.status()).links, 2);
      await disk.rename('/d/a', '/d/b');
      assert.deepEqual([...disk.files().keys()], ['/d/a', '/d/b'], 'two names of one file stay');
      assert.equal(await disk.remove('/d/b'), true);
      assert.equal(await disk.remove('/d/b'), false);
      assert.equal(await disk.removeDirectory('/d'), false, 'it is not empty');
      await disk.remove('/d/a');
      assert.equal(file.readNow(Buffer.alloc(1), 0), 1, 'what is open stays readable without a name');
      assert.equal(await disk.removeDirectory('/d'), true);
      assert.equal(await disk.makeDirectory('/d/e/f'), true);
      assert.equal(await disk.makeDirectory('/d/e/f'), false);
      await assert.rejects(disk.rename('/d/x', '/d/y'), { code: 'ENOENT' });
      await assert.rejects(disk.createLog('/nowhere/x', 0o600), { code: 'ENOENT' });
      await disk.createLog('/d/z', 0o600);
      await assert.rejects(disk.createExclusive('/d/z'), { code: 'EEXIST' });
      await assert.rejects(disk.openDirectory('/d/z'), { code: 'ENOTDIR' });
      assert.equal(await disk.openLog('/d/none'), undefined);
      const readOnly = await disk.openLog('/d/z', 'read');
      assert.throws(() => readOnly?.writeNow([Buffer.from('a')], 0), { code: 'EBADF' });
    });
  });
});
