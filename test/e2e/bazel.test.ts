// Bazel 2.1.0 against the real server, over gRPC and over HTTP: the second build comes from the cache, whatever
// happened to the server in between.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { BazelWorkspace, npmBazel } from './bazel-workspace.ts';
import { startDaemon } from './daemon.ts';
import { removeTree, temporaryDirectory } from './file-tree.ts';
import { realClient } from './real-clients.ts';

const client = realClient('bazel');
const installation = mkdtempSync(join(tmpdir(), 'kiln-bazel-'));
const bazel = npmBazel(client.program, installation);
after(() => removeTree(installation));

for (const protocol of ['grpc', 'http'] as const) {
  describe(`Bazel 2.1.0 over ${protocol}`, { skip: client.lacking }, () => {
    it('BZ-1, BZ-2: builds all from the cache once everything local is gone, also after a restart', async (t) => {
      const directory = temporaryDirectory(t, 'bazel');
      const data = join(directory, 'data');
      const workspace = new BazelWorkspace(bazel, directory);
      const first = await startDaemon(t, data);
      const cold = await workspace.build(first[protocol]);
      assert.equal(cold.status, 0, cold.tail);
      assert.deepEqual(cold.processes, { local: workspace.actions }, cold.tail);
      assert.doesNotMatch(cold.output, /WARNING/);
      const outputs = workspace.outputs();

      workspace.forget();
      const warm = await workspace.build(first[protocol]);
      assert.deepEqual(warm.processes, { 'remote cache hit': workspace.actions }, warm.tail);
      assert.deepEqual(workspace.outputs(), outputs);

      await first.stop();
      const second = await startDaemon(t, data);
      workspace.forget();
      const restarted = await workspace.build(second[protocol]);
      assert.deepEqual(restarted.processes, { 'remote cache hit': workspace.actions }, restarted.tail);
      assert.doesNotMatch(restarted.output, /WARNING/);
      assert.deepEqual(workspace.outputs(), outputs);
    });

    it('builds on when the server is killed in mid-build, and loses nothing that was acknowledged', async (t) => {
      const directory = temporaryDirectory(t, 'bazel');
      const data = join(directory, 'data');
      const workspace = new BazelWorkspace(bazel, directory);
      const first = await startDaemon(t, data);
      const building = workspace.start(first[protocol]);
      while (building.isRunning && !existsSync(workspace.marker)) await delay(5);
      assert.ok(building.isRunning, 'the build ended before the server could be killed');
      await first.kill();
      const second = await startDaemon(t, data, { port: first.port });
      const cold = await building.ended;
      assert.equal(cold.status, 0, cold.tail);
      const outputs = workspace.outputs();

      // What was uploaded before the kill is used, the rest is built and uploaded now.
      workspace.forget();
      const finishing = await workspace.build(second[protocol]);
      assert.equal(finishing.status, 0, finishing.tail);
      assert.ok((finishing.processes['remote cache hit'] ?? 0) > 0, finishing.tail);
      assert.deepEqual(workspace.outputs(), outputs);

      workspace.forget();
      const warm = await workspace.build(second[protocol]);
      assert.deepEqual(warm.processes, { 'remote cache hit': workspace.actions }, warm.tail);
      assert.deepEqual(workspace.outputs(), outputs);
    });
  });
}
