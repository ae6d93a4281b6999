// Attackers of a server that speaks TLS: handshakes that are begun and not ended, and what TLS does not keep away.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { describe, it } from 'node:test';
import { clientPreface } from '../../src/h2/frames.ts';
import { fetchHttp } from '../../src/testing/http-client.ts';
import { frame } from '../../src/testing/http2-peer.ts';
import { attackedTlsServer } from './attacked-server.ts';
import { RawHttp2, closeOf, type } from './raw-http2.ts';
import { halfHandshakes } from './slow.ts';

describe('attackers of TLS', () => {
  it('handshakes that are begun and not ended are given up, and others get theirs meanwhile', async (t) => {
    const { port, authority, endures, metric } = await attackedTlsServer(t, '--limits-tls-handshakes', '16', '--limits-tls-handshake-timeout', '5s');
    const attackers = 100;
    await endures(async () => {
      const ends = halfHandshakes(port, attackers).map(closeOf);
      for (let count = 0; count < 5; count += 1) assert.equal((await fetchHttp(port, '/livez', { authority })).text, 'ok\n');
      await Promise.all(ends);
    });
    const timedOut = await metric('kiln_tls_handshakes_total', { outcome: 'timeout' });
    const crowded = await metric('kiln_tls_handshakes_total', { outcome: 'crowded' });
    assert.equal(timedOut + crowded, attackers);
  });

  it('connections without a single byte are closed in time', async (t) => {
    const { port, endures, metric } = await attackedTlsServer(t, '--limits-first-bytes-timeout', '300ms');
    const attackers = 20;
    await endures(() =>
      Promise.all(
        Array.from({ length: attackers }, () => {
          const socket = connect({ port, host: '127.0.0.1' });
          socket.resume();
          return closeOf(socket);
        }),
      ),
    );
    assert.equal(await metric('kiln_connections_refused_total', { kind: 'tcp', reason: 'silent' }), attackers);
  });

  it('plaintext to a TLS address is refused in its own words', async (t) => {
    const { port, endures, metric } = await attackedTlsServer(t);
    const attackers = 20;
    await endures(() =>
      Promise.all(
        Array.from({ length: attackers }, async () => {
          const client = await RawHttp2.open(port);
          assert.match((await client.end())?.text ?? '', /this port speaks TLS/);
          client.destroy();
          await client.closed;
        }),
      ),
    );
    assert.equal(await metric('kiln_connections_refused_total', { kind: 'tcp', reason: 'plaintext' }), attackers);
  });

  it('floods inside of TLS are ended like those outside', async (t) => {
    const { port, authority, endures, metric } = await attackedTlsServer(t);
    const connections = 5;
    await endures(async () => {
      for (let index = 0; index < connections; index += 1) {
        const socket = connectTls({ port, host: '127.0.0.1', servername: 'localhost', ca: authority, ALPNProtocols: ['h2'] });
        await once(socket, 'secureConnect');
        socket.resume();
        const pings = Array.from({ length: 2_000 }, () => frame(type.ping, 0, 0, new Uint8Array(8)));
        socket.write(Buffer.concat([clientPreface, frame(type.settings, 0, 0), frame(type.settings, 1, 0), ...pings]));
        await closeOf(socket);
      }
    });
    assert.equal(await metric('kiln_http2_floods_total', { frames: 'PING' }), connections);
  });
});
