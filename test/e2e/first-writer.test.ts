// Real build tools that may write and not overwrite, with actions that come out different each time: the cache keeps
// what was there first, no build fails, and the tools say what they were told.
import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { BazelWorkspace, npmBazel } from './bazel-workspace.ts';
import { startDaemon } from './daemon.ts';
import { removeTree, temporaryDirectory } from './file-tree.ts';
import { MoonWorkspace } from './moon-workspace.ts';
import { realClient } from './real-clients.ts';

const bazelClient = realClient('bazel');
const installation = mkdtempSync(join(tmpdir(), 'kiln-bazel-'));
const bazel = npmBazel(bazelClient.program, installation);
after(() => removeTree(installation));
const moon = realClient('moon');

/** Three actions with a random output each, and one whose output is always the same. */
const buildFile = `
[genrule(name = "random%d" % i, outs = ["random%d.txt" % i], cmd = "cat /proc/sys/kernel/random/uuid > $@") for i in range(3)]
genrule(name = "fixed", outs = ["fixed.txt"], cmd = "echo fixed > $@; echo to stdout")
`;
const kept = /not stored: another entry is here under the same key, and the first one is kept; callers without credentials may write here and not overwrite/;
const writing = { flags: ['--allow-anonymous', 'write', '--log-level', 'debug'] };

for (const protocol of ['grpc', 'http'] as const) {
  describe(`Bazel 2.1.0 over ${protocol}, without the right to overwrite`, { skip: bazelClient.lacking }, () => {
    it('CT-9, BZ-3: builds on, warns, and later builds get what was there first', async (t) => {
      const directory = temporaryDirectory(t, 'bazel');
      const daemon = await startDaemon(t, join(directory, 'data'), writing);
      const workspace = new BazelWorkspace(bazel, directory, { BUILD: buildFile });
      const first = await workspace.build(daemon[protocol]);
      assert.equal(first.status, 0, first.tail);
      assert.doesNotMatch(first.output, /WARNING/);
      const outputs = workspace.outputs();

      workspace.forget();
      const second = await workspace.build(daemon[protocol], ['--noremote_accept_cached']);
      assert.equal(second.status, 0, second.tail);
      assert.notDeepEqual(workspace.outputs(), outputs, 'the actions ran again');
      assert.equal([...daemon.logs().matchAll(/another entry was kept/g)].length, 3, 'the action that came out the same was no conflict');
      assert.equal(second.output.split(kept).length - 1, 1, `once for the build:\n${second.tail}`);

      workspace.forget();
      const third = await workspace.build(daemon[protocol]);
      assert.deepEqual(third.processes, { 'remote cache hit': 4 }, third.tail);
      assert.deepEqual(workspace.outputs(), outputs);
    });
  });

  describe(`moon over ${protocol}, without the right to overwrite`, { skip: moon.lacking }, () => {
    it('CT-9, MO-1: goes on, and later runs get what was there first', async (t) => {
      const directory = temporaryDirectory(t, 'moon');
      const daemon = await startDaemon(t, join(directory, 'data'), writing);
      const workspace = await MoonWorkspace.create(moon.program, directory, randomTask);
      workspace.useCache(daemon[protocol]);
      const first = await workspace.run();
      assert.equal(first.status, 0, first.tail);
      const outputs = workspace.outputs();

      workspace.forget();
      const second = await workspace.run(['--force']);
      assert.equal(second.status, 0, second.tail);
      assert.notDeepEqual(workspace.outputs(), outputs, second.tail);
      assert.match(daemon.logs(), /another entry was kept/, second.tail);

      workspace.forget();
      const third = await workspace.run();
      assert.deepEqual(third.tasks, { 'cached-from-remote': 1 }, third.tail);
      assert.deepEqual(workspace.outputs(), outputs);
    });
  });
}

const randomTask = `tasks:
  all:
    script: 'mkdir -p out/all && cat /proc/sys/kernel/random/uuid > out/all/a.txt'
    inputs: ['seed.txt']
    outputs: ['out/all']
`;
