// moon against the real server, over gRPC and over HTTP: the second run comes from the cache, whatever happened to
// the server in between.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { startDaemon } from './daemon.ts';
import { temporaryDirectory } from './file-tree.ts';
import { MoonWorkspace } from './moon-workspace.ts';
import { realClient } from './real-clients.ts';

const moon = realClient('moon');

for (const protocol of ['grpc', 'http'] as const) {
  describe(`moon over ${protocol}`, { skip: moon.lacking }, () => {
    it('MO-1, MO-2: runs nothing once everything local is gone, also after a restart', async (t) => {
      const directory = temporaryDirectory(t, 'moon');
      const data = join(directory, 'data');
      const workspace = await MoonWorkspace.create(moon.program, directory);
      const first = await startDaemon(t, data);
      workspace.useCache(first[protocol]);
      const cold = await workspace.run();
      assert.equal(cold.status, 0, cold.tail);
      assert.deepEqual(cold.tasks, { passed: workspace.tasks }, cold.tail);
      const outputs = workspace.outputs();

      workspace.forget();
      const warm = await workspace.run();
      assert.deepEqual(warm.tasks, { 'cached-from-remote': workspace.tasks }, warm.tail);
      assert.deepEqual(workspace.outputs(), outputs);

      await first.stop();
      await startDaemon(t, data, { port: first.port }); // moon takes the address of the cache into its keys
      workspace.forget();
      const restarted = await workspace.run();
      assert.deepEqual(restarted.tasks, { 'cached-from-remote': workspace.tasks }, restarted.tail);
      assert.deepEqual(workspace.outputs(), outputs);
    });

    it('goes on when the server is killed in mid-run, and loses nothing that was acknowledged', async (t) => {
      const directory = temporaryDirectory(t, 'moon');
      const data = join(directory, 'data');
      const workspace = await MoonWorkspace.create(moon.program, directory);
      const first = await startDaemon(t, data);
      workspace.useCache(first[protocol]);
      const running = workspace.start();
      while (running.isRunning && !existsSync(workspace.marker)) await delay(5);
      assert.ok(running.isRunning, 'the run ended before the server could be killed');
      await first.kill();
      await startDaemon(t, data, { port: first.port });
      const cold = await running.ended;
      assert.equal(cold.status, 0, cold.tail);
      const outputs = workspace.outputs();

      workspace.forget();
      const finishing = await workspace.run();
      assert.equal(finishing.status, 0, finishing.tail);
      assert.deepEqual(workspace.outputs(), outputs);

      workspace.forget();
      const warm = await workspace.run();
      assert.deepEqual(warm.tasks, { 'cached-from-remote': workspace.tasks }, warm.tail);
      assert.deepEqual(workspace.outputs(), outputs);
    });
  });
}
