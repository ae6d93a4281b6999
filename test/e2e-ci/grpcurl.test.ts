// grpcurl: a gRPC program that knows nothing of Kiln but what its reflection tells.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { startDaemon } from '../e2e/daemon.ts';
import type { Daemon } from '../e2e/daemon.ts';
import { temporaryDirectory } from '../e2e/file-tree.ts';
import { mustRun } from '../e2e/tool-run.ts';
import { installedTool } from './installed-tool.ts';
import { startTlsDaemon } from './tls-daemon.ts';

describe('RF-2: grpcurl without proto files', () => {
  it('lists the services, describes one and calls it', async (t) => {
    await asksForEverything(t, await startDaemon(t, join(temporaryDirectory(t, 'grpcurl'), 'data')), '-plaintext');
  });

  it('does so over TLS', async (t) => {
    const daemon = await startTlsDaemon(t);
    await asksForEverything(t, daemon, `-cacert=${daemon.caFile}`);
  });
});

async function asksForEverything(t: TestContext, daemon: Daemon, how: string): Promise<void> {
  const directory = temporaryDirectory(t, 'grpcurl');
  const grpcurl = installedTool('grpcurl', 'go install github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4');
  const address = `${daemon.host}:${daemon.port}`;
  const services = (await mustRun([grpcurl, how, address, 'list'], { cwd: directory })).trim().split('\n');
  const reapi = 'build.bazel.remote.execution.v2';
  for (const service of [`${reapi}.ActionCache`, `${reapi}.Capabilities`, `${reapi}.ContentAddressableStorage`, 'google.bytestream.ByteStream', 'grpc.health.v1.Health']) {
    assert.ok(services.includes(service), `${service} is not in ${services.join(', ')}`);
  }
  assert.match(await mustRun([grpcurl, how, address, 'describe', `${reapi}.Digest`], { cwd: directory }), /string hash = 1;/);
  const capabilities = await mustRun([grpcurl, how, address, `${reapi}.Capabilities/GetCapabilities`], { cwd: directory });
  assert.match(capabilities, /"digestFunctions"/);
  assert.match(await mustRun([grpcurl, how, address, 'grpc.health.v1.Health/Check'], { cwd: directory }), /"SERVING"/);
}
