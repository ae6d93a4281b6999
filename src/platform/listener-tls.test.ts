// TLS on real connections: what is negotiated, who is let in, what a reload changes, and what becomes of those that do
// not speak it.
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { connect as connectPlain, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { connect } from 'node:tls';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import { makeCertificate, makeServerCertificate } from '../testing/certificates.ts';
import { RecordedLog } from '../testing/recorded-log.ts';
import { credentialsOf } from './client-certificate.ts';
import type { HandshakeLimits } from './handshake-line.ts';
import { Listener } from './listener.ts';
import { TlsTerminator } from './tls-terminator.ts';
import type { TlsSettings } from './tls-terminator.ts';

const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const { authority, server } = makeServerCertificate();
const clients = makeCertificate({ authority: true, subject: [['CN', 'Authority of clients']] });
const ci = makeCertificate({ issuer: clients, subject: [['O', 'Example'], ['CN', 'ci']] });

/** The first flight of a client, as it came to somebody who does not answer. */
const clientHello = await recordedClientHello();

async function recordedClientHello(): Promise<Buffer> {
  const silent = createServer().listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const client = connect({ host: '127.0.0.1', port: (silent.address() as AddressInfo).port });
  client.on('error', () => {});
  const [socket] = (await once(silent, 'connection')) as [Socket];
  const [hello] = (await once(socket, 'data')) as [Buffer];
  client.destroy();
  socket.destroy();
  silent.close();
  return hello;
}

const settings: TlsSettings = { certificateChain: server.certificate, key: server.key, clientAuthorities: undefined, clientCertificates: 'off', minVersion: '1.2' };
const useTls = 'this port speaks TLS: use https:// for HTTP and grpcs:// for gRPC';
const withClients = (clientCertificates: TlsSettings['clientCertificates']): TlsSettings => ({ ...settings, clientAuthorities: clients.certificate, clientCertificates });

/** HTTP/2 echoes what comes, beginning with the head; HTTP/1.1 answers with method, path and who is there. */
async function listen(t: TestContext, own: Partial<TlsSettings> = {}, limits: Partial<HandshakeLimits & { firstBytesTimeoutMs: number }> = {}) {
  const log = new RecordedLog();
  const terminator = new TlsTerminator({ ...settings, ...own }, { handshakesMax: 100, handshakeTimeoutMs: 20_000, ...limits }, log);
  const refusals = { http1: (text: string) => Buffer.from(`HTTP/1.1 400 ${text}`), http2: (text: string) => Buffer.from(`GOAWAY ${text}`) };
  const listener = await Listener.open({ kind: 'tcp', host: '127.0.0.1', port: 0 }, { connectionsMax: 100, firstBytesTimeoutMs: 20_000, ...limits }, log, { terminator, refusals });
  const port = listener.address.kind === 'tcp' ? listener.address.port : 0;
  const http = createHttpServer((request, response) => response.end(`${request.method} ${request.url} ${credentialsOf(request.socket).certificate?.subject ?? 'stranger'}`));
  listener.serve({
    http2(socket, head) {
      socket.on('error', () => {});
      socket.write(head);
      socket.pipe(socket, { end: false });
      socket.on('end', () => void setTimeout(() => socket.end(' and later'), 20));
    },
    other: (socket) => void http.emit('connection', socket),
  });
  const opened: Socket[] = [];
  t.after(async () => {
    for (const socket of opened) socket.destroy();
    http.closeAllConnections();
    await listener[Symbol.asyncDispose]();
  });
  const begin = (options: ConnectionOptions = {}): TLSSocket => {
    const socket = connect({ host: '127.0.0.1', port, ca: authority.certificate, servername: 'localhost', ...options });
    opened.push(socket);
    socket.on('error', () => {});
    return socket;
  };
  const open = async (options: ConnectionOptions = {}): Promise<TLSSocket> => {
    const socket = begin(options);
    await once(socket, 'secureConnect');
    return socket;
  };
  const openPlain = async (): Promise<Socket> => {
    const socket = connectPlain({ host: '127.0.0.1', port });
    opened.push(socket);
    socket.on('error', () => {});
    await once(socket, 'connect');
    return socket;
  };
  return { listener, terminator, log, begin, open, openPlain };
}

async function read(socket: Socket): Promise<string> {
  let text = '';
  socket.on('data', (chunk) => (text += String(chunk))).on('error', () => {});
  await closed(socket);
  return text;
}

async function closed(socket: Socket): Promise<void> {
  if (!socket.closed) await new Promise((resolve) => socket.once('close', resolve));
}

/** Closes the connection. */
async function sessionOf(socket: TLSSocket): Promise<Buffer> {
  const session = new Promise<Buffer>((resolve) => socket.once('session', resolve));
  const answer = get(socket); // in TLS 1.3 it comes with the first answer
  await answer;
  return session;
}

async function echo(socket: Socket, text: string): Promise<string> {
  const answered = once(socket, 'data');
  socket.write(text);
  return String((await answered)[0]);
}

async function get(socket: Socket): Promise<string> {
  socket.end('GET /a HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n');
  return (await read(socket)).split('\r\n\r\n')[1]?.split('\r\n').find((line) => line.startsWith('GET')) ?? '';
}

/** How the connection of a client ends that is not let in: by an error of its own, or by a close. */
async function failure(socket: TLSSocket): Promise<string> {
  let code = '';
  socket.on('error', (error: NodeJS.ErrnoException) => (code ||= error.code ?? ''));
  socket.resume();
  await closed(socket);
  return code;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

describe('TLS on a listener', () => {
  it('gives HTTP/2 to who offers it, HTTP/1.1 to who offers only that, and looks at the first bytes of who offers nothing', async (t) => {
    const { listener, terminator, open } = await listen(t);
    const both = await open({ ALPNProtocols: ['http/1.1', 'h2'] });
    assert.equal(both.alpnProtocol, 'h2');
    assert.equal(await echo(both, 'hello'), 'hello', 'nothing was read before');
    const old = await open({ ALPNProtocols: ['http/1.1'] });
    assert.equal(old.alpnProtocol, 'http/1.1');
    assert.equal(await get(old), 'GET /a stranger');
    assert.equal(await get(await open()), 'GET /a stranger');
    const prior = await open();
    prior.write(preface.subarray(0, 5));
    assert.equal(await echo(prior, String(preface.subarray(5))), String(preface));
    assert.deepEqual([terminator.counts.done, terminator.handshakes, listener.counts.accepted], [4, 0, 4]);
  });

  it('answers clients that have ended their side', async (t) => {
    const { open } = await listen(t);
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      const socket = await open({ maxVersion, ALPNProtocols: ['h2'] });
      socket.end('late');
      assert.equal(await read(socket), 'late and later');
    }
  });

  it('says what a client has meant that does not accept its certificate, for whoever reads the log', async (t) => {
    const { terminator, log, openPlain } = await listen(t);
    const alerts = [[48, 'the client does not know who signed our certificate'], [42, 'the client does not accept our certificate; does it have the name'], [45, 'for the client our certificate has expired']] as const;
    for (const [alert] of alerts) {
      const socket = await openPlain();
      socket.write(await recordedClientHello());
      await once(socket, 'data');
      socket.write(Buffer.from([0x15, 0x03, 0x03, 0x00, 0x02, 0x02, alert])); // a fatal alert (RFC 8446 §6)
      await closed(socket.resume());
    }
    assert.equal(terminator.counts.failed.rejected, 3, log.lines.join());
    const lines = log.lines.filter((line) => line.startsWith('info a TLS handshake failed'));
    assert.deepEqual(alerts.map(([, text], index) => lines[index]?.includes(`"fix":"${text}`)), [true, true, true], log.lines.join('\n'));
  });

  it('refuses who offers protocols of which none is spoken here', async (t) => {
    const { terminator, begin } = await listen(t);
    assert.equal(await failure(begin({ ALPNProtocols: ['smtp'] })), 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL');
    await until(() => terminator.counts.failed.unsupported === 1);
  });

  it('speaks TLS 1.2 and 1.3, or 1.3 alone, with forward secrecy and authenticated encryption only', async (t) => {
    const { terminator, log, open, begin } = await listen(t);
    assert.equal((await open()).getProtocol(), 'TLSv1.3');
    const second = await open({ maxVersion: 'TLSv1.2' });
    assert.equal(second.getProtocol(), 'TLSv1.2');
    assert.match(second.getCipher().standardName, /^TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256$/);
    for (const ciphers of ['AES128-GCM-SHA256', 'ECDHE-ECDSA-AES128-SHA256', 'DHE-RSA-AES128-GCM-SHA256']) {
      assert.match(await failure(begin({ maxVersion: 'TLSv1.2', ciphers })), /HANDSHAKE_FAILURE/);
    }
    assert.match(await failure(begin({ minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' })), /ALERT_PROTOCOL_VERSION/);
    for (const ecdhCurve of ['X448', 'P-521']) assert.match(await failure(begin({ ecdhCurve })), /HANDSHAKE_FAILURE/);
    for (const ecdhCurve of ['X25519MLKEM768', 'X25519', 'P-256', 'P-384']) assert.equal((await open({ ecdhCurve })).getProtocol(), 'TLSv1.3', ecdhCurve);
    await until(() => terminator.counts.failed.unsupported === 6);
    assert.ok(log.lines.some((line) => line.startsWith('info a TLS handshake failed') && line.includes('"reason":"unsupported protocol"')), log.lines.join('\n'));
    terminator.replace({ ...settings, minVersion: '1.3' });
    assert.match(await failure(begin({ maxVersion: 'TLSv1.2' })), /ALERT_PROTOCOL_VERSION/);
    assert.equal((await open()).getProtocol(), 'TLSv1.3');
  });

  it('does not let a client negotiate again on a connection', async (t) => {
    const { open } = await listen(t);
    const socket = await open({ maxVersion: 'TLSv1.2', ALPNProtocols: ['h2'] });
    socket.renegotiate({ rejectUnauthorized: true }, () => assert.fail('it did'));
    socket.write('a');
    assert.equal(await failure(socket), 'EPROTO');
  });

  it('K12-03: refuses wrong, expired and missing client certificates where they are required, and knows the others by their names', async (t) => {
    const { terminator, log, open, begin } = await listen(t, withClients('required'));
    const stranger = makeCertificate({ issuer: authority, subject: [['CN', 'ci']] });
    const expired = makeCertificate({ issuer: clients, subject: [['CN', 'ci']], notAfter: new Date(Date.now() - 1_000) });
    const early = makeCertificate({ issuer: clients, subject: [['CN', 'ci']], notBefore: new Date(Date.now() + 3_600_000) });
    const ended = makeCertificate({ authority: true, key: clients.key, subject: [['CN', 'Authority of clients']], notAfter: new Date(Date.now() - 1_000) });
    const refused = [
      [undefined, 'this server asks its clients for a certificate, and there is none'],
      [stranger, 'the client certificate is not accepted: its authority is not believed here'],
      [expired, 'the client certificate is not accepted: it has expired'],
      [early, 'the client certificate is not accepted: it is not valid yet'],
    ] as const;
    for (const [client, text] of refused) {
      for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
        const own = { maxVersion, cert: client?.certificate, key: client?.key };
        assert.ok((await read(begin({ ...own, ALPNProtocols: ['http/1.1'] }))).startsWith(`HTTP/1.1 400 ${text}`));
        assert.ok((await read(begin({ ...own, ALPNProtocols: ['h2'] }))).startsWith(`GOAWAY ${text}`));
      }
      assert.equal(log.lines.filter((line) => line.startsWith('info a TLS handshake failed') && line.includes(text)).length, 4);
    }
    assert.deepEqual([terminator.counts.failed.certificate, terminator.counts.done], [16, 0]);
    assert.equal(await get(await open({ cert: ci.certificate, key: ci.key, ALPNProtocols: ['http/1.1'] })), 'GET /a CN=ci,O=Example');
    terminator.replace({ ...withClients('required'), clientAuthorities: ended.certificate });
    assert.ok((await read(begin({ cert: ci.certificate, key: ci.key }))).startsWith('HTTP/1.1 400 the client certificate is not accepted: the certificate of its authority has expired'));
  });

  it('lets clients without a certificate in where one is optional, but none with a wrong one', async (t) => {
    const { terminator, open, begin } = await listen(t, withClients('optional'));
    assert.equal(await get(await open()), 'GET /a stranger');
    assert.equal(await get(await open({ cert: ci.certificate, key: ci.key })), 'GET /a CN=ci,O=Example');
    const stranger = makeCertificate({ issuer: authority });
    assert.match(await read(begin({ cert: stranger.certificate, key: stranger.key })), /^HTTP\/1\.1 400 the client certificate is not accepted/);
    assert.deepEqual([terminator.counts.failed.certificate, terminator.counts.done], [1, 2]);
  });

  it('believes no certificate that was not asked for', async (t) => {
    const { open } = await listen(t, { clientAuthorities: clients.certificate });
    assert.equal(await get(await open({ cert: ci.certificate, key: ci.key })), 'GET /a stranger');
  });

  it('resumes sessions, with the certificate that the client showed in the first one', async (t) => {
    const { begin, open } = await listen(t, withClients('required'));
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      const session = await sessionOf(begin({ maxVersion, cert: ci.certificate, key: ci.key }));
      const second = await open({ maxVersion, session, cert: ci.certificate, key: ci.key });
      assert.equal(second.isSessionReused(), true, maxVersion);
      assert.equal(await get(second), 'GET /a CN=ci,O=Example');
    }
  });

  it('lets nobody in by a resumed session who had no certificate, or whose certificate has expired since', async (t) => {
    const { begin } = await listen(t, withClients('required'));
    const untilMs = Math.ceil(Date.now() / 1_000 + 1) * 1_000;
    const brief = makeCertificate({ issuer: clients, subject: [['CN', 'ci']], notAfter: new Date(untilMs) });
    const cases = [
      [undefined, 'this server asks its clients for a certificate, and there is none'],
      [brief, 'the client certificate is not accepted: it has expired'],
    ] as const;
    const sessions = await Promise.all(cases.flatMap(([client, text]) => (['TLSv1.2', 'TLSv1.3'] as const).map(async (maxVersion) => {
      const own = { maxVersion, cert: client?.certificate, key: client?.key };
      return { own, text, session: await sessionOf(begin(own)) };
    })));
    await until(() => Date.now() > untilMs);
    for (const { own, text, session } of sessions) {
      const resumed = begin({ ...own, session });
      const isReused = once(resumed, 'secureConnect').then(() => resumed.isSessionReused());
      resumed.write('GET /a HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n');
      const answer = await read(resumed);
      assert.ok(answer.startsWith(`HTTP/1.1 400 ${text}`), `${own.maxVersion}, ${text}: ${answer}`);
      assert.equal(await isReused, true, own.maxVersion);
    }
  });

  it('K12-03: takes another certificate for new connections, and lets open ones go on', async (t) => {
    const { terminator, open, begin } = await listen(t);
    const before = await open({ ALPNProtocols: ['h2'] });
    const session = await sessionOf(begin());
    const renewed = makeServerCertificate();
    terminator.replace({ ...withClients('optional'), certificateChain: renewed.server.certificate, key: renewed.server.key });
    assert.equal(await echo(before, 'still here'), 'still here');
    assert.match(await failure(begin()), /CERT_SIGNATURE_FAILURE/, 'the old authority does not vouch for the new one');
    const after = await open({ ca: renewed.authority.certificate, cert: ci.certificate, key: ci.key, session });
    assert.equal(after.isSessionReused(), false, 'nobody resumes what was agreed upon before');
    assert.equal(after.getPeerX509Certificate()?.fingerprint256, new X509Certificate(renewed.server.certificate).fingerprint256);
    assert.equal(await get(after), 'GET /a CN=ci,O=Example');
    assert.equal(await echo(before, 'and still'), 'and still');
  });

  it('keeps what it has when it is given something else that cannot be used', async (t) => {
    const { terminator, open } = await listen(t);
    assert.throws(() => terminator.replace({ ...settings, key: makeCertificate().key }), { code: 'invalid_argument', message: /cannot be used for TLS \(.*\)\n/ });
    assert.equal(await get(await open()), 'GET /a stranger');
  });

  it('closes connections whose handshake takes too long, wherever it has stopped', async (t) => {
    const { listener, terminator, openPlain } = await listen(t, {}, { handshakeTimeoutMs: 150, firstBytesTimeoutMs: 100 });
    const silent = await openPlain();
    const begun = await openPlain();
    begun.write(Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01]));
    const hello = await openPlain();
    hello.write(clientHello);
    await Promise.all([silent, begun, hello].map(read));
    await until(() => listener.counts.open === 0);
    assert.equal(listener.counts.silent, 1);
    assert.deepEqual([terminator.counts.failed.timeout, terminator.handshakes], [2, 0]);
  });

  it('counts who hangs up in the middle of a handshake', async (t) => {
    const { listener, terminator, log, openPlain } = await listen(t);
    for (const [length, leave] of [[20, 'destroy'], [20, 'resetAndDestroy'], [clientHello.length, 'destroy'], [clientHello.length, 'resetAndDestroy']] as const) {
      const socket = await openPlain();
      socket.write(clientHello.subarray(0, length));
      await until(() => terminator.handshakes === 1);
      socket[leave]();
      await until(() => terminator.handshakes === 0);
    }
    await until(() => listener.counts.open === 0);
    assert.deepEqual(terminator.counts, { done: 0, failed: { timeout: 0, crowded: 0, client_left: 4, unsupported: 0, certificate: 0, rejected: 0, other: 0 } });
    assert.equal(log.lines.filter((line) => line.startsWith('debug a client left during the TLS handshake')).length, 4);
  });

  it('lets no more handshakes run at a time than it may, and those in line as soon as others end', async (t) => {
    const { terminator, open, openPlain } = await listen(t, {}, { handshakesMax: 2 });
    const slow = [await openPlain(), await openPlain()];
    for (const socket of slow) socket.write(clientHello.subarray(0, 20));
    await until(() => terminator.handshakes === 2);
    const waiting = open({ ALPNProtocols: ['h2'] });
    await until(() => terminator.handshakes === 3);
    slow[0]?.destroy();
    assert.equal(await echo(await waiting, 'in'), 'in');
    const crowd = await openPlain();
    crowd.write(clientHello.subarray(0, 20));
    const patient = open({ ALPNProtocols: ['h2'] });
    const closed = read(slow[1] ?? crowd); // the oldest makes room, long before its timeout
    assert.equal(await echo(await patient, 'in'), 'in');
    await closed;
    assert.equal(terminator.counts.failed.crowded, 1);
  });

  it('tells who speaks HTTP without TLS to use it, says nothing to others, and counts and logs them', async (t) => {
    const { listener, log, openPlain } = await listen(t);
    for (const [words, answer] of [['GET / HTTP/1.1\r\n\r\n', `HTTP/1.1 400 ${useTls}`], [String(preface), `GOAWAY ${useTls}`], ['\x00\x01\x02', '']] as const) {
      const socket = await openPlain();
      socket.write(words);
      assert.equal(await read(socket), answer);
    }
    assert.equal(listener.counts.plaintext, 3);
    assert.equal(log.lines.filter((line) => line.startsWith('info plaintext was sent to an address that speaks TLS; clients must use grpcs:// or https://')).length, 3);
  });

  it('lets nobody through whose bytes are no TLS after all', async (t) => {
    const { terminator, openPlain } = await listen(t);
    const socket = await openPlain();
    socket.write(Buffer.concat([Buffer.from([0x16, 0x03, 0x01, 0x00, 0x05]), Buffer.from('hello'), preface]));
    await read(socket);
    assert.deepEqual([terminator.counts.failed.other, terminator.handshakes], [1, 0]);
  });

  it('ends handshakes that are under way when it stops accepting', async (t) => {
    const { listener, openPlain } = await listen(t);
    const socket = await openPlain();
    socket.write(clientHello.subarray(0, 20));
    await until(() => listener.counts.accepted === 1);
    const ended = read(socket);
    listener.stopAccepting();
    await ended;
    await listener[Symbol.asyncDispose]();
  });
});

describe('a listener without TLS', () => {
  it('answers TLS with an alert, and counts and logs it', async (t) => {
    const log = new RecordedLog();
    const listener = await Listener.open({ kind: 'tcp', host: '127.0.0.1', port: 0 }, { connectionsMax: 10, firstBytesTimeoutMs: 20_000 }, log);
    t.after(() => listener[Symbol.asyncDispose]());
    listener.serve({ http2: () => assert.fail('no HTTP/2'), other: () => assert.fail('no HTTP/1.1') });
    assert.ok(listener.address.kind === 'tcp');
    const socket = connect({ host: '127.0.0.1', port: listener.address.port });
    assert.equal(await failure(socket), 'ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE');
    assert.equal(listener.counts.tls, 1);
    assert.match(log.lines.join('\n'), /^info TLS was spoken to an address without it; clients must use grpc:\/\/ or http:\/\/, or tls\.certificate be configured here \{"address":"127\.0\.0\.1:\d+","peer":"127\.0\.0\.1:\d+"\}$/);
  });
});
