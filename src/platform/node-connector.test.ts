// Every way in which connecting goes well or fails, made for real.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import diagnosticsChannel from 'node:diagnostics_channel';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import * as net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import * as tls from 'node:tls';
import mutableTls from 'node:tls';
import { CacheError } from '../base/cache-error.ts';
import type { ClientTls, ConnectTarget } from '../base/connector.ts';
import type { Socket } from '../base/socket.ts';
import { makeCertificate, makeServerCertificate } from '../testing/certificates.ts';
import type { CertificateWishes, TestCertificate } from '../testing/certificates.ts';
import { NodeConnector } from './node-connector.ts';

const connector = new NodeConnector();

/** A server that sends back what it gets, on a free port of 127.0.0.1. */
async function listen(t: TestContext, server: net.Server): Promise<number> {
  const sockets = new Set<net.Socket>();
  server.on('connection', (socket: net.Socket) => sockets.add(socket.on('error', () => {})));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return (server.address() as net.AddressInfo).port;
}

function tcp(port: number, tlsOptions?: ClientTls, host = '127.0.0.1'): ConnectTarget {
  return { address: { kind: 'tcp', host, port }, tls: tlsOptions };
}

async function connect(target: ConnectTarget, timeoutMs = 10_000): Promise<Socket> {
  return connector.connect(target, { timeoutMs });
}

async function refused(target: ConnectTarget, code: string, message: RegExp, timeoutMs?: number): Promise<void> {
  await assert.rejects(connect(target, timeoutMs), (thrown) => {
    assert.ok(thrown instanceof CacheError, String(thrown));
    assert.deepEqual([thrown.code, message.test(thrown.message)], [code, true], thrown.message);
    return true;
  });
}

/** Sends `text` and gives back as many bytes as come. */
async function echoed(socket: Socket, text: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let got = '';
  socket.start({
    onData(bytes) {
      got += Buffer.from(bytes).toString();
      if (got.length >= text.length) resolve(got);
    },
    onEnd() {},
    onDrain() {},
    onClose: (error) => reject(error ?? new Error('closed')),
  });
  socket.write([Buffer.from(text)]);
  return promise.finally(() => socket.destroy());
}

async function directory(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'kiln-connector-'));
  t.after(() => rm(path, { recursive: true }));
  return path;
}

interface ServedTls {
  readonly port: number;
  readonly authority: TestCertificate;
  /** Of the authority that signed the server's certificate. */
  readonly caFile: string;
  readonly path: string;
}

async function serveTls(t: TestContext, wishes: CertificateWishes = {}, options: tls.TlsOptions = {}): Promise<ServedTls> {
  const path = await directory(t);
  const { authority, server: { certificate, key } } = makeServerCertificate(wishes);
  const caFile = join(path, 'ca.pem');
  await writeFile(caFile, authority.certificate);
  const server = tls.createServer({ cert: certificate, key, ALPNProtocols: ['h2', 'http/1.1'], ...options }, (socket) => socket.pipe(socket));
  server.on('tlsClientError', () => {});
  return { port: await listen(t, server), authority, caFile, path };
}

