// Attackers that speak HTTP/1.1, against a real server: refused in its words, counted by their kind, in nobody's way.
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { attackedServer } from './attacked-server.ts';
import type { AttackedServer } from './attacked-server.ts';
import { closeOf } from './raw-http2.ts';
import { slowHttp1Reader, trickled } from './slow.ts';

const attackers = 20;

/** Short times, and little that counts as nothing. */
function impatient(t: TestContext): Promise<AttackedServer> {
  return attackedServer(t, '--limits-stall-timeout', '1s', '--limits-http1-header-timeout', '500ms', '--limits-http1-idle-timeout', '500ms');
}

async function refusals({ metric }: AttackedServer, reason: string): Promise<number> {
  return metric('kiln_http1_refusals_total', { reason });
}

function all<T>(attack: () => Promise<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: attackers }, attack));
}

/** One that is gone after the test at the latest. */
function reader(t: TestContext, port: number, request: string): void {
  const socket = slowHttp1Reader(port, request);
  t.after(() => socket.destroy());
}

describe('attackers over HTTP/1.1', () => {
  it('headers that trickle: 408', async (t) => {
    const server = await impatient(t);
    const answers = await server.endures(() => all(() => trickled(server.port, Buffer.from(`GET / HTTP/1.1\r\nhost: localhost\r\nx: ${'y'.repeat(1_000)}`))));
    for (const answer of answers) assert.match(answer, /^HTTP\/1\.1 408 /);
    assert.equal(await refusals(server, 'header_timeout'), attackers);
  });

  it('a body that trickles: closed', async (t) => {
    const server = await impatient(t);
    const hash = '0'.repeat(64);
    await server.endures(() => all(() => trickled(server.port, Buffer.alloc(10_000, 'y'), `PUT /cas/${hash} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100000\r\n\r\n`)));
    assert.equal(await refusals(server, 'stall'), attackers);
    assert.equal(await server.metric('kiln_store_open_writes'), 0);
  });

  it('an answer that is not taken: closed', async (t) => {
    const server = await impatient(t);
    const { hash } = await server.store(32 * 1024 * 1024);
    await server.endures(async () => {
      for (let index = 0; index < attackers; index += 1) reader(t, server.port, `GET /cas/${hash} HTTP/1.1\r\nhost: localhost\r\n\r\n`);
      await server.counted('kiln_http1_refusals_total', { reason: 'stall' }, attackers);
    });
    assert.equal(await server.metric('kiln_store_open_reads'), 0);
  });

  it('headers above the limit: 431', async (t) => {
    const server = await impatient(t);
    await server.endures(() =>
      all(async () => {
        const socket = connect({ port: server.port, host: '127.0.0.1' });
        socket.write(`GET / HTTP/1.1\r\nhost: localhost\r\nx: ${'y'.repeat(100_000)}\r\n\r\n`);
        socket.resume();
        await closeOf(socket);
      }),
    );
    assert.equal(await refusals(server, 'header_size'), attackers);
  });

  it('requests without end, ahead of their answers: closed', async (t) => {
    const server = await impatient(t);
    const { hash } = await server.store(8 * 1024 * 1024);
    await server.endures(async () => {
      for (let index = 0; index < attackers; index += 1) reader(t, server.port, `GET /cas/${hash} HTTP/1.1\r\nhost: localhost\r\n\r\n`.repeat(200));
      await server.counted('kiln_http1_refusals_total', { reason: 'pipelined' }, attackers);
    });
  });

  it('connections that are kept and not used: closed', async (t) => {
    const server = await impatient(t);
    await server.endures(() =>
      all(async () => {
        const socket = connect({ port: server.port, host: '127.0.0.1' });
        socket.resume();
        socket.write('GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n');
        await closeOf(socket);
      }),
    );
    assert.equal(await server.metric('kiln_connections_ended_total', { protocol: 'http1', reason: 'idle' }), attackers);
  });
});
