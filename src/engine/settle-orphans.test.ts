// What a start does with files whose upload or removal was cut off, and with the trash.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { silentLog } from '../base/log.ts';
import type { DiskImage } from '../testing/disk-image.ts';
import { blobOf, inPieces, onMachine, openSimulatedFiles } from '../testing/simulated-files.ts';
import type { SimulatedFiles } from '../testing/simulated-files.ts';
import { DirectorySyncs } from './directory-syncs.ts';
import { DurableDirectories } from './durable-directories.ts';
import { FileHistory } from './file-history.ts';
import { settleOrphans } from './settle-orphans.ts';
import type { OrphanedFile } from './orphaned-files.ts';

const { bytes, digest } = blobOf('orphan');

/** The disk after a kill at the first change that `at` names. */
async function killedAt(at: RegExp, work: (store: SimulatedFiles) => Promise<unknown>): Promise<DiskImage> {
  let image: DiskImage | undefined;
  await onMachine(async (machine) => {
    const store = await openSimulatedFiles(machine);
    machine.disk.beforeChange = () => {
      if (at.test(machine.disk.trace.at(-1) ?? '')) image ??= machine.disk.image();
    };
    await work(store);
  });
  assert.ok(image, 'the change was met');
  return image;
}

describe('a start after an upload or a removal was cut off', () => {
  for (const { what, at } of [
    { what: 'a put was cut off behind its rename', at: /^rename .*objects/ },
    { what: 'a put was cut off behind the sync of its directory', at: /^sync .*objects\/sha256\/\w\w$/ },
  ]) {
    it(`K1-06: deletes the file that nothing but an intent names: ${what}; a second one finds nothing to do`, async () => {
      const image = await killedAt(at, (store) => store.files.put(digest, inPieces(bytes)));
      const first = await onMachine(async (machine) => {
        const store = await openSimulatedFiles(machine);
        assert.deepEqual([store.removedOrphans, store.has(digest), store.audit()], [1, false, undefined]);
        await store.log.idle();
      }, image);
      await onMachine(async (machine) => {
        const store = await openSimulatedFiles(machine);
        assert.equal(store.removedOrphans, 0);
        await store.files.put(digest, inPieces(bytes));
        assert.deepEqual(await store.read(digest), bytes);
      }, first.disk.image());
    });
  }

  it('finishes a removal whose tombstone was durable', async () => {
    const image = await killedAt(/^rename .*trash/, async (store) => {
      await store.files.put(digest, inPieces(bytes));
      await store.evict(digest);
    });
    await onMachine(async (machine) => {
      // As a power cut may leave it: the name is there again.
      await machine.disk.rename('/data/trash/1', `/data/objects/sha256/${digest.hash.slice(0, 2)}/${digest.hash}`);
      const store = await openSimulatedFiles(machine);
      assert.deepEqual([store.removedOrphans, store.has(digest), store.audit()], [1, false, undefined]);
      await store.log.idle();
    }, image);
  });

  it('K1-03: leaves a file that was given up where the log is damaged, since it may have come again', async () => {
    await onMachine(async (machine) => {
      const store = await openSimulatedFiles(machine);
      const path = store.layout.final(digest.key);
      await machine.disk.makeDirectory(path.slice(0, path.lastIndexOf('/')));
      await using file = await machine.disk.createLog(path, 0o444);
      await file.write(bytes, 0);
      const [row] = store.table.of('blob');
      assert.ok(row);
      const orphan: OrphanedFile = { reason: 'tombstone', digestFunction: digest.function, hash: digest.hash, sizeBytes: digest.sizeBytes, sequence: 1, row };
      const { layout, entries, ledger, sieve } = store;
      const directories = new DurableDirectories(new DirectorySyncs(machine.disk, machine.smallSyncs), '/data');
      const parts = { directories, layout, entries, ledger, sieve, history: new FileHistory(store.log, () => 1_700_000_000), nowS: () => 1_700_000_000 };
      const ports = { files: machine.disk, hashes: machine.hashes, log: silentLog };
      assert.deepEqual(await settleOrphans([orphan], true, ports, parts), { removed: 0, takenIn: 0 });
      assert.equal(machine.disk.files().get(path)?.byteLength, bytes.byteLength);
      assert.deepEqual(await settleOrphans([orphan], false, ports, parts), { removed: 1, takenIn: 0 });
      await store.log.idle();
    });
  });

  it('takes in a right file whose commit was damaged, and deletes a wrong one', async () => {
    await onMachine(async (machine) => {
      const store = await openSimulatedFiles(machine);
      const wrong = blobOf('wrong');
      const orphans: OrphanedFile[] = [];
      for (const [index, one] of [{ digest, content: bytes }, { digest: wrong.digest, content: bytes }].entries()) {
        const path = store.layout.final(one.digest.key);
        await machine.disk.makeDirectory(path.slice(0, path.lastIndexOf('/')));
        await using file = await machine.disk.createLog(path, 0o444);
        await file.write(one.content, 0);
        const [row] = store.table.of('blob');
        assert.ok(row);
        orphans.push({ reason: 'intent', digestFunction: one.digest.function, hash: one.digest.hash, sizeBytes: one.digest.sizeBytes, sequence: 100 + index, row });
      }
      const { layout, entries, ledger, sieve } = store;
      const directories = new DurableDirectories(new DirectorySyncs(machine.disk, machine.smallSyncs), '/data');
      const parts = { directories, layout, entries, ledger, sieve, history: new FileHistory(store.log, () => 1_700_000_000), nowS: () => 1_700_000_000 };
      assert.deepEqual(await settleOrphans(orphans, true, { files: machine.disk, hashes: machine.hashes, log: silentLog }, parts), { removed: 1, takenIn: 1 });
      await store.log.idle();
      assert.deepEqual(await store.read(digest), bytes);
      assert.equal(store.has(wrong.digest), false);
      assert.equal(store.audit(), undefined);
    });
  });
});

describe('the trash at a start', () => {
  it('is emptied, and nothing in it is made shorter', async () => {
    await onMachine(async (machine) => {
      const first = await openSimulatedFiles(machine);
      await first.close();
      const file = await machine.disk.createLog('/data/trash/7', 0o444);
      await file.write(Buffer.alloc(5 << 20), 0);
      await file[Symbol.asyncDispose]();
      await machine.disk.link('/data/trash/7', '/data/objects/named');
      machine.disk.trace.length = 0;
      const next = await openSimulatedFiles(machine);
      assert.equal(machine.disk.files().has('/data/trash/7'), false);
      assert.equal(machine.disk.files().get('/data/objects/named')?.byteLength, 5 << 20);
      assert.equal(machine.disk.trace.some((line) => line.startsWith('truncate')), false);
      assert.equal(next.ledger.usedBytes, 0);
    });
  });
});
