// h2spec against the real server, on a path that answers with DATA, so that no case is skipped (HT-13).
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { startDaemon } from '../e2e/daemon.ts';
import { temporaryDirectory } from '../e2e/file-tree.ts';
import { runTool } from '../e2e/tool-run.ts';
import { installedTool } from './installed-tool.ts';

const casesMin = 146;

describe('HT-13: h2spec', () => {
  it('passes every case, the strict one included', async (t) => {
    const directory = temporaryDirectory(t, 'h2spec');
    const daemon = await startDaemon(t, join(directory, 'data'));
    const h2spec = installedTool('h2spec', 'go install github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible');
    const { output, tail } = await runTool([h2spec, '-h', daemon.host, '-p', String(daemon.port), '-o', '5', '-P', '/status', '--strict'], { cwd: directory });
    const [, tests = 0, passed, skipped, failed] = /^(\d+) tests, (\d+) passed, (\d+) skipped, (\d+) failed$/m.exec(output)?.map(Number) ?? [];
    assert.ok(tests >= casesMin, tail);
    assert.deepEqual({ passed, skipped, failed }, { passed: tests, skipped: 0, failed: 0 }, tail);
    await daemon.stop();
  });
});
