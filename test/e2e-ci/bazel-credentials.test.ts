// Debian's Bazel 4.2.3 with a token over gRPC: from this version or a little earlier on, Bazel shows its header in the
// first question already, which is the one for capabilities.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { it } from 'node:test';
import { BazelWorkspace } from '../e2e/bazel-workspace.ts';
import { createToken } from './create-token.ts';
import { startDaemon } from '../e2e/daemon.ts';
import { temporaryDirectory } from '../e2e/file-tree.ts';
import { debianBazel, withoutInternal } from './debian-bazel.ts';

it('ERR-5, ERR-10, CAP-8: uploads with a right to write, and knows that it may not with a right to read', async (t) => {
  const directory = temporaryDirectory(t, 'debian-bazel');
  const tokens = join(directory, 'tokens.yaml');
  const [writer, reader] = [createToken(tokens, '*=read,write'), createToken(tokens, '*=read')];
  const daemon = await startDaemon(t, join(directory, 'data'), { flags: ['--rights-tokens-file', tokens] });
  const workspace = new BazelWorkspace(debianBazel(directory), directory);
  const showing = (token: string): string => `--remote_header=authorization=Bearer ${token}`;
  const build = async (token: string, ...flags: readonly string[]) => {
    workspace.forget();
    const built = await workspace.build(daemon.grpc, [showing(token), ...flags]);
    assert.equal(built.status, 0, built.tail);
    assert.doesNotMatch(built.output, /PERMISSION_DENIED|UNAUTHENTICATED/);
    return withoutInternal(built.processes);
  };
  const eager = await workspace.build(daemon.grpc, [showing(reader)]);
  assert.match(eager.output, /not authorized to write local results to the remote cache/, 'this version wants to be told not to');
  assert.deepEqual(await build(writer), { local: workspace.actions });
  assert.deepEqual(await build(reader, '--noremote_upload_local_results'), { 'remote cache hit': workspace.actions });

  workspace.forget();
  const unknown = await workspace.build(daemon.grpc, [showing('nonsense')]);
  assert.match(unknown.output, /UNAUTHENTICATED: this token is not known here/);
});
