// ccache in its bazel layout: hits once its own cache is gone, under keys that never meet action results.
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { startDaemon } from '../e2e/daemon.ts';
import { removeTree, temporaryDirectory } from '../e2e/file-tree.ts';
import { mustRun, startTool } from '../e2e/tool-run.ts';
import { installedTool } from './installed-tool.ts';

const sources = 5;

/** ccache's counters: name → count. */
function counters(statistics: string): Readonly<Record<string, number>> {
  return Object.fromEntries(statistics.trim().split('\n').map((line) => line.split('\t')).map(([name = '', count]) => [name, Number(count)]));
}

describe('ccache in the bazel layout', () => {
  it('CC-1, CC-2, CT-3: hits for every source once its own cache is gone, also after a restart', async (t) => {
    const directory = temporaryDirectory(t, 'ccache');
    const data = join(directory, 'data');
    const ccache = installedTool('ccache', 'apt-get install ccache');
    const grpcurl = installedTool('grpcurl', 'go install github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4');
    let daemon = await startDaemon(t, data);
    for (let index = 0; index < sources; index += 1) writeFileSync(join(directory, `a${index}.c`), `int a${index}(void) { return ${index}; }\n`);

    const compileAll = async (): Promise<Readonly<Record<string, number>>> => {
      removeTree(join(directory, 'local'));
      const env = { CCACHE_DIR: join(directory, 'local'), CCACHE_REMOTE_STORAGE: `${daemon.http}/ccache|layout=bazel`, HOME: directory };
      for (let index = 0; index < sources; index += 1) await mustRun([ccache, 'gcc', '-c', `a${index}.c`, '-o', `a${index}.o`], { cwd: directory, env });
      return counters(await mustRun([ccache, '--print-stats'], { cwd: directory, env }));
    };
    const cold = await compileAll();
    assert.equal(cold['cache_miss'], sources, JSON.stringify(cold));
    assert.equal(cold['remote_storage_error'], 0, JSON.stringify(cold));

    const warm = await compileAll();
    assert.equal(warm['direct_cache_hit'], sources, JSON.stringify(warm));
    assert.equal(warm['cache_miss'], 0, JSON.stringify(warm));

    await daemon.stop();
    daemon = await startDaemon(t, data);
    const restarted = await compileAll();
    assert.equal(restarted['direct_cache_hit'], sources, JSON.stringify(restarted));

    // A REAPI client that asks for one of these keys must not be handed foreign bytes as an action result.
    const env = { CCACHE_DIR: join(directory, 'local'), CCACHE_REMOTE_STORAGE: `${daemon.http}/ccache|layout=bazel`, HOME: directory, CCACHE_DEBUG: '1' };
    removeTree(join(directory, 'local'));
    await mustRun([ccache, 'gcc', '-c', 'a0.c', '-o', 'a0.o'], { cwd: directory, env });
    const log = await mustRun(['sh', '-c', 'cat a0.o.*ccache-log'], { cwd: directory });
    const keys = [...new Set([...log.matchAll(/\b([\da-f]{64})\b/g)].map(([, key = '']) => key))];
    assert.ok(keys.length > 0, `no key in the log of ccache:\n${log}`);
    for (const hash of keys) {
      const request = JSON.stringify({ instance_name: 'ccache', action_digest: { hash, size_bytes: 1 } });
      const call = ['-plaintext', '-d', request, `${daemon.host}:${daemon.port}`, 'build.bazel.remote.execution.v2.ActionCache/GetActionResult'];
      const asked = await mustRun(['sh', '-c', '"$@" || true', 'sh', grpcurl, ...call], { cwd: directory });
      assert.match(asked, /Code: NotFound/, asked);
    }
    await daemon.stop();
  });

  it('compiles on when the server is killed in mid-build, and loses nothing that was acknowledged', async (t) => {
    const directory = temporaryDirectory(t, 'ccache');
    const data = join(directory, 'data');
    const ccache = installedTool('ccache', 'apt-get install ccache');
    const first = await startDaemon(t, data);
    for (let index = 0; index < sources; index += 1) writeFileSync(join(directory, `a${index}.c`), `int a${index}(void) { return ${index}; }\n`);
    // A compiler that takes its time over one file, so that the server can be killed meanwhile.
    const [compiler, marker] = [join(directory, 'gcc'), join(directory, 'slow-file-began')];
    writeFileSync(compiler, `#!/bin/sh\ncase "$*" in *a2.c*) [ -e '${marker}' ] || { touch '${marker}'; sleep 2; } ;; esac\nexec gcc "$@"\n`, { mode: 0o755 });
    const env = { CCACHE_DIR: join(directory, 'local'), CCACHE_REMOTE_STORAGE: `${first.http}/ccache|layout=bazel`, HOME: directory };
    const script = `set -e; for i in ${Array.from({ length: sources }, (_, index) => index).join(' ')}; do "${ccache}" "${compiler}" -c a$i.c -o a$i.o; done`;
    const build = async (): Promise<Readonly<Record<string, number>>> => {
      removeTree(join(directory, 'local'));
      await mustRun(['sh', '-c', script], { cwd: directory, env });
      return counters(await mustRun([ccache, '--print-stats'], { cwd: directory, env }));
    };

    const building = startTool(['sh', '-c', script], { cwd: directory, env });
    while (building.isRunning && !existsSync(marker)) await delay(5);
    assert.ok(building.isRunning, 'the build ended before the server could be killed');
    await first.kill();
    const cold = await building.ended;
    assert.equal(cold.status, 0, cold.tail);
    for (let index = 0; index < sources; index += 1) assert.ok(existsSync(join(directory, `a${index}.o`)), `a${index}.o is missing`);

    const second = await startDaemon(t, data, { port: first.port });
    const finishing = await build();
    assert.deepEqual([finishing['direct_cache_hit'], finishing['cache_miss']], [2, sources - 2], JSON.stringify(finishing));
    assert.equal(finishing['remote_storage_error'], 0, JSON.stringify(finishing));
    const warm = await build();
    assert.deepEqual([warm['direct_cache_hit'], warm['cache_miss']], [sources, 0], JSON.stringify(warm));
    await second.stop();
  });
});
