// Real connections, over TCP and unix sockets, well behaved and not.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import type { ListenAddress } from '../base/listen-address.ts';
import type { Log } from '../base/log.ts';
import { Listener } from './listener.ts';
import { sniffProtocol } from './protocol-sniffer.ts';

const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const anyPort: ListenAddress = { kind: 'tcp', host: '127.0.0.1', port: 0 };

/** A listener whose HTTP/2 side answers with the number of bytes it was handed, and whose other side is node:http. */
async function listen(t: TestContext, address: ListenAddress = anyPort, limits: { connectionsMax?: number; firstBytesTimeoutMs?: number } = {}) {
  const warnings: string[] = [];
  const log: Log = { debugEnabled: false, debug() {}, info() {}, warn: (message) => void warnings.push(message), error() {} };
  const http = createHttpServer((request, response) => response.end(`${request.method} ${request.url}`));
  const listener = await Listener.open(address, { connectionsMax: 10, firstBytesTimeoutMs: 20_000, ...limits }, log);
  listener.serve({
    http2(socket, head) {
      assert.deepEqual(head.subarray(0, preface.length), preface);
      socket.end(`http2 ${head.byteLength}`);
    },
    other: (socket) => void http.emit('connection', socket),
  });
  const sockets: Socket[] = [];
  t.after(async () => {
    for (const socket of sockets) socket.destroy();
    http.closeAllConnections();
    await listener[Symbol.asyncDispose]();
  });
  const open = async (): Promise<Socket> => {
    const bound = listener.address;
    const socket = connect(bound.kind === 'unix' ? { path: bound.path } : { host: bound.host, port: bound.port, noDelay: true });
    sockets.push(socket);
    await once(socket, 'connect');
    return socket;
  };
  return { listener, open, warnings };
}

/** All that the server sends until it ends. */
async function readAll(socket: Socket): Promise<string> {
  let text = '';
  for await (const chunk of socket) text += String(chunk);
  return text;
}

/** Opens that many connections and prints how many the system has taken, nobody accepting any. */
const crowd = `
  const [port, count] = process.argv.slice(1).map(Number);
  let taken = 0;
  const done = () => { console.log(taken); process.exit(); };
  for (let index = 0; index < count; index += 1) require('node:net').connect(port, '127.0.0.1', () => (taken += 1) === count && done());
  setTimeout(done, 10_000);`;
const backlogAllowed = Number(readFileSync('/proc/sys/net/core/somaxconn', 'utf8'));

describe('Listener', () => {
  it('has a thousand connections wait while it is busy', { skip: backlogAllowed < 1_024 && `the system allows ${backlogAllowed}` }, async (t) => {
    const { listener } = await listen(t, anyPort, { connectionsMax: 1_000 });
    assert.ok(listener.address.kind === 'tcp');
    // Blocks this thread, so that nothing is accepted meanwhile.
    const { stdout } = spawnSync(process.execPath, ['-e', crowd, String(listener.address.port), '800'], { timeout: 25_000 });
    assert.equal(String(stdout).trim(), '800');
  });

  it('tells HTTP/2 from HTTP/1.1 by the first bytes', async (t) => {
    const { open } = await listen(t);
    const second = await open();
    second.write(Buffer.concat([preface, Buffer.from('more')]));
    assert.equal(await readAll(second), 'http2 28');
    const first = await open();
    first.write('GET /status HTTP/1.1\r\nHost: k\r\nConnection: close\r\n\r\n');
    assert.match(await readAll(first), /^HTTP\/1\.1 200 [\s\S]*GET \/status$/);
  });

  it('recognises a preface and a request that come byte by byte', async (t) => {
    const { open } = await listen(t);
    for (const [bytes, answer] of [
      [preface, /^http2 24$/],
      [Buffer.from('PUT /p HTTP/1.1\r\nHost: k\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'), /PUT \/p$/],
      [Buffer.from('PROPFIND /d/ HTTP/1.1\r\nHost: k\r\nConnection: close\r\n\r\n'), /PROPFIND \/d\/$/],
    ] as const) {
      const socket = await open();
      for (const byte of bytes) {
        await new Promise((resolve) => socket.write(Buffer.of(byte), resolve));
        await new Promise(setImmediate);
      }
      assert.match(await readAll(socket), answer);
    }
  });

  it('answers garbage before the preface with 400 and closes', async (t) => {
    const { open } = await listen(t);
    for (const garbage of ['garbage' + preface.toString(), '\0\0\0\x04\0\0\0\0\0', 'PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n']) {
      const socket = await open();
      socket.write(garbage);
      assert.match(await readAll(socket), /^HTTP\/1\.1 400 Bad Request\r\n/, JSON.stringify(garbage));
    }
  });

  it('closes a connection that does not show its protocol in time', async (t) => {
    const { open } = await listen(t, anyPort, { firstBytesTimeoutMs: 50 });
    const silent = await open();
    const slow = await open();
    slow.write(preface.subarray(0, 10));
    assert.deepEqual(await Promise.all([readAll(silent), readAll(slow)]), ['', '']);
  });

  it('closes a connection that ends in mid-preface, and survives one that is reset', async (t) => {
    const { open } = await listen(t);
    const ended = await open();
    ended.end(preface.subarray(0, 3));
    assert.equal(await readAll(ended), '');
    (await open()).resetAndDestroy();
    const next = await open();
    next.write(preface);
    assert.equal(await readAll(next), 'http2 24');
  });

  it('refuses connections over the limit, logs it once, and accepts again when one has ended', async (t) => {
    const { open, warnings } = await listen(t, anyPort, { connectionsMax: 2 });
    const held = [await open(), await open()];
    for (let count = 0; count < 3; count += 1) await readAll(await open()).catch(() => {});
    assert.deepEqual(warnings, ['connection refused: too many are open']);
    for (const socket of held) {
      socket.write(preface);
      assert.equal(await readAll(socket), 'http2 24');
    }
    const next = await open();
    next.write(preface);
    assert.equal(await readAll(next), 'http2 24');
  });

  it('names the address and what to do when the port is in use', async (t) => {
    const { listener } = await listen(t);
    await assert.rejects(listen(t, listener.address), { code: 'failed_precondition', message: /^127\.0\.0\.1:\d+ is in use by another process\n.*--listen 127\.0\.0\.1:0/ });
  });

  it('ends connections that have shown nothing when it stops, and waits for the others', async (t) => {
    const { listener, open } = await listen(t);
    const silent = await open();
    const http = await open();
    http.write('GET /a HTTP/1.1\r\nHost: k\r\n\r\n');
    await once(http, 'data');
    let closed = false;
    const closing = listener[Symbol.asyncDispose]().then(() => (closed = true));
    assert.equal(await readAll(silent), '');
    assert.equal(closed, false);
    http.end();
    await closing;
    await assert.rejects(open(), { code: 'ECONNREFUSED' });
  });
});

