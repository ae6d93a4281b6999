// moon with a token, over gRPC, against a server that lets nobody in without.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { createToken } from './create-token.ts';
import { startDaemon } from '../e2e/daemon.ts';
import { temporaryDirectory } from '../e2e/file-tree.ts';
import { MoonWorkspace } from '../e2e/moon-workspace.ts';
import { realClient } from '../e2e/real-clients.ts';

const moon = realClient('moon');

describe('moon with a token over gRPC', { skip: moon.lacking }, () => {
  it('MO-7, ERR-5, ERR-10: uses the cache with its token, and runs everything itself without', async (t) => {
    const directory = temporaryDirectory(t, 'moon');
    const tokens = join(directory, 'tokens.yaml');
    const token = createToken(tokens, 'moon-outputs=read,write');
    const daemon = await startDaemon(t, join(directory, 'data'), { flags: ['--rights-tokens-file', tokens] });
    const workspace = await MoonWorkspace.create(moon.program, directory);
    workspace.useCache(daemon.grpc, token);
    const cold = await workspace.run();
    assert.deepEqual([cold.status, cold.tasks], [0, { passed: workspace.tasks }], cold.tail);
    const outputs = workspace.outputs();

    workspace.forget();
    const warm = await workspace.run();
    assert.deepEqual(warm.tasks, { 'cached-from-remote': workspace.tasks }, warm.tail);
    assert.deepEqual(workspace.outputs(), outputs);

    workspace.forget();
    workspace.useCache(daemon.grpc, 'kiln_unknown');
    const unknown = await workspace.run();
    assert.deepEqual([unknown.status, unknown.tasks], [0, { passed: workspace.tasks }], unknown.tail);
  });
});
