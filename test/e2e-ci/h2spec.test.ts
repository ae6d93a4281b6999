// h2spec against the real server, on a path that answers with DATA, so that no case is skipped (HT-13).
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { startDaemon } from '../e2e/daemon.ts';
import { temporaryDirectory } from '../e2e/file-tree.ts';
import { runTool } from '../e2e/tool-run.ts';
import { installedTool } from './installed-tool.ts';

const casesMin = 145;

/** Each is argued in docs/decisions/. */
const argued: readonly string[] = ['Sends invalid connection preface'];

describe('HT-13: h2spec', () => {
  it('passes, but for cases that are argued in docs/decisions', async (t) => {
    const directory = temporaryDirectory(t, 'h2spec');
    const daemon = await startDaemon(t, join(directory, 'data'));
    const h2spec = installedTool('h2spec', 'go install github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible');
    const { output, tail } = await runTool([h2spec, '-h', daemon.host, '-p', String(daemon.port), '-o', '5', '-P', '/status'], { cwd: directory });
    const [, tests, passed, skipped, failed] = /^(\d+) tests, (\d+) passed, (\d+) skipped, (\d+) failed$/m.exec(output)?.map(Number) ?? [];
    assert.ok(tests !== undefined && tests >= casesMin, tail);
    assert.equal(skipped, 0, tail);
    const failures = [...new Set([...output.matchAll(/× \d+: (.+)$/gm)].map(([, name = '']) => name))];
    assert.deepEqual(failures.filter((name) => !argued.includes(name)), [], tail);
    assert.deepEqual(argued.filter((name) => !failures.includes(name)), [], 'a case that passes needs no argument any more');
    assert.deepEqual([passed, failed], [tests - argued.length, argued.length], tail);
    t.diagnostic(`h2spec: ${passed} of ${tests} passed, ${failed} failed as argued`);
    await daemon.stop();
  });
});
