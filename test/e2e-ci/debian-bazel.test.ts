// Debian's Bazel 4.2.3 with C++ targets and a test, over gRPC and HTTP.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { BazelWorkspace } from '../e2e/bazel-workspace.ts';
import { startDaemon } from '../e2e/daemon.ts';
import { temporaryDirectory } from '../e2e/file-tree.ts';
import { debianBazel, withoutInternal } from './debian-bazel.ts';

const workspaceFiles = {
  'greet/BUILD': `
cc_library(name = "greet", srcs = ["greet.cc"], hdrs = ["greet.h"])
cc_binary(name = "hello", srcs = ["main.cc"], deps = [":greet"])
sh_test(name = "hello_test", size = "small", srcs = ["hello_test.sh"], data = [":hello"])
`,
  'greet/greet.h': 'const char *greet();\n',
  'greet/greet.cc': '#include "greet/greet.h"\nconst char *greet() { return "hello"; }\n',
  'greet/main.cc': '#include <cstdio>\n#include "greet/greet.h"\nint main() { std::puts(greet()); }\n',
  'greet/hello_test.sh': '#!/bin/sh\ntest "$(greet/hello)" = hello\n',
};

for (const protocol of ['grpc', 'http'] as const) {
  describe(`Debian's Bazel 4.2.3 over ${protocol}`, () => {
    it('builds C++ and tests it, then takes all of it from the cache, also after a restart', async (t) => {
      const directory = temporaryDirectory(t, 'debian-bazel');
      const data = join(directory, 'data');
      const workspace = new BazelWorkspace(debianBazel(directory), directory, workspaceFiles);
      const first = await startDaemon(t, data);
      const cold = await workspace.test(first[protocol]);
      assert.equal(cold.status, 0, cold.tail);
      const { local = 0, ...others } = withoutInternal(cold.processes);
      assert.ok(local > workspace.actions, cold.tail);
      assert.deepEqual(others, {}, cold.tail);
      const outputs = workspace.outputs();

      workspace.forget();
      const warm = await workspace.test(first[protocol]);
      assert.deepEqual(withoutInternal(warm.processes), { 'remote cache hit': local }, warm.tail);
      assert.match(warm.output, /hello_test\s+\(cached\) PASSED/);
      assert.deepEqual(workspace.outputs(), outputs);

      await first.stop();
      const second = await startDaemon(t, data);
      workspace.forget();
      const restarted = await workspace.test(second[protocol]);
      assert.deepEqual(withoutInternal(restarted.processes), { 'remote cache hit': local }, restarted.tail);
      assert.deepEqual(workspace.outputs(), outputs);
    });

    it('builds on when the server is killed in mid-build, and loses nothing that was acknowledged', async (t) => {
      const directory = temporaryDirectory(t, 'debian-bazel');
      const data = join(directory, 'data');
      const workspace = new BazelWorkspace(debianBazel(directory), directory, workspaceFiles);
      const first = await startDaemon(t, data);
      const building = workspace.start(first[protocol]);
      while (building.isRunning && !existsSync(workspace.marker)) await delay(5);
      assert.ok(building.isRunning, 'the build ended before the server could be killed');
      await first.kill();
      const cold = await building.ended;
      assert.equal(cold.status, 0, cold.tail);
      const outputs = workspace.outputs();

      // What was uploaded before the kill is used, the rest is built and uploaded now.
      const second = await startDaemon(t, data, { port: first.port });
      workspace.forget();
      const finishing = await workspace.build(second[protocol]);
      assert.equal(finishing.status, 0, finishing.tail);
      const { 'remote cache hit': found = 0, local: missing = 0 } = finishing.processes;
      assert.ok(found > 0 && missing > 0, finishing.tail);
      assert.doesNotMatch(finishing.output, /WARNING.*(?:Remote Cache|remote cache)/i);
      assert.deepEqual(workspace.outputs(), outputs);

      workspace.forget();
      const warm = await workspace.build(second[protocol]);
      assert.deepEqual(withoutInternal(warm.processes), { 'remote cache hit': found + missing }, warm.tail);
      assert.deepEqual(workspace.outputs(), outputs);
      await second.stop();
    });
  });
}
