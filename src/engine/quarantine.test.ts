// Quarantine: its bound, its books, and what it does with names that are taken or gone.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FaultyFileSystem } from '../testing/faulty-file-system.ts';
import { onMachine } from '../testing/simulated-files.ts';
import { DurableDirectories } from './durable-directories.ts';
import { Quarantine } from './quarantine.ts';
import { SpaceLedger } from './space-ledger.ts';

const directory = '/data/quarantine';
const blockBytes = 4_096;

async function open(blocksMax: number, files = new FaultyFileSystem()): Promise<{ readonly files: FaultyFileSystem; readonly ledger: SpaceLedger; readonly quarantine: Quarantine }> {
  await files.makeDirectory('/data/objects');
  const ledger = new SpaceLedger({ maxBytes: Infinity, diskFloorBytes: 0 });
  const quarantine = await Quarantine.open({ files, directories: new DurableDirectories(files, '/data'), ledger }, directory, { bytesMax: blocksMax * blockBytes });
  return { files, ledger, quarantine };
}

async function write(files: FaultyFileSystem, path: string, sizeBytes: number): Promise<void> {
  await using file = await files.createExclusive(path);
  await file.write(Buffer.alloc(sizeBytes, 'x'));
}

describe('quarantine', () => {
  it('K1-02: takes files while there is room, and leaves them where they are when there is none', async () => {
    const { files, ledger, quarantine } = await open(2);
    for (const name of ['a', 'b']) await write(files, `/data/objects/${name}`, 5_000);
    assert.equal(await quarantine.takeFile('/data/objects/a', 'sha256-a', 5_000), 'kept');
    assert.equal(await quarantine.takeFile('/data/objects/b', 'sha256-b', 5_000), 'full');
    assert.equal(await quarantine.takeFile('/data/objects/c', 'sha256-a', 10), 'absent');
    assert.deepEqual([...files.snapshot().keys()].toSorted(), ['/data/objects/b', `${directory}/sha256-a`]);
    assert.deepEqual([quarantine.count, quarantine.usedBytes, ledger.bytesOf('quarantine')], [1, 2 * blockBytes, 2 * blockBytes]);
    assert.equal(await quarantine.take('/data/objects/b', 'sha256-b', 5_000), 'deleted');
    assert.deepEqual([...files.snapshot().keys()], [`${directory}/sha256-a`]);
  });

  it('that a file has left its name is durable when it is kept', async () => {
    const { files, quarantine } = await open(2);
    await write(files, '/data/objects/a', 1);
    await quarantine.takeFile('/data/objects/a', 'sha256-a', 1);
    const [renamed, ...others] = files.operations.slice(-3);
    assert.deepEqual([renamed, others.at(-1)], [{ operation: 'rename', path: `${directory}/sha256-a` }, { operation: 'syncDirectory', path: '/data/objects' }]);
  });

  it('a file that a power cut left both names has one of them afterwards', async () => {
    await onMachine(async ({ disk }) => {
      await disk.makeDirectory('/data/objects');
      await disk.makeDirectory(directory);
      await using file = await disk.createLog('/data/objects/a', 0o444);
      await file.write(Buffer.from('wrong'), 0);
      await disk.link('/data/objects/a', `${directory}/sha256-a`);
      const quarantine = await Quarantine.open({ files: disk, directories: new DurableDirectories(disk, '/data') }, directory, { bytesMax: 4 * blockBytes });
      assert.equal(await quarantine.takeFile('/data/objects/a', 'sha256-a', 5), 'kept');
      assert.deepEqual([...disk.files().keys()], [`${directory}/sha256-a`]);
      assert.deepEqual([quarantine.count, quarantine.usedBytes], [1, blockBytes]);
    });
  });

  it('keeps a copy once under a name, and none for which there is no room', async () => {
    const { files, ledger, quarantine } = await open(2);
    assert.equal(await quarantine.keep('segment-7-4096', Buffer.from('wrong')), true);
    assert.equal(await quarantine.keep('segment-7-4096', Buffer.from('again')), false);
    assert.equal(await quarantine.keep('segment-7-8192', Buffer.alloc(5_000)), false);
    assert.equal(files.snapshot().get(`${directory}/segment-7-4096`)?.toString(), 'wrong');
    assert.equal(ledger.bytesOf('quarantine'), blockBytes);
  });

  it('counts nothing of what the disk refused', async () => {
    const { files, ledger, quarantine } = await open(4);
    await write(files, '/data/objects/a', 1);
    files.fault = (operation) => (operation === 'rename' || operation === 'write' ? 'EIO' : undefined);
    await assert.rejects(quarantine.takeFile('/data/objects/a', 'sha256-a', 1), { code: 'unavailable' });
    await assert.rejects(quarantine.keep('segment-7-4096', Buffer.from('wrong')), { code: 'unavailable' });
    files.fault = () => undefined;
    assert.deepEqual([quarantine.count, quarantine.usedBytes, ledger.bytesOf('quarantine')], [0, 0, 0]);
    assert.deepEqual([...files.snapshot().keys()], ['/data/objects/a']);
  });

  it('leaves alone at a start what is no file, however little room there is', async () => {
    await onMachine(async ({ disk }) => {
      await disk.makeDirectory(directory);
      await disk.makeDirectory(`${directory}/looked at`);
      const quarantine = await Quarantine.open({ files: disk, directories: new DurableDirectories(disk, '/data') }, directory, { bytesMax: 0 });
      assert.deepEqual([quarantine.count, (await disk.list(directory))?.map(({ name }) => name)], [0, ['looked at']]);
    });
  });

  it('counts at a start what is there, the newest first, and deletes what is too much', async () => {
    const files = new FaultyFileSystem();
    const first = await open(3, files);
    let nowMs = 0;
    files.nowMs = () => (nowMs += 1);
    for (const name of ['old', 'middle', 'new']) await first.quarantine.keep(name, Buffer.from(name));
    const second = await open(2, files);
    assert.deepEqual([...files.snapshot().keys()].toSorted(), [`${directory}/middle`, `${directory}/new`]);
    assert.equal(second.ledger.bytesOf('quarantine'), 2 * blockBytes);
  });
});