describe('NodeConnector in plain', () => {
  it('connects by address and by name', async (t) => {
    const port = await listen(t, net.createServer((socket) => socket.pipe(socket)));
    assert.equal(await echoed(await connect(tcp(port)), 'hello'), 'hello');
    assert.equal(await echoed(await connect(tcp(port, undefined, 'localhost')), 'hello'), 'hello');
  });

  it('connects to unix sockets', async (t) => {
    const path = join(await directory(t), 's');
    const server = net.createServer((socket) => socket.pipe(socket)).listen(path);
    await once(server, 'listening');
    t.after(() => server.close());
    assert.equal(await echoed(await connect({ address: { kind: 'unix', path } }), 'hello'), 'hello');
  });

  it('gives what came before anybody listened', async (t) => {
    const port = await listen(t, net.createServer((socket) => socket.write('early')));
    const socket = await connect(tcp(port));
    await new Promise((resolve) => setTimeout(resolve, 50)); // no event tells that it has come; a slower machine tries less here, and nothing wrong
    assert.equal(await echoed(socket, 'early'), 'early');
  });

  it('says that nobody is there, and where', async (t) => {
    const server = net.createServer();
    const port = await listen(t, server);
    server.close();
    await once(server, 'close');
    await refused(tcp(port), 'unavailable', new RegExp(`^cannot connect to 127\\.0\\.0\\.1:${port}: nothing listens there \\(ECONNREFUSED\\)$`));
    await refused(tcp(port, undefined, 'localhost'), 'unavailable', /^cannot connect to localhost:\d+: nothing listens there/);
    const path = join(await directory(t), 'no-such');
    await refused({ address: { kind: 'unix', path } }, 'unavailable', /: there is no such socket; is the server running\? \(ENOENT\)$/);
    await writeFile(path, 'x');
    await refused({ address: { kind: 'unix', path } }, 'unavailable', /cannot connect to unix:.*no-such: /);
  });

  it('says that a name is not known', async () => {
    await refused(tcp(1, undefined, 'no-such-host.invalid'), 'unavailable', /"no-such-host\.invalid"/);
  });

  it('gives up after its time, and when it is cancelled', async (t) => {
    const port = await listen(t, net.createServer());
    const signal = AbortSignal.abort();
    await assert.rejects(connector.connect(tcp(port), { timeoutMs: 1_000, signal }), { code: 'cancelled' });
    const abort = new AbortController();
    const silent = await listen(t, net.createServer(() => abort.abort())); // speaks no TLS, and does not say so
    await assert.rejects(connector.connect(tcp(silent, {}), { timeoutMs: 10_000, signal: abort.signal }), { code: 'cancelled', message: /^connecting to 127\.0\.0\.1:\d+ was cancelled$/ });
    const mute = await listen(t, net.createServer(() => {}));
    await refused(tcp(mute, {}), 'unavailable', /: nothing came of it within 50 ms$/, 50);
  });

  it('leaves no socket open when it fails', async (t) => {
    const opened: net.Socket[] = [];
    const onOpened = (message: unknown): void => void opened.push((message as { readonly socket: net.Socket }).socket);
    diagnosticsChannel.subscribe('net.client.socket', onOpened);
    t.after(() => diagnosticsChannel.unsubscribe('net.client.socket', onOpened));
    const mute = await listen(t, net.createServer(() => {}));
    await refused(tcp(mute, {}), 'unavailable', /within 50 ms$/, 50);
    const http1 = await serveTls(t, {}, { ALPNProtocols: ['http/1.1'] });
    await refused(tcp(http1.port, { caFile: http1.caFile }), 'failed_precondition', /./);
    assert.deepEqual(opened.map(({ closed }) => closed), [true, true]);
  });

  it('waits for a file no longer than for anything else', async (t) => {
    const path = await directory(t);
    const pipe = join(path, 'pipe');
    execFileSync('mkfifo', [pipe]);
    await refused(tcp(1, { caFile: pipe }), 'unavailable', /: nothing came of it within 50 ms$/, 50);
    await writeFile(pipe, 'no PEM'); // lets the reader go
  });
});

