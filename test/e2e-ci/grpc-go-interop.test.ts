// The gRPC interoperability cases with grpc-go at the other end, as client and as server, in plaintext and over TLS.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { makeServerCertificate } from '../../src/testing/certificates.ts';
import { startDaemon } from '../e2e/daemon.ts';
import { runTool, spawnInGroup } from '../e2e/tool-run.ts';
import { interopCases } from '../interop/interop-cases.ts';
import { kilnInteropClient } from '../interop/kiln-interop.ts';
import { installedTool } from './installed-tool.ts';

/** Every case of grpc-go's client that a server without accounts can be asked, by the names of that client. */
const goClientCases = [
  'empty_unary', 'large_unary', 'client_streaming', 'server_streaming', 'ping_pong', 'empty_stream',
  'timeout_on_sleeping_server', 'cancel_after_begin', 'cancel_after_first_response', 'status_code_and_message',
  'special_status_message', 'custom_metadata', 'unimplemented_method', 'unimplemented_service', 'pick_first_unary', 'rpc_soak',
  'channel_soak',
];

/** How long a server may take until it listens, milliseconds. */
const startTimeoutMs = 20_000;

const directory = mkdtempSync(join(tmpdir(), 'kiln-grpc-go-'));
after(() => rmSync(directory, { recursive: true }));
const files = { authority: join(directory, 'ca.pem'), certificate: join(directory, 'server.pem'), key: join(directory, 'server.key') };
const { authority, server: certified } = makeServerCertificate();
writeFileSync(files.authority, authority.certificate);
writeFileSync(files.certificate, certified.certificate);
writeFileSync(files.key, certified.key, { mode: 0o600 });

interface StartedServer extends AsyncDisposable {
  readonly port: number;
}

/** Starts `command`, waits until it is `ready`, which tells its port, and ends it when disposed. */
async function startServer(command: readonly [string, ...string[]], ready: () => number | undefined | Promise<number | undefined>): Promise<StartedServer> {
  const server = spawnInGroup(command, { cwd: directory });
  let log = '';
  for (const stream of [server.stdout, server.stderr]) stream?.on('data', (text: Buffer) => void (log += text.toString()));
  const isRunning = (): boolean => server.exitCode === null && server.signalCode === null;
  const giveUpAtMs = performance.now() + startTimeoutMs;
  for (;;) {
    const port = await ready();
    if (port !== undefined) {
      return {
        port,
        async [Symbol.asyncDispose]() {
          const ended = once(server, 'exit');
          if (isRunning() && server.kill('SIGTERM')) await ended;
        },
      };
    }
    assert.ok(isRunning() && performance.now() < giveUpAtMs, `the server ended, or was not ready after ${startTimeoutMs} ms:\n${log}`);
    await delay(10);
  }
}

/** Our server as a process of its own. */
function startKilnServer(secure: boolean): Promise<StartedServer> {
  const readyFile = join(directory, secure ? 'ready-tls.json' : 'ready.json');
  const tls = secure ? ['--certificate', files.certificate, '--key', files.key] : [];
  const ready = () => (existsSync(readyFile) ? (JSON.parse(readFileSync(readyFile, 'utf8')) as { port: number }).port : undefined);
  return startServer([process.execPath, join(import.meta.dirname, '../interop/interop-server.ts'), '--ready-file', readyFile, ...tls], ready);
}

/** grpc-go's server does not say on which port it listens, so it is given one that was free a moment ago. */
async function startGoServer(secure: boolean): Promise<StartedServer> {
  const program = installedTool('grpc-interop-server', 'go install google.golang.org/grpc/interop/server@v1.85.0, renamed');
  const unused = createServer().listen(0, '127.0.0.1');
  await once(unused, 'listening');
  const { port } = unused.address() as AddressInfo;
  unused.close();
  const tls = secure ? ['--use_tls', `--tls_cert_file=${files.certificate}`, `--tls_key_file=${files.key}`] : [];
  return startServer([program, `--port=${port}`, ...tls], async () => ((await accepts(port)) ? port : undefined));
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

function goClient(port: number, testCase: string, secure: boolean): readonly [string, ...string[]] {
  const program = installedTool('grpc-interop-client', 'go install google.golang.org/grpc/interop/client@v1.85.0, renamed');
  const tls = secure ? ['--use_tls', '--use_test_ca', `--ca_file=${files.authority}`, '--server_host_override=localhost'] : [];
  return [program, '--server_host=127.0.0.1', `--server_port=${port}`, `--test_case=${testCase}`, ...tls];
}

for (const secure of [false, true]) {
  const how = secure ? ' over TLS' : '';

  describe(`HT-14: grpc-go calls Kiln${how}`, () => {
    let server: StartedServer;
    before(async () => (server = await startKilnServer(secure)));
    after(() => server[Symbol.asyncDispose]());

    for (const name of goClientCases) {
      it(name, async () => {
        const { status, tail } = await runTool(goClient(server.port, name, secure), { cwd: directory });
        assert.equal(status, 0, tail);
      });
    }

    it('unimplemented_service, on the production server', async (t) => {
      const flags = secure ? ['--tls-certificate', files.certificate, '--tls-key', files.key] : [];
      const daemon = await startDaemon(t, join(directory, `data${how}`), { flags });
      const { status, tail } = await runTool(goClient(daemon.port, 'unimplemented_service', secure), { cwd: directory });
      assert.equal(status, 0, tail);
    });
  });

  describe(`HT-14: Kiln calls grpc-go${how}`, () => {
    let server: StartedServer;
    before(async () => (server = await startGoServer(secure)));
    after(() => server[Symbol.asyncDispose]());

    for (const [name, run] of Object.entries(interopCases)) {
      it(name, async () => {
        await using client = kilnInteropClient(server.port, secure ? { caFile: files.authority } : undefined);
        await run(client);
      });
    }
  });
}
