// What is said of a profile that was taken, when something around it fails.
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { DiagnosticFiles } from '../platform/diagnostic-files.ts';
import { temporaryDirectory } from '../testing/kiln-process.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { RecordedLog } from '../testing/recorded-log.ts';
import { ServerDiagnostics } from './server-diagnostics.ts';
import type { ProfileSource } from './server-diagnostics.ts';

const size = 5;
const source: ProfileSource = {
  async writeCpuProfile(path) {
    await writeFile(path, 'x'.repeat(size));
    return size;
  },
  writeHeapSnapshot: () => assert.fail('nobody asked for one'),
};

describe('a profile', () => {
  it('is there, and told of, although an older one cannot be removed', async (t) => {
    const data = await temporaryDirectory(t);
    // What should be the oldest file is a directory.
    await mkdir(join(data, 'diagnostics', 'cpu-profile-19600101T000000000Z.cpuprofile'), { recursive: true });
    const files = await DiagnosticFiles.open(data, { filesMax: 1, bytesMax: 1_000 }, new ManualClock());
    const log = new RecordedLog();
    const { path, sizeBytes } = await new ServerDiagnostics(source, files, log).takeCpuProfile(1_000);
    assert.equal(sizeBytes, size);
    assert.ok((await files.list('cpu-profile')).some((file) => file.path === path));
    assert.deepEqual(log.lines.map((line) => line.split(' {')[0]), ['info CPU profile written', 'warn old profiles could not be removed']);
  });
});