describe('NodeConnector over TLS', () => {
  it('connects to a server whose authority is named, by name and by address, and checks the name asked for', async (t) => {
    const { port, caFile } = await serveTls(t);
    assert.equal(await echoed(await connect(tcp(port, { caFile })), 'hello'), 'hello');
    assert.equal(await echoed(await connect(tcp(port, { caFile }, 'localhost')), 'hello'), 'hello');
    assert.equal(await echoed(await connect(tcp(port, { caFile, serverName: 'localhost' })), 'hello'), 'hello');
    await refused(tcp(port, { caFile, serverName: 'cache.example' }), 'failed_precondition', /certificate is not for cache\.example but for localhost, 127\.0\.0\.1; ask for one of these/);
  });

  it('says what is wrong with a certificate', async (t) => {
    const dayMs = 86_400_000;
    const expired = await serveTls(t, { notBefore: new Date(Date.now() - 2 * dayMs), notAfter: new Date(Date.now() - dayMs) });
    await refused(tcp(expired.port, { caFile: expired.caFile }), 'failed_precondition', /its certificate has expired/);
    const early = await serveTls(t, { notBefore: new Date(Date.now() + dayMs) });
    await refused(tcp(early.port, { caFile: early.caFile }), 'failed_precondition', /its certificate is not valid yet/);
    const foreign = await serveTls(t);
    await refused(tcp(foreign.port, { caFile: early.caFile }), 'failed_precondition', /names an authority that is trusted here, and was not signed by it/);
    await refused(tcp(foreign.port, {}), 'failed_precondition', /signed by nobody who is trusted here/);
    const own = makeCertificate({ dnsNames: ['localhost'] });
    const { port } = await serveTls(t, {}, { cert: own.certificate, key: own.key });
    await refused(tcp(port, {}, 'localhost'), 'failed_precondition', /signed by itself; if it is the right one, name it as the authority/);
    const ownFile = join(foreign.path, 'own.pem');
    await writeFile(ownFile, own.certificate);
    assert.equal(await echoed(await connect(tcp(port, { caFile: ownFile }, 'localhost')), 'x'), 'x');
  });

  it('wants HTTP/2 to be agreed on', async (t) => {
    for (const ALPNProtocols of [['http/1.1'], []]) {
      const { port, caFile } = await serveTls(t, {}, ALPNProtocols.length === 0 ? { ALPNProtocols: undefined } : { ALPNProtocols });
      await refused(tcp(port, { caFile }), 'failed_precondition', /speaks TLS but not HTTP\/2 \(ALPN h2\)/);
    }
  });

  it('says that the other side speaks no TLS', async (t) => {
    const http = await listen(t, net.createServer((socket) => socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))));
    await refused(tcp(http, {}), 'failed_precondition', /does not speak TLS; connect without, or to the port that does/);
    const closing = await listen(t, net.createServer((socket) => socket.once('data', () => socket.destroy())));
    await refused(tcp(closing, {}), 'unavailable', /broke the TLS handshake off; does it speak TLS at all\?/);
  });

  it('K12-03: shows its own certificate, and says so when the server wants one', async (t) => {
    const clients = makeCertificate({ authority: true });
    const { port, caFile, path } = await serveTls(t, {}, { requestCert: true, rejectUnauthorized: true, ca: clients.certificate });
    const own = makeCertificate({ issuer: clients, subject: [['CN', 'worker-7']] });
    const certificate = { certificateFile: join(path, 'client.pem'), keyFile: join(path, 'client.key') };
    await writeFile(certificate.certificateFile, own.certificate);
    await writeFile(certificate.keyFile, own.key);
    assert.equal(await echoed(await connect(tcp(port, { caFile, certificate })), 'hello'), 'hello');
    // With TLS 1.3 the refusal comes after the handshake of the client.
    const without = connect(tcp(port, { caFile })).then((socket) => echoed(socket, 'hello'));
    await assert.rejects(without, { code: 'failed_precondition', message: /wants a certificate of this client/ });
  });

  it('K12-03: reads its files anew for each connection', async (t) => {
    const { port, caFile, authority } = await serveTls(t);
    await writeFile(caFile, makeCertificate({ authority: true }).certificate);
    await refused(tcp(port, { caFile }), 'failed_precondition', /was not signed by it/);
    await writeFile(caFile, authority.certificate);
    assert.equal(await echoed(await connect(tcp(port, { caFile })), 'x'), 'x');
  });

  it('parses the authorities of the system once, with a certificate of its own too, until the files change', async (t) => {
    const { port, path } = await serveTls(t);
    const make = t.mock.method(mutableTls, 'createSecureContext');
    syncBuiltinESMExports();
    t.after(() => (make.mock.restore(), syncBuiltinESMExports()));
    const certificate = { certificateFile: join(path, 'own.pem'), keyFile: join(path, 'own.key') };
    const write = async (): Promise<void> => {
      const own = makeCertificate();
      await writeFile(certificate.certificateFile, own.certificate);
      await writeFile(certificate.keyFile, own.key);
    };
    const fresh = new NodeConnector();
    const connectAndCount = async (given: ClientTls): Promise<number> => {
      await assert.rejects(fresh.connect(tcp(port, given), { timeoutMs: 10_000 }), { code: 'failed_precondition' });
      return make.mock.calls.filter(({ arguments: [options] }) => Array.isArray(options?.ca)).length; // the server makes some too
    };
    await write();
    assert.deepEqual([await connectAndCount({ certificate }), await connectAndCount({ certificate })], [1, 1]);
    assert.deepEqual([await connectAndCount({}), await connectAndCount({})], [2, 2]);
    await write();
    assert.equal(await connectAndCount({ certificate }), 3);
  });

  it('names the file that is no good', async (t) => {
    const { port, caFile, path } = await serveTls(t);
    await refused(tcp(port, { caFile: join(path, 'none') }), 'invalid_argument', /there is no file .*none/);
    const junk = join(path, 'junk');
    await writeFile(junk, 'junk');
    await refused(tcp(port, { caFile: junk }), 'invalid_argument', /junk has nothing in PEM in it/);
    const long = join(path, 'long');
    await writeFile(long, `-----BEGIN CERTIFICATE-----\n${' '.repeat(1024 * 1024)}`);
    await refused(tcp(port, { caFile: long }), 'invalid_argument', /long is longer than 1024 KiB\nkeep in it only the certificates that are needed$/);
    const [one, other] = [makeCertificate(), makeCertificate()];
    await writeFile(join(path, 'a.pem'), one.certificate);
    await writeFile(join(path, 'b.key'), other.key);
    const certificate = { certificateFile: join(path, 'a.pem'), keyFile: join(path, 'b.key') };
    await refused(tcp(port, { caFile, certificate }), 'invalid_argument', /the files for TLS do not fit together: .*\nlook at .*ca\.pem, .*a\.pem, .*b\.key$/);
  });
});
