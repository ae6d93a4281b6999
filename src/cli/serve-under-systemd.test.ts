// The real program as systemd runs it: sockets handed over, and a socket to report to.
import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Socket, createServer } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { openDatagramSocket } from '../platform/unix-datagram.ts';
import { endProcessAfterTests } from '../testing/end-process.ts';
import { fetchHttp } from '../testing/http-client.ts';
import { runActivatedKiln, serveActivatedKiln, serveKiln, temporaryDirectory } from '../testing/kiln-process.ts';
import type { ListeningSocket } from '../testing/kiln-process.ts';

// Sockets of the addon are never closed.
endProcessAfterTests();

/** A listening socket as a service manager opens it. Nobody connects before it is released. */
async function listeningSocket(where: { host: string; port: number } | { path: string }): Promise<ListeningSocket & { port: number }> {
  const server = createServer();
  server.listen(where);
  await once(server, 'listening');
  const { fd } = (server as unknown as { readonly _handle: { readonly fd: number } })._handle;
  const bound = server.address();
  const port = bound === null || typeof bound === 'string' ? 0 : bound.port;
  return { fd, port, release: () => void server.close() };
}

const anyLoopbackPort = { host: '127.0.0.1', port: 0 };

describe('kiln serve with sockets handed over', () => {
  it('serves on a TCP socket, also who connected before it was there', async (t) => {
    const socket = await listeningSocket(anyLoopbackPort);
    const early = new Socket();
    const release = (): void => {
      socket.release();
      early.connect(socket.port, '127.0.0.1').end('GET /status HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n');
    };
    const kiln = await serveActivatedKiln(t, ['--data', await temporaryDirectory(t)], [{ fd: socket.fd, release }]);
    assert.equal(kiln.port, socket.port);
    let answer = '';
    for await (const chunk of early) answer += String(chunk);
    assert.match(answer, /^HTTP\/1\.1 200 /);
    assert.match(kiln.errors(), /"handedOver":"127\.0\.0\.1:\d+","message":"listening on the sockets that were handed over"/);
    kiln.kill('SIGTERM');
    assert.equal((await kiln.ended).status, 143);
  });

  it('serves on several, a unix socket among them, whose file it leaves to its owner', async (t) => {
    const path = join(await temporaryDirectory(t), 'kiln.sock');
    const unix = await listeningSocket({ path });
    const tcp = await listeningSocket(anyLoopbackPort);
    // To close a listening unix socket removes its file; systemd's stays.
    const kept = { fd: unix.fd, release() {} };
    const kiln = await serveActivatedKiln(t, ['--data', await temporaryDirectory(t)], [kept, tcp]);
    assert.equal(kiln.ready.grpc, `unix:${path}`);
    assert.equal((await fetchHttp(tcp.port, '/status')).status, 200);
    kiln.kill('SIGTERM');
    const { status, out } = await kiln.ended;
    assert.equal(status, 143);
    assert.match(out, new RegExp(`listens on {2}unix:${path}, 127\\.0\\.0\\.1:${tcp.port}\\n`));
    assert.ok((await stat(path)).isSocket());
    unix.release();
  });

  it('says that the addresses of its configuration are not used', async (t) => {
    const socket = await listeningSocket(anyLoopbackPort);
    const kiln = await serveActivatedKiln(t, ['--data', await temporaryDirectory(t), '--listen', '127.0.0.1:1'], [socket]);
    assert.equal(kiln.port, socket.port);
    assert.match(kiln.errors(), /"listen":"127\.0\.0\.1:1","message":"listen is not heeded: /);
  });

  it('refuses one that others can reach, while nobody has said what they may do', async (t) => {
    const socket = await listeningSocket({ host: '0.0.0.0', port: 0 });
    const { status, errors } = await runActivatedKiln(['serve', '--data', await temporaryDirectory(t)], [socket]);
    assert.equal(status, 2);
    assert.match(errors, /kiln: 0\.0\.0\.0:\d+ can be reached from other machines, .*\n {2}.*--allow-anonymous read/s);
  });

  it('refuses what is no listening socket, and says what the unit should say', async (t) => {
    const fd = openSync(import.meta.filename, 'r');
    const { status, errors } = await runActivatedKiln(['serve', '--data', await temporaryDirectory(t)], [{ fd, release: () => closeSync(fd) }]);
    assert.equal(status, 1);
    assert.match(errors, /^kiln: file descriptor 3 \(unknown\), handed over as a socket, cannot be listened on \(\w+\)\n {2}in the \.socket unit, use ListenStream= and Accept=no\n$/);
  });
});

describe('kiln serve with a service manager', { skip: openDatagramSocket() === undefined && 'no addon for datagrams on this platform' }, () => {
  it('K10-01: reports that it starts, serves, lives and stops', async (t) => {
    const path = join(await temporaryDirectory(t), 'notify');
    const heard: string[] = [];
    const arrivals = new EventEmitter();
    openDatagramSocket((datagram) => {
      heard.push(datagram.toString());
      arrivals.emit('one');
    })?.bind(path);
    const hears = async (pattern: RegExp): Promise<void> => {
      while (!heard.some((text) => pattern.test(text))) await once(arrivals, 'one');
    };
    const environment = { NOTIFY_SOCKET: path, WATCHDOG_USEC: '200000' };
    const kiln = await serveKiln(t, ['--listen', '127.0.0.1:0', '--data', await temporaryDirectory(t)], environment);
    await hears(/^WATCHDOG=1$/);
    await hears(new RegExp(`^READY=1\nSTATUS=serves on 127\\.0\\.0\\.1:${kiln.port}$`));
    kiln.kill('SIGTERM');
    await hears(/^STOPPING=1\nSTATUS=stopping/);
    await hears(/^EXTEND_TIMEOUT_USEC=15000000$/);
    assert.equal((await kiln.ended).status, 143);
  });
});
