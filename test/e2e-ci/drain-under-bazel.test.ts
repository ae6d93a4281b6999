// SIGTERM in the middle of real builds: they succeed, and what they had uploaded is there afterwards.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { openEngineStore } from '../../src/testing/temporary-engine-store.ts';
import { BazelWorkspace, npmBazel } from '../e2e/bazel-workspace.ts';
import { startDaemon } from '../e2e/daemon.ts';
import { removeTree, temporaryDirectory } from '../e2e/file-tree.ts';
import { realClient } from '../e2e/real-clients.ts';

const client = realClient('bazel');
const installation = mkdtempSync(join(tmpdir(), 'kiln-bazel-'));
const bazel = npmBazel(client.program, installation);
after(() => removeTree(installation));

for (const protocol of ['grpc', 'http'] as const) {
  describe(`SIGTERM under a Bazel build over ${protocol}`, { skip: client.lacking }, () => {
    it('K10-01, HT-3: the build succeeds, and all that was acknowledged is there after a restart', async (t) => {
      const directory = temporaryDirectory(t, 'bazel');
      const data = join(directory, 'data');
      const workspace = new BazelWorkspace(bazel, directory);
      const first = await startDaemon(t, data);
      const building = workspace.start(first[protocol], ['--remote_retries=12']);
      while (building.isRunning && !existsSync(workspace.marker)) await delay(5);
      assert.ok(building.isRunning, 'the build ended before the server could be stopped');
      const startedMs = performance.now();
      await first.stop(); // with 143: no call was cut off
      assert.ok(performance.now() - startedMs < 30_000);
      const uploaded = await actionResults(data);
      assert.ok(uploaded > 0, 'the build had uploaded nothing when the server was stopped');
      // Over HTTP, Bazel goes on without a cache. Over gRPC, Bazel 2.1.0 tries again for three seconds by its default and
      // then breaks off the build ("Unrecoverable error ... UNAVAILABLE"), so the server must come back in time.
      const second = await startDaemon(t, data, protocol === 'grpc' ? { port: first.port } : {});
      const cold = await building.ended;
      assert.equal(cold.status, 0, cold.tail);
      const outputs = workspace.outputs();

      workspace.forget();
      const warm = await workspace.build(second[protocol]);
      assert.equal(warm.status, 0, warm.tail);
      // Each result that was acknowledged is a hit: none of them points at anything that is not there.
      assert.ok((warm.processes['remote cache hit'] ?? 0) >= uploaded, `${uploaded} results: ${warm.tail}`);
      assert.deepEqual(workspace.outputs(), outputs);
      await second.stop();
    });
  });
}

/** How many action results a data directory holds that no server has; Bazel stores no other values. */
async function actionResults(data: string): Promise<number> {
  await using store = await openEngineStore(data, { maxBytes: 8 * 1024 ** 3 }); // nothing goes to make room
  return store.usage.filesCount - store.usage.blobsCount;
}
