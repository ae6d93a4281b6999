// The trash: one deletion at a time, what it does when the disk refuses, and how it ends.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { onMachine } from '../testing/simulated-files.ts';
import type { SimulatedMachine } from '../testing/simulated-machine.ts';
import { DirectorySyncs } from './directory-syncs.ts';
import { DurableDirectories } from './durable-directories.ts';
import { LargeSyncs } from './large-syncs.ts';
import { SpaceLedger } from './space-ledger.ts';
import { SyncPacer } from './sync-pacer.ts';
import { Trash, shrinkStepBytes } from './trash.ts';
import type { Discarded } from './trash.ts';

const path = '/data/objects/file';

async function open(machine: SimulatedMachine): Promise<{ readonly trash: Trash; readonly ledger: SpaceLedger; readonly largeSyncs: LargeSyncs }> {
  const { disk: files, clock: timers, log, smallSyncs } = machine;
  await files.makeDirectory('/data/objects');
  const ledger = new SpaceLedger({ maxBytes: Infinity, diskFloorBytes: 0 });
  const pacer = new SyncPacer({ bytesPerSMin: 1, bytesPerSMax: 1e12, targetUs: 1_000 });
  const largeSyncs = new LargeSyncs({ syncs: machine.largeSyncs, monotonicClock: timers, timers }, pacer);
  const trash = await Trash.open('/data', { files, timers, log, ledger, largeSyncs, directories: new DurableDirectories(new DirectorySyncs(files, smallSyncs), '/data') });
  return { trash, ledger, largeSyncs };
}

async function fileOf({ disk }: SimulatedMachine, ledger: SpaceLedger, sizeBytes: number, at = path): Promise<Discarded> {
  await using file = await disk.createLog(at, 0o444);
  await file.write(Buffer.alloc(sizeBytes), 0);
  ledger.place('trash', sizeBytes);
  return { path: at, allocatedBytes: sizeBytes, unread: () => Promise.resolve() };
}

async function on(test: (machine: SimulatedMachine) => Promise<void>): Promise<void> {
  await onMachine(test);
}

