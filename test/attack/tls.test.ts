// Attackers of a server that speaks TLS: handshakes that are begun and not ended, and what TLS does not keep away.
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { clientPreface } from '../../src/h2/frames.ts';
import { makeServerCertificate } from '../../src/testing/certificates.ts';
import { parseExposition, sampleValue } from '../../src/testing/exposition-parser.ts';
import { frame } from '../../src/testing/http2-peer.ts';
import { serveKiln, temporaryDirectory } from '../../src/testing/kiln-process.ts';
import { RawHttp2, closeOf, type } from './raw-http2.ts';

interface TlsServer {
  readonly port: number;
  readonly authority: string;
  readonly metric: (name: string, labels: Readonly<Record<string, string>>) => Promise<number>;
}

async function tlsServer(t: TestContext, ...flags: readonly string[]): Promise<TlsServer> {
  const directory = await temporaryDirectory(t);
  const { authority, server } = makeServerCertificate();
  const [certificateFile, keyFile] = [join(directory, 'certificate.pem'), join(directory, 'key.pem')];
  await writeFile(certificateFile, server.certificate);
  await writeFile(keyFile, server.key, { mode: 0o600 });
  const kiln = await serveKiln(t, ['--listen', '127.0.0.1:0', '--data', join(directory, 'data'), '--tls-certificate', certificateFile, '--tls-key', keyFile, ...flags]);
  const metric: TlsServer['metric'] = async (name, labels) => sampleValue(parseExposition(await get(kiln.port, authority.certificate, '/metrics'), 'prometheus'), name, labels) ?? 0;
  return { port: kiln.port, authority: authority.certificate, metric };
}

/** Over HTTP/1.1 and TLS, as somebody else does. */
async function get(port: number, authority: string, path: string): Promise<string> {
  const socket = connectTls({ port, host: '127.0.0.1', servername: 'localhost', ca: authority, ALPNProtocols: ['http/1.1'] });
  await once(socket, 'secureConnect');
  socket.write(`GET ${path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n`);
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  await once(socket, 'end');
  const text = Buffer.concat(chunks).toString();
  assert.match(text, /^HTTP\/1\.1 200 /);
  return text.slice(text.indexOf('\r\n\r\n') + 4);
}

/** The beginning of a ClientHello: a record of 512 bytes of which five come. */
const halfHello = Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03]);

describe('attackers of TLS', () => {
  it('handshakes that are begun and not ended are given up, and others get theirs meanwhile', async (t) => {
    const { port, authority, metric } = await tlsServer(t, '--limits-tls-handshakes', '16', '--limits-tls-handshake-timeout', '5s');
    const attackers = Array.from({ length: 100 }, () => {
      const socket = connect({ port, host: '127.0.0.1' });
      socket.write(halfHello);
      socket.resume();
      return closeOf(socket);
    });
    for (let count = 0; count < 5; count += 1) assert.equal(await get(port, authority, '/livez'), 'ok\n');
    await Promise.all(attackers);
    const timedOut = await metric('kiln_tls_handshakes_total', { outcome: 'timeout' });
    const crowded = await metric('kiln_tls_handshakes_total', { outcome: 'crowded' });
    assert.equal(timedOut + crowded, attackers.length);
  });

  it('a connection without a single byte is closed in time', async (t) => {
    const { port } = await tlsServer(t, '--limits-first-bytes-timeout', '300ms');
    const socket = connect({ port, host: '127.0.0.1' });
    socket.resume();
    await closeOf(socket);
  });

  it('plaintext to a TLS address is refused in its own words', async (t) => {
    const { port, metric } = await tlsServer(t);
    const client = await RawHttp2.open(port);
    await client.closed;
    assert.ok((await metric('kiln_connections_refused_total', { kind: 'tcp', reason: 'plaintext' })) >= 1);
  });

  it('a flood inside of TLS is ended like one outside', async (t) => {
    const { port, authority, metric } = await tlsServer(t);
    const socket = connectTls({ port, host: '127.0.0.1', servername: 'localhost', ca: authority, ALPNProtocols: ['h2'] });
    await once(socket, 'secureConnect');
    socket.resume();
    socket.write(Buffer.concat([clientPreface, frame(type.settings, 0, 0), frame(type.settings, 1, 0)]));
    const flood = Buffer.concat(Array.from({ length: 2_000 }, () => frame(type.ping, 0, 0, new Uint8Array(8))));
    socket.write(flood);
    await closeOf(socket);
    assert.equal(await metric('kiln_http2_floods_total', { frames: 'PING' }), 1);
  });
});