describe('Listener on a unix socket', () => {
  async function socketPath(t: TestContext): Promise<string> {
    const directory = await mkdtemp(join(tmpdir(), 'kiln-listener-'));
    t.after(() => rm(directory, { recursive: true }));
    return join(directory, 'kiln.sock');
  }

  it('serves, and removes the file when it stops', async (t) => {
    const path = await socketPath(t);
    const { listener, open } = await listen(t, { kind: 'unix', path });
    const socket = await open();
    socket.write(preface);
    assert.equal(await readAll(socket), 'http2 24');
    await listener[Symbol.asyncDispose]();
    await assert.rejects(stat(path), { code: 'ENOENT' });
  });

  it('replaces the file of a dead server', async (t) => {
    const path = await socketPath(t);
    const program = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
    await once(spawn(process.execPath, ['-e', program]), 'exit');
    assert.ok((await stat(path)).isSocket());
    const { open } = await listen(t, { kind: 'unix', path });
    const socket = await open();
    socket.write(preface);
    assert.equal(await readAll(socket), 'http2 24');
  });

  it('leaves a living server and a file that is no socket alone', async (t) => {
    const path = await socketPath(t);
    await listen(t, { kind: 'unix', path });
    await assert.rejects(listen(t, { kind: 'unix', path }), { code: 'failed_precondition', message: /^another process serves on unix:.*\nstop it/ });
    const file = `${path}.txt`;
    await writeFile(file, 'precious');
    await assert.rejects(listen(t, { kind: 'unix', path: file }), { code: 'failed_precondition', message: /exists and is not a socket\n/ });
    assert.ok((await stat(file)).isFile());
  });

  it('refuses paths that cannot be', async (t) => {
    await assert.rejects(listen(t, { kind: 'unix', path: `/tmp/${'x'.repeat(120)}` }), { code: 'failed_precondition', message: /longer than the 103 bytes/ });
    await assert.rejects(listen(t, { kind: 'unix', path: '/nonexistent/kiln.sock' }), { code: 'failed_precondition', message: /^\/nonexistent, .* is not a directory\ncreate it/ });
  });
});

describe('sniffProtocol', () => {
  it('is undecided for every proper beginning of the preface only', () => {
    for (let length = 0; length < preface.length; length += 1) {
      assert.equal(sniffProtocol(preface.subarray(0, length)), 'undecided');
      const wrong = Buffer.concat([preface.subarray(0, length), Buffer.of((preface[length] ?? 0) ^ 1)]);
      assert.equal(sniffProtocol(wrong), 'other');
    }
    assert.equal(sniffProtocol(preface), 'http2');
    assert.equal(sniffProtocol(Buffer.concat([preface, Buffer.of(0)])), 'http2');
  });
});