describe('the trash', () => {
  it('gives a large file back in steps, and counts each as it is free', () =>
    on(async (machine) => {
      const { trash, ledger } = await open(machine);
      const file = await fileOf(machine, ledger, 3 * shrinkStepBytes);
      const seen: number[] = [];
      machine.disk.beforeChange = () => {
        if (seen.at(-1) !== ledger.bytesOf('trash')) seen.push(ledger.bytesOf('trash'));
      };
      assert.deepEqual(await trash.take(file), { wasThere: true, unsynced: undefined });
      await trash.idle();
      assert.deepEqual([...seen, ledger.bytesOf('trash')], [3, 2, 1, 0].map((steps) => steps * shrinkStepBytes));
    }));

  it('deletes one file at a time, and lets those that nobody reads go before one that is read', () =>
    on(async (machine) => {
      const { trash, ledger } = await open(machine);
      const read = Promise.withResolvers<void>();
      const first = await fileOf(machine, ledger, 2 * shrinkStepBytes, '/data/objects/read');
      await trash.take({ ...first, unread: () => read.promise });
      for (const name of ['b', 'c']) await trash.take(await fileOf(machine, ledger, 2 * shrinkStepBytes, `/data/objects/${name}`));
      while (ledger.bytesOf('trash') > 2 * shrinkStepBytes) {
        machine.clock.advance(10);
        await machine.turns.nextTurn();
      }
      read.resolve();
      await trash.idle();
      const deletions = machine.disk.trace.flatMap((line) => /^(?:truncate|remove) \/data\/trash\/(\d)/.exec(line)?.[1] ?? []);
      assert.deepEqual(deletions, ['2', '2', '3', '3', '1', '1']);
    }));

  it('takes a turn of the disk for each step, so that none runs beside a sync of large content', () =>
    on(async (machine) => {
      const { trash, ledger, largeSyncs } = await open(machine);
      await using other = await machine.disk.createLog('/data/objects/other', 0o444);
      const file = await fileOf(machine, ledger, 3 * shrinkStepBytes);
      const held = Promise.withResolvers<void>();
      const holding = largeSyncs.deletion(() => held.promise);
      await trash.take(file);
      for (let turns = 0; turns < 100; turns += 1) await machine.turns.nextTurn();
      const deletions = (): number => machine.disk.trace.filter((line) => /^(?:truncate|remove) \/data\/trash/.test(line)).length;
      assert.equal(deletions(), 0);
      held.resolve();
      await Promise.all([holding, largeSyncs.sync(other, 1), trash.idle()]);
      assert.deepEqual([deletions(), ledger.usedBytes], [3, 0]);
    }));

  it('takes nothing off the disk that was gone already, and says so', () =>
    on(async (machine) => {
      const { trash, ledger } = await open(machine);
      ledger.place('trash', 4_096);
      assert.deepEqual(await trash.take({ path, allocatedBytes: 4_096, unread: () => Promise.resolve() }), { wasThere: false, unsynced: undefined });
      assert.equal(ledger.usedBytes, 0);
    }));

  it('a file that cannot be moved stays where it is; dropped, it is left for the next start and still counts', () =>
    on(async (machine) => {
      const { trash, ledger } = await open(machine);
      const file = await fileOf(machine, ledger, 4_096);
      machine.disk.fault = (operation) => (operation === 'rename' ? 'EACCES' : undefined);
      await assert.rejects(trash.take(file), { code: 'unavailable' });
      await trash.drop(file);
      assert.ok(machine.disk.files().has(path));
      assert.equal(ledger.bytesOf('trash'), 4_096);
      assert.ok(machine.log.lines.some((line) => line.startsWith('error')));
    }));

  it('deletes in one go what it may not make shorter, and counts what it cannot delete', () =>
    on(async (machine) => {
      const { trash, ledger } = await open(machine);
      machine.disk.fault = (operation) => (operation === 'setMode' ? 'EPERM' : undefined);
      await trash.take(await fileOf(machine, ledger, 2 * shrinkStepBytes));
      await trash.idle();
      assert.equal(ledger.usedBytes, 0);
      machine.disk.fault = (operation, at) => (operation === 'remove' && at.includes('trash') ? 'EIO' : undefined);
      await trash.take(await fileOf(machine, ledger, 4_096));
      await trash.idle();
      assert.equal(ledger.bytesOf('trash'), 4_096);
    }));

  it('tells whoever asked of each step that came free, until he has heard enough', () =>
    on(async (machine) => {
      const { trash, ledger } = await open(machine);
      const heard: number[] = [];
      const listening = trash.onFreed(() => heard.push(ledger.bytesOf('trash')));
      await trash.take(await fileOf(machine, ledger, 3 * shrinkStepBytes));
      await trash.idle();
      listening[Symbol.dispose]();
      await trash.take(await fileOf(machine, ledger, 4_096));
      await trash.idle();
      assert.deepEqual(heard, [2, 1, 0].map((steps) => steps * shrinkStepBytes));
    }));

  it('knows what comes free by itself: neither what is read, nor what is refused as long as other files are deleted', () =>
    on(async (machine) => {
      const { trash, ledger } = await open(machine);
      const read = Promise.withResolvers<void>();
      const file = await fileOf(machine, ledger, 8_192);
      const taking = trash.take({ ...file, unread: () => read.promise });
      assert.equal(trash.comingBytes, 8_192, 'it is on its way');
      await taking;
      assert.equal(trash.comingBytes, 0);
      machine.disk.fault = (operation, at) => (operation === 'remove' && at.includes('trash') ? 'EIO' : undefined);
      read.resolve();
      await trash.idle();
      assert.equal(trash.comingBytes, 0);
      for (let count = 1; count < 8; count += 1) {
        await trash.take(await fileOf(machine, ledger, 4_096, `/data/objects/${count}`));
        await trash.idle();
        assert.equal(trash.comingBytes, count < 7 ? 0 : 8_192 + 7 * 4_096, 'in the end the disk deletes nothing');
      }
      machine.disk.fault = () => undefined;
      await trash.take(await fileOf(machine, ledger, 4_096));
      await trash.idle();
      assert.equal(trash.comingBytes, 0);
      assert.equal(ledger.bytesOf('trash'), 8_192 + 7 * 4_096);
      machine.clock.advance(60_000);
      await trash.idle();
      assert.deepEqual([trash.comingBytes, ledger.usedBytes], [0, 0]);
    }));

  it('tries again what the disk did not delete, and gives back what it takes', () =>
    on(async (machine) => {
      const { trash, ledger } = await open(machine);
      machine.disk.fault = (operation, at) => (operation === 'remove' && at.includes('trash') ? 'EIO' : undefined);
      await trash.take(await fileOf(machine, ledger, 2 * shrinkStepBytes));
      for (let minute = 0; minute < 3; minute += 1) {
        await trash.idle();
        assert.equal(ledger.bytesOf('trash'), shrinkStepBytes, 'the half that could be cut off');
        machine.clock.advance(60_000);
      }
      assert.equal(machine.log.lines.filter((line) => line.startsWith('error')).length, 1);
      await trash.idle();
      machine.disk.fault = () => undefined;
      machine.clock.advance(60_000);
      await trash.idle();
      assert.equal(ledger.usedBytes, 0);
      assert.equal(machine.disk.files().has('/data/trash/1'), false);
    }));

  it('ends in the middle of a deletion; the next start does the rest', () =>
    on(async (machine) => {
      const { trash, ledger } = await open(machine);
      await trash.take(await fileOf(machine, ledger, 4 * shrinkStepBytes));
      while (!machine.disk.trace.some((line) => line.startsWith('truncate'))) await machine.turns.nextTurn();
      const closed = trash.close();
      while (machine.clock.pendingTimers > 0) {
        machine.clock.advance(10);
        await machine.turns.nextTurn();
      }
      await closed;
      assert.ok(machine.disk.files().has('/data/trash/1'));
      await open(machine);
      assert.equal(machine.disk.files().has('/data/trash/1'), false);
    }));
});
