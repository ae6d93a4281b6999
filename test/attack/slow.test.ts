// Slow attackers against a real server whose times are short: each is ended in its way, counted, and troubles nobody.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { attackedServer } from './attacked-server.ts';
import { halfOpen, oneByteWindows, silentConnections, slowHeaders, slowPreface, slowReader, unfinished, withoutSettings } from './slow.ts';
import type { Taking, Unfinished } from './slow.ts';

const http2 = { protocol: 'http2' } as const;
const find = { service: 'build.bazel.remote.execution.v2.ContentAddressableStorage', method: 'FindMissingBlobs' } as const;
const upload = { service: 'google.bytestream.ByteStream', method: 'Write' } as const;

/** A server that stalls are ended by after about a second. */
function impatient(t: TestContext, ...flags: readonly string[]) {
  return attackedServer(t, '--limits-stall-timeout', '1s', '--limits-busy-stall-timeout', '1s', ...flags);
}

describe('slow attackers: connections', () => {
  it('a preface that trickles is cut off', async (t) => {
    const { port, endures, metric } = await attackedServer(t, '--limits-first-bytes-timeout', '300ms');
    const attackers = 20;
    await endures(() => Promise.all(Array.from({ length: attackers }, () => slowPreface(port))));
    assert.equal(await metric('kiln_connections_refused_total', { kind: 'tcp', reason: 'silent' }), attackers);
  });

  it('a preface without SETTINGS after it is answered by GOAWAY', async (t) => {
    const { port, endures, metric } = await attackedServer(t, '--limits-first-bytes-timeout', '300ms');
    await endures(async () => {
      const client = await withoutSettings(port);
      assert.deepEqual(await client.end(), { code: 'SETTINGS_TIMEOUT', text: 'no SETTINGS came in time' });
      await client.closed;
    });
    assert.equal(await metric('kiln_http2_faults_total', { code: 'SETTINGS_TIMEOUT' }), 1);
  });

  it('a header block that does not end is answered by GOAWAY', async (t) => {
    const { port, endures, metric } = await attackedServer(t, '--limits-first-bytes-timeout', '300ms');
    await endures(async () => {
      const client = await slowHeaders(port);
      const goaway = await client.end();
      assert.equal(goaway?.code, 'ENHANCE_YOUR_CALM');
      assert.match(goaway?.text ?? '', /header block/);
    });
    assert.equal(await metric('kiln_http2_faults_total', { code: 'ENHANCE_YOUR_CALM' }), 1);
  });

  it('silent connections are closed, and make room', async (t) => {
    const { port, endures, counted } = await attackedServer(t, '--limits-first-bytes-timeout', '500ms');
    const attackers = 500;
    await endures(async () => {
      await silentConnections(port, attackers);
      await counted('kiln_connections_refused_total', { kind: 'tcp', reason: 'silent' }, attackers);
    });
  });

  it('more connections than allowed are closed as they come, and those that are open live on', async (t) => {
    const { port, endures, metric, counted } = await attackedServer(t, '--limits-connections', '100');
    await endures(async (others) => {
      const sockets = await silentConnections(port, 300);
      for (const socket of sockets) socket.unref();
      await others.more(200);
      for (const socket of sockets) socket.destroy(); // or nobody could ask what was counted
      await counted('kiln_connections_refused_total', { kind: 'tcp', reason: 'too_many' }, 200);
    });
    assert.ok((await metric('kiln_connections_refused_total', { kind: 'tcp', reason: 'too_many' })) >= 200);
  });

  it('idle connections are ended politely, those in use are not', async (t) => {
    const { port, endures, metric } = await attackedServer(t, '--limits-http2-idle-timeout', '500ms');
    await endures(async () => {
      const clients = await Promise.all(Array.from({ length: 20 }, () => slowReader(port, { blob: { bytes: Buffer.alloc(0), hash: '' }, calls: 0, taking: 'nothing' })));
      for (const client of clients) {
        assert.deepEqual(await client.end(), { code: 'NO_ERROR', text: '' });
        await client.closed;
      }
    });
    assert.equal(await metric('kiln_connections_ended_total', { ...http2, reason: 'idle' }), 20);
  });

  it('half-open peers with calls are found by a PING', async (t) => {
    const { port, endures, metric } = await attackedServer(t, '--limits-http2-ping-interval', '1s', '--limits-http2-ping-timeout', '3s');
    await endures(async () => {
      const client = await halfOpen(port, 10);
      await client.closed;
      assert.equal(client.received.pings, 1);
    });
    assert.equal(await metric('kiln_connections_ended_total', { ...http2, reason: 'dead' }), 1);
  });
});

