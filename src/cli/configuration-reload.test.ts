// SIGHUP to a real server: what is applied, what waits for a restart, and what mistakes do.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { open, readFile, writeFile } from 'node:fs/promises';
import { connect as connectHttp2 } from 'node:http2';
import type { ClientHttp2Session } from 'node:http2';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { hashOfToken } from '../rights/token.ts';
import { fetchHttp } from '../testing/http-client.ts';
import { serveKiln, temporaryDirectory } from '../testing/kiln-process.ts';
import type { KilnProcess } from '../testing/kiln-process.ts';

const path = `/cas/${'0'.repeat(64)}`;

interface Reloaded {
  readonly kiln: KilnProcess;
  /** Writes the file, sends SIGHUP, waits for its answer in the log and gives the lines that came since. */
  readonly reload: (yaml: string) => Promise<readonly Record<string, unknown>[]>;
}

async function serveWith(t: TestContext, yaml: string, args: readonly string[] = []): Promise<Reloaded> {
  const directory = await temporaryDirectory(t);
  const file = join(directory, 'kiln.yaml');
  const whole = (text: string) => `listen: [127.0.0.1:0]\ndata: data\n${text}`;
  await writeFile(file, whole(yaml));
  const kiln = await serveKiln(t, ['--config', file, '--log-format', 'json', ...args]);
  return {
    kiln,
    async reload(text) {
      await writeFile(file, whole(text));
      const before = kiln.errors().length;
      kiln.kill('SIGHUP');
      const answered = () => /"message":"(?:configuration reloaded|the configuration has mistakes)[^\n]*\n/.test(kiln.errors().slice(before));
      while (!answered()) await setTimeout(5);
      await fetchHttp(kiln.port, '/healthz'); // what was logged in one go has arrived by the next answer
      return kiln.errors().slice(before).trim().split('\n').map((line) => JSON.parse(line) as Record<string, unknown>);
    },
  };
}

/** Gives a command a terminal of its own. */
const terminal = '/usr/bin/script';

/** Asks on a new connection that stays open, and tells whether there was an answer or the end. */
async function firstEvent(t: TestContext, port: number): Promise<{ socket: Socket; event: 'data' | 'close' }> {
  const socket = connect(port, '127.0.0.1');
  t.after(() => socket.destroy());
  socket.on('error', () => {}); // a reset is an end as well
  socket.write('GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n');
  const event = await new Promise<'data' | 'close'>((resolve) => {
    for (const name of ['data', 'close'] as const) socket.once(name, () => resolve(name));
  });
  return { socket, event };
}

