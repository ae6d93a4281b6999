// h2spec against the real server, on a path that answers with DATA, so that no case is skipped (HT-13).
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { startDaemon } from '../e2e/daemon.ts';
import type { Daemon } from '../e2e/daemon.ts';
import { temporaryDirectory } from '../e2e/file-tree.ts';
import { runTool } from '../e2e/tool-run.ts';
import { installedTool } from './installed-tool.ts';
import { startTlsDaemon } from './tls-daemon.ts';

const casesMin = 146;

async function passesEveryCase(t: TestContext, daemon: Daemon, flags: readonly string[]): Promise<void> {
  const h2spec = installedTool('h2spec', 'go install github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible');
  const command = [h2spec, '-h', daemon.host, '-p', String(daemon.port), '-o', '5', '-P', '/status', '--strict', ...flags] as const;
  const { output, tail } = await runTool(command, { cwd: temporaryDirectory(t, 'h2spec') });
  const [, tests = 0, passed, skipped, failed] = /^(\d+) tests, (\d+) passed, (\d+) skipped, (\d+) failed$/m.exec(output)?.map(Number) ?? [];
  assert.ok(tests >= casesMin, tail);
  assert.deepEqual({ passed, skipped, failed }, { passed: tests, skipped: 0, failed: 0 }, tail);
  await daemon.stop();
}

describe('HT-13: h2spec', () => {
  it('passes every case, the strict one included', async (t) => {
    await passesEveryCase(t, await startDaemon(t, join(temporaryDirectory(t, 'h2spec'), 'data')), []);
  });

  it('passes every case over TLS', async (t) => {
    await passesEveryCase(t, await startTlsDaemon(t), ['-t', '-k']);
  });
});
