// Independent gRPC programs: the interoperability client of grpc-go, and grpcurl through reflection.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { startDaemon } from '../e2e/daemon.ts';
import { temporaryDirectory } from '../e2e/file-tree.ts';
import { mustRun, runTool, spawnInGroup } from '../e2e/tool-run.ts';
import { installedTool } from './installed-tool.ts';

/** Every case of the client that a server without TLS and without accounts can be asked. */
const interopCases = [
  'empty_unary', 'large_unary', 'client_streaming', 'server_streaming', 'ping_pong', 'empty_stream',
  'timeout_on_sleeping_server', 'cancel_after_begin', 'cancel_after_first_response', 'status_code_and_message',
  'special_status_message', 'custom_metadata', 'unimplemented_method',
];

function interopClient(): string {
  return installedTool('grpc-interop-client', 'go install google.golang.org/grpc/interop/client@v1.85.0, renamed');
}

/** The production stack with the service that the cases need. */
async function startInteropServer(t: TestContext): Promise<number> {
  const directory = temporaryDirectory(t, 'interop');
  const readyFile = join(directory, 'ready.json');
  const server = spawnInGroup([process.execPath, join(import.meta.dirname, '../interop-server.ts'), '--ready-file', readyFile], { cwd: directory });
  server.stdout?.resume();
  server.stderr?.pipe(process.stderr);
  t.after(async () => {
    const ended = once(server, 'exit');
    if (server.exitCode === null && server.kill('SIGTERM')) await ended;
  });
  while (!existsSync(readyFile)) {
    assert.equal(server.exitCode, null, 'the interop server ended before it was ready');
    await delay(10);
  }
  return (JSON.parse(readFileSync(readyFile, 'utf8')) as { port: number }).port;
}

describe('HT-14: the gRPC interoperability client', () => {
  for (const name of interopCases) {
    it(`passes ${name} on the production stack`, async (t) => {
      const port = await startInteropServer(t);
      const { status, tail } = await runTool([interopClient(), '--server_host=127.0.0.1', `--server_port=${port}`, `--test_case=${name}`], { cwd: import.meta.dirname });
      assert.equal(status, 0, tail);
    });
  }

  it('passes unimplemented_service on the production server', async (t) => {
    const daemon = await startDaemon(t, join(temporaryDirectory(t, 'interop'), 'data'));
    const { status, tail } = await runTool([interopClient(), `--server_host=${daemon.host}`, `--server_port=${daemon.port}`, '--test_case=unimplemented_service'], { cwd: import.meta.dirname });
    assert.equal(status, 0, tail);
  });
});

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