describe('SIGHUP', () => {
  it('applies the log level and limits, and says what needs a restart', async (t) => {
    const { kiln, reload } = await serveWith(t, 'limits: {connections: 100}');
    const lines = await reload('max-size: 2GiB\nlog: {level: warn}\nlimits: {connections: 1, hot-memory: 1MiB}');
    assert.deepEqual(lines.map(({ level, message, from, to, running, configured, applied, needRestart }) => [level, message, from ?? running ?? applied, to ?? configured ?? needRestart]), [
      ['warn', 'changed in the configuration, but needs a restart: max-size', '10 % of the disk not used by others, at least 1GiB', '2GiB'],
      ['info', 'changed: log.level', 'info', 'warn'],
      ['info', 'changed: limits.connections', '100', '1'],
      ['warn', 'changed in the configuration, but needs a restart: limits.hot-memory', '128MiB', '1MiB'],
      ['info', 'configuration reloaded', 2, 2],
    ]);
    const first = await firstEvent(t, kiln.port);
    const second = await firstEvent(t, kiln.port); // beyond the new limit of one
    assert.deepEqual([first.event, second.event], ['data', 'close']);
    first.socket.destroy();
    kiln.kill('SIGTERM');
    assert.equal((await kiln.ended).status, 143);
  });

  it('K6-04: bounds connections from then on by the limits of before or after, as they come, and leaves open ones alone', async (t) => {
    const { kiln, reload } = await serveWith(t, '');
    const before = connectHttp2(`http://127.0.0.1:${kiln.port}`);
    t.after(() => before.destroy());
    const settingsOf = async (session: ClientHttp2Session) => {
      if (session.remoteSettings.initialWindowSize === undefined) await once(session, 'remoteSettings');
      const { initialWindowSize, maxConcurrentStreams, maxHeaderListSize } = session.remoteSettings;
      return [initialWindowSize, maxConcurrentStreams, maxHeaderListSize];
    };
    assert.deepEqual(await settingsOf(before), [1024 * 1024, 256, 64 * 1024]);
    const lines = await reload('limits: {streams: 7, first-bytes-timeout: 2s, http2: {stream-window: 2MiB, header-size: 5KiB}, http1: {header-size: 5KiB}}');
    assert.deepEqual(lines.map(({ message }) => message), [
      'changed: limits.first-bytes-timeout',
      'changed: limits.streams',
      'changed: limits.http2.stream-window',
      'changed: limits.http2.header-size',
      'changed: limits.http1.header-size',
      'configuration reloaded',
    ]);
    const after = connectHttp2(`http://127.0.0.1:${kiln.port}`);
    t.after(() => after.destroy());
    assert.deepEqual(await settingsOf(after), [2 * 1024 * 1024, 7, 5 * 1024]);
    assert.deepEqual(await settingsOf(before), [1024 * 1024, 256, 64 * 1024]);
    const call = before.request({ ':path': '/healthz' });
    const [headers] = (await once(call.resume(), 'response')) as [{ ':status': number }];
    assert.equal(headers[':status'], 200);
    assert.equal((await fetchHttp(kiln.port, '/healthz', { headers: { 'x-long': 'y'.repeat(6_000) } })).status, 431);
    const silent = connect(kiln.port, '127.0.0.1');
    t.after(() => silent.destroy());
    const beganMs = performance.now();
    await once(silent.resume(), 'close');
    const tookMs = performance.now() - beganMs;
    assert.ok(tookMs < 8_000, `${tookMs} ms, and before it were 10 s`);
  });

  it('keeps what it has when the file has mistakes, and names them', async (t) => {
    const { kiln, reload } = await serveWith(t, '');
    const lines = await reload('log: {level: loud}\ncolour: red');
    assert.deepEqual(lines.map(({ level, message, fix, mistakes }) => [level, String(message).replace(/^\/.*\/kiln/, 'kiln'), fix ?? mistakes]), [
      ['error', 'the configuration has mistakes and was not reloaded; the server goes on with what it has', 2],
      ['error', 'kiln.yaml:3:14: log.level: "loud" is none of debug, info, warn, error', 'example: level: debug'],
      ['error', 'kiln.yaml:4:1: unknown key "colour"', 'known here: listen, allowed-hosts, data, max-size, durability, lease, leases, low-watermark, max-age, max-entries, small-blob-max, min-free-space, allow-anonymous, ready-file, rights, tls, drain, log, metrics, traces, diagnostics, limits'],
    ]);
    assert.equal((await fetchHttp(kiln.port, '/healthz')).status, 200);
    assert.deepEqual((await reload('')).map(({ message, applied }) => [message, applied]), [['configuration reloaded', 0]]);
  });

  it('takes new tokens and drops old ones, and a flag goes before the file as at the start', async (t) => {
    const rights = (token: string) => `rights:\n  identities:\n    - {name: ci, tokens: ["${hashOfToken(token)}"], grants: [{instances: ["*"], rights: [read]}]}\n`;
    const { kiln, reload } = await serveWith(t, rights('old'), ['--log-level', 'info']);
    const statusWith = async (token: string) => (await fetchHttp(kiln.port, path, { headers: { authorization: `Bearer ${token}` } })).status;
    assert.deepEqual([await statusWith('old'), await statusWith('new')], [404, 401]);
    const lines = await reload(`${rights('new')}log: {level: error}`);
    assert.deepEqual(lines.map(({ message, from, to }) => [message, from, to]), [
      ['changed: rights.identities', '1 identity', '1 identity'],
      ['configuration reloaded', undefined, undefined],
    ]);
    assert.deepEqual([await statusWith('old'), await statusWith('new')], [401, 404]);
    const again = await reload(`${rights('new')}log: {level: error}`);
    assert.deepEqual(again.map(({ message, applied }) => [message, applied]), [['configuration reloaded', 0]]);
    assert.ok(!kiln.errors().includes(hashOfToken('new')));
  });

  it('waits for the server when it comes while the configuration is still being read', async (t) => {
    const directory = await temporaryDirectory(t);
    const pipe = join(directory, 'pipe');
    execFileSync('mkfifo', [pipe]);
    const readyFile = join(directory, 'ready.json');
    const launcher = new URL('../../bin/kiln', import.meta.url).pathname;
    const args = ['serve', '--config', pipe, '--listen', '127.0.0.1:0', '--data', join(directory, 'data'), '--ready-file', readyFile];
    const kiln = spawn(launcher, args, { stdio: ['ignore', 'ignore', 'pipe'], env: { PATH: process.env['PATH'] } });
    t.after(() => kiln.kill('SIGKILL'));
    let log = '';
    kiln.stderr.on('data', (text: Buffer) => (log += text.toString()));
    {
      await using writer = await open(pipe, 'w'); // as soon as it is opened for reading
      kiln.kill('SIGHUP');
      await writer.write('log: {format: text}\n');
    }
    while (!existsSync(readyFile)) {
      assert.equal(kiln.signalCode, null, 'it lives on');
      await setTimeout(5);
    }
    // The reload waits for nobody who would write to it.
    while (!log.includes('is a pipe, which cannot be read again')) await setTimeout(5);
  });

  it('ends the server, as SIGTERM does, when it means that the terminal has been closed', { skip: process.platform !== 'linux' || !existsSync(terminal) }, async (t) => {
    const directory = await temporaryDirectory(t);
    const readyFile = join(directory, 'ready.json');
    const launcher = new URL('../../bin/kiln', import.meta.url).pathname;
    const command = `${launcher} serve --listen 127.0.0.1:0 --data ${join(directory, 'data')} --ready-file ${readyFile}`;
    const shell = spawn(terminal, ['-qec', command, '/dev/null'], { stdio: 'ignore', env: { PATH: process.env['PATH'] } });
    t.after(() => shell.kill('SIGKILL'));
    while (!existsSync(readyFile)) await setTimeout(5);
    const { pid } = JSON.parse(await readFile(readyFile, 'utf8')) as { pid: number };
    t.after(() => existsSync(readyFile) && process.kill(pid, 'SIGKILL')); // no child of ours
    shell.kill('SIGKILL'); // closes the terminal
    while (existsSync(readyFile)) await setTimeout(5); // a server that ends in good order removes it
  });
});
