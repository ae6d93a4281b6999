// Bazel 2.1.0 with credentials, against a server that lets nobody in without. Over gRPC it asks for capabilities without
// the header it was told to send, so there it cannot show any; later versions do (bazel-credentials.test.ts).
import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { BazelWorkspace, npmBazel } from '../e2e/bazel-workspace.ts';
import { createToken } from './create-token.ts';
import { startDaemon } from '../e2e/daemon.ts';
import { removeTree, temporaryDirectory } from '../e2e/file-tree.ts';
import { realClient } from '../e2e/real-clients.ts';

const client = realClient('bazel');
const installation = mkdtempSync(join(tmpdir(), 'kiln-bazel-'));
const bazel = npmBazel(client.program, installation);
after(() => removeTree(installation));

describe('Bazel 2.1.0 with credentials', { skip: client.lacking }, () => {
  it('CT-4, CT-9, BZ-3, ERR-5: fills the cache with one token, reads it with another, and is told when it is unknown', async (t) => {
    const directory = temporaryDirectory(t, 'bazel');
    const tokens = join(directory, 'tokens.yaml');
    const [writer, reader] = [createToken(tokens, '*=read,write'), createToken(tokens, '*=read')];
    const daemon = await startDaemon(t, join(directory, 'data'), { flags: ['--rights-tokens-file', tokens] });
    const workspace = new BazelWorkspace(bazel, directory);
    const as = (user: string): string => `http://${user}@${daemon.host}:${daemon.port}`;

    const unknown = await workspace.build(as('builder:nonsense'), ['//:empty']);
    assert.equal(unknown.status, 0, unknown.tail);
    assert.match(unknown.output, /WARNING: Reading from Remote Cache:\n401 Unauthorized\nwrong user or password/);

    workspace.forget();
    const cold = await workspace.build(as(`builder:${writer}`));
    assert.equal(cold.status, 0, cold.tail);
    assert.deepEqual(cold.processes, { local: workspace.actions }, 'nothing was stored before');
    assert.doesNotMatch(cold.output, /WARNING/);
    const outputs = workspace.outputs();

    workspace.forget();
    const warm = await workspace.build(as(`builder:${reader}`));
    assert.deepEqual(warm.processes, { 'remote cache hit': workspace.actions }, warm.tail);
    assert.deepEqual(workspace.outputs(), outputs);

    workspace.forget();
    const refused = await workspace.build(daemon.grpc);
    assert.match(refused.output, /UNAUTHENTICATED: to use this cache, show credentials/, refused.tail);
  });
});
