// What of a large write has gone is known before all of it has.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { it } from 'node:test';
import tls from 'node:tls';
import { makeServerCertificate } from '../testing/certificates.ts';
import { sentBytes } from './sent-bytes.ts';

for (const over of ['TCP', 'TLS'] as const) {
  it(`counts a write over ${over} that the peer takes a part of, and all of it at the end`, async (t) => {
    const { key, certificate: cert } = makeServerCertificate().server;
    const server = over === 'TCP' ? net.createServer() : tls.createServer({ key, cert });
    server.listen(0, '127.0.0.1');
    t.after(() => server.close());
    await once(server, 'listening');
    const target = { port: (server.address() as net.AddressInfo).port, host: '127.0.0.1' };
    const reader = over === 'TCP' ? net.connect(target) : tls.connect({ ...target, rejectUnauthorized: false });
    t.after(() => reader.destroy());
    const [writer] = (await once(server, over === 'TCP' ? 'connection' : 'secureConnection')) as [net.Socket];
    t.after(() => writer.destroy());
    const handshakeBytes = sentBytes(writer);
    const sent = (): number => sentBytes(writer) - handshakeBytes;
    const total = 32 * 1024 * 1024;
    reader.pause();
    writer.write(Buffer.alloc(total));
    assert.ok(sent() < total, 'the buffers of the system are smaller');
    assert.equal(writer.writableLength, total, 'the stream knows of all or nothing');
    let received = 0;
    reader.on('data', (chunk: Buffer) => {
      received += chunk.byteLength;
      if (received > total / 2) reader.pause();
    });
    reader.resume();
    while (sent() < total / 2) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(writer.writableLength, total);
    reader.removeAllListeners('data').resume();
    await once(writer, 'drain');
    assert.ok(sent() >= total && sent() < 1.01 * total, 'records of TLS are a little longer');
  });
}
