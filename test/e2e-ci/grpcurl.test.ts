// grpcurl: a gRPC program that knows nothing of Kiln but what its reflection tells.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { startDaemon } from '../e2e/daemon.ts';
import { temporaryDirectory } from '../e2e/file-tree.ts';
import { mustRun } from '../e2e/tool-run.ts';
import { installedTool } from './installed-tool.ts';

describe('RF-2: grpcurl without proto files', () => {
  it('lists the services, describes one and calls it', async (t) => {
    const directory = temporaryDirectory(t, 'grpcurl');
    const daemon = await startDaemon(t, join(directory, 'data'));
    const grpcurl = installedTool('grpcurl', 'go install github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4');
    const address = `${daemon.host}:${daemon.port}`;
    const services = (await mustRun([grpcurl, '-plaintext', address, 'list'], { cwd: directory })).trim().split('\n');
    const reapi = 'build.bazel.remote.execution.v2';
    for (const service of [`${reapi}.ActionCache`, `${reapi}.Capabilities`, `${reapi}.ContentAddressableStorage`, 'google.bytestream.ByteStream', 'grpc.health.v1.Health']) {
      assert.ok(services.includes(service), `${service} is not in ${services.join(', ')}`);
    }
    assert.match(await mustRun([grpcurl, '-plaintext', address, 'describe', `${reapi}.Digest`], { cwd: directory }), /string hash = 1;/);
    const capabilities = await mustRun([grpcurl, '-plaintext', address, `${reapi}.Capabilities/GetCapabilities`], { cwd: directory });
    assert.match(capabilities, /"digestFunctions"/);
    assert.match(await mustRun([grpcurl, '-plaintext', address, 'grpc.health.v1.Health/Check'], { cwd: directory }), /"SERVING"/);
  });
});
