// The metered file system on the real one, and on one that fails.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { NodeFileSystem } from '../platform/node-file-system.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { RecordedMeter } from '../testing/recorded-meter.ts';
import { DiskMetrics } from './disk-metrics.ts';
import { MeteredFileSystem } from './metered-file-system.ts';

async function opened(t: TestContext) {
  const directory = await mkdtemp(join(tmpdir(), 'kiln-metered-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const meter = new RecordedMeter();
  return { directory, meter, files: new MeteredFileSystem(new NodeFileSystem(), new DiskMetrics(meter, new ManualClock())) };
}

describe('metered file system', () => {
  it('does what the one below does, and counts bytes and syncs', async (t) => {
    const { directory, meter, files } = await opened(t);
    const path = join(directory, 'a');
    {
      await using file = await files.createExclusive(path);
      await file.write(Buffer.from('hello '));
      await file.write(Buffer.from('world'));
      await file.syncData();
    }
    await files.rename(path, join(directory, 'b'));
    await files.syncDirectory(directory);
    assert.equal(await files.openRead(path), undefined);
    await using file = await files.openRead(join(directory, 'b'));
    const into = Buffer.alloc(20);
    assert.equal(await file?.read(into, 0), 11);
    assert.equal(into.toString('utf8', 0, 11), 'hello world');
    assert.equal(meter.value('kiln_disk_written_bytes_total'), 11);
    assert.equal(meter.value('kiln_disk_read_bytes_total'), 11);
    assert.deepEqual(meter.records('kiln_disk_sync_duration_seconds{kind="file"}'), [0]);
    assert.deepEqual(meter.records('kiln_disk_sync_duration_seconds{kind="directory"}'), [0]);
    assert.equal(meter.value('kiln_disk_errors_total{operation="open"}'), 0, 'a file that is not there is no error');
  });

  it('counts what the system refuses, and passes it on as it is', async (t) => {
    const { directory, meter, files } = await opened(t);
    const path = join(directory, 'a');
    await writeFile(path, '');
    await assert.rejects(files.createExclusive(path), { code: 'EEXIST' });
    await assert.rejects(files.rename(join(directory, 'nothing'), path), { code: 'ENOENT' });
    await assert.rejects(files.syncDirectory(join(directory, 'nothing')), { code: 'ENOENT' });
    for (const operation of ['create', 'rename', 'sync']) assert.equal(meter.value(`kiln_disk_errors_total{operation="${operation}"}`), 1, operation);
    assert.deepEqual(meter.records('kiln_disk_sync_duration_seconds{kind="directory"}'), [], 'what failed is no time that a sync takes');
  });
});