describe('slow attackers: answers', () => {
  const calls = 40;
  const cases: readonly (readonly [taking: Taking, what: string])[] = [
    ['nothing', 'a window of zero'],
    ['bytes', 'a byte now and then'],
    ['nothing_of_the_connection', 'a window of zero for the connection, which all calls share'],
  ];
  for (const [taking, what] of cases) {
    it(`${what}: the calls are reset, and what they held is free`, async (t) => {
      const server = await impatient(t);
      const blob = await server.store(8 * 1024 * 1024); // read piece by piece, as it is taken
      const client = await server.endures(async () => {
        const slow = await slowReader(server.port, { blob, calls, taking });
        await server.counted('kiln_http2_stalls_total', { side: 'answer' }, calls);
        return slow;
      });
      assert.ok(client.resetsOf('CANCEL') >= calls - 1, `${client.resetsOf('CANCEL')} resets`);
      assert.equal(await server.metric('kiln_store_open_reads'), 0);
      client.destroy();
    });
  }

  it('a socket that is not read from is closed', async (t) => {
    const server = await impatient(t);
    const blob = await server.store(8 * 1024 * 1024);
    await server.endures(async () => {
      const slow = await slowReader(server.port, { blob, calls: 10, taking: 'nothing_of_the_socket' });
      await server.counted('kiln_connections_ended_total', { ...http2, reason: 'stalled' }, 1);
      slow.destroy();
    });
    assert.equal(await server.metric('kiln_store_open_reads'), 0);
  });

  it('windows that open by one byte end the connection', async (t) => {
    const server = await attackedServer(t);
    const blob = await server.store(1024 * 1024);
    await server.endures(async () => {
      const client = await oneByteWindows(server.port, blob);
      const goaway = await client.end();
      assert.equal(goaway?.code, 'ENHANCE_YOUR_CALM');
      assert.match(goaway?.text ?? '', /a tiny window/);
      client.destroy();
    });
    assert.equal(await server.metric('kiln_http2_floods_total', { frames: 'a tiny window' }), 1);
  });
});

describe('slow attackers: requests that are opened and never finished', () => {
  const calls = 100;
  const cases: readonly (readonly [how: Unfinished, what: string])[] = [
    ['headers_only', 'headers and nothing after them'],
    ['half_a_message', 'a message that does not come to its end'],
    ['upload', 'an upload that stops'],
    ['upload_in_bytes', 'an upload of a byte now and then'],
  ];
  for (const [how, what] of cases) {
    it(`${what}: the calls end with DEADLINE_EXCEEDED, and what they held is free`, async (t) => {
      const server = await impatient(t);
      const client = await server.endures(async () => {
        const slow = await unfinished(server.port, calls, how);
        await server.counted('kiln_http2_stalls_total', { side: 'request' }, calls);
        await slow.until(({ headersFrames }) => headersFrames >= calls);
        return slow;
      });
      assert.equal(await server.metric('kiln_store_open_writes'), 0);
      const labels = how.startsWith('upload') ? upload : find;
      assert.equal(await server.metric('kiln_grpc_calls_total', { ...labels, code: 'DEADLINE_EXCEEDED' }), calls);
      assert.equal(await server.metric('kiln_grpc_calls_in_flight', labels), 0);
      client.destroy();
    });
  }

  it('those who hold all files that may be open are ended sooner while others wait', async (t) => {
    const server = await attackedServer(t, '--limits-stall-timeout', '1h', '--limits-busy-stall-timeout', '1s', '--limits-open-writes', '48');
    await server.endures(async () => {
      const hoarder = await unfinished(server.port, 48, 'upload_in_bytes');
      await server.counted('kiln_store_open_writes', {}, 48);
      await server.store(1_000, 6); // small blobs need no file
      assert.equal(await server.metric('kiln_http2_stalls_total', { side: 'request' }), 0);
      await server.store(200_000, 7); // waits, and gets its turn
      hoarder.destroy();
    });
    assert.ok((await server.metric('kiln_http2_stalls_total', { side: 'request' })) > 0);
  });
});
