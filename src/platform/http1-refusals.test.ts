// What HTTP/1.1 refuses by itself, over real sockets: the words, what becomes of the connection, and that it is counted.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { collect } from '../base/byte-source.ts';
import type { HttpExchange } from '../base/http-exchange.ts';
import { sendRaw, untilClosed } from '../testing/http-client.ts';
import { serveHandler } from '../testing/serve-http.ts';
import { http1Limits } from './node-http.ts';

async function echo(exchange: HttpExchange): Promise<void> {
  const body = await collect(exchange.body(), 1_000_000);
  await exchange.respond(200, { 'x-headers': String(Object.keys(exchange.headers).length) }, body);
}

/** Sends `head`, then a byte every 10 ms until the server closes; gives what it sent back. */
async function trickle(t: TestContext, port: number, head: string): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1' });
  t.after(() => socket.destroy());
  let received = '';
  socket.on('data', (chunk: Buffer) => (received += chunk.toString()));
  socket.write(head);
  const more = setInterval(() => socket.write('x'), 10);
  t.after(() => clearInterval(more));
  await untilClosed(socket); // a reset is an end as good as any
  return received;
}

describe('RFC 9112 §3.2: Host', () => {
  it('is there once: none or two are refused with 400, whatever they say and however they are written', async () => {
    await using served = await serveHandler(echo);
    for (const headers of ['', 'host: a\r\nHost: b\r\n', 'Host: a\r\nx: y\r\nHOST: a\r\n']) {
      const text = await sendRaw(served.port, `GET / HTTP/1.1\r\n${headers}connection: close\r\n\r\n`);
      assert.match(text, /^HTTP\/1\.1 400 [^]*Host header/, headers);
    }
    assert.deepEqual(served.refusals, ['host', 'host', 'host']);
  });

  it('may be missing from a request of HTTP/1.0, but is not there twice', async () => {
    await using served = await serveHandler(echo);
    assert.match(await sendRaw(served.port, 'GET / HTTP/1.0\r\n\r\n'), /^HTTP\/1\.1 200 /);
    assert.match(await sendRaw(served.port, 'GET / HTTP/1.0\r\nhost: a\r\nhost: b\r\n\r\n'), /^HTTP\/1\.1 400 /);
  });

  it('is found behind more headers than node:http keeps by default', async () => {
    await using served = await serveHandler(echo);
    const many = Array.from({ length: 3_000 }, (_, index) => `h${index}:1\r\n`).join('');
    assert.match(await sendRaw(served.port, `GET / HTTP/1.1\r\nhost: a\r\n${many}host: b\r\n\r\n`), /^HTTP\/1\.1 400 /);
    assert.match(await sendRaw(served.port, `GET / HTTP/1.1\r\nhost: a\r\n${many}connection: close\r\n\r\n`), /x-headers: 3002\r\n/);
  });
});

describe('refusals of HTTP/1.1', () => {
  const cases: readonly (readonly [reason: string, sent: string, status: string])[] = [
    ['malformed', 'GET / HTTP/1.1\r\nbad header\r\n\r\n', '400'],
    ['malformed', 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nx', '400'],
    ['malformed', 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n', '400'],
    ['header_size', `GET / HTTP/1.1\r\nhost: a\r\nx: ${'y'.repeat(40_000)}\r\n\r\n`, '431'],
    ['expectation', 'GET / HTTP/1.1\r\nhost: a\r\nexpect: miracles\r\nconnection: close\r\n\r\n', '417'],
    ['proxy', 'CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n', '501'],
  ];
  for (const [reason, sent, status] of cases) {
    it(`are counted: ${reason} (${status})`, async () => {
      await using served = await serveHandler(echo);
      assert.equal((await sendRaw(served.port, sent)).slice(0, 12), `HTTP/1.1 ${status}`);
      assert.deepEqual(served.refusals, [reason]);
    });
  }

  it('come to what is no HTTP at all, and are counted apart', async () => {
    await using served = await serveHandler(echo);
    await sendRaw(served.port, 'HELO there\r\n\r\n');
    assert.deepEqual(served.refusals, ['foreign']);
  });

  it('come to headers that trickle, however steadily', async (t) => {
    await using served = await serveHandler(echo, { headersTimeoutMs: 100 });
    assert.match(await trickle(t, served.port, 'GET / HTTP/1.1\r\nhost: a\r\nx: '), /^HTTP\/1\.1 408 /);
    assert.deepEqual(served.refusals, ['header_timeout']);
  });

  it('come to a body that trickles, however steadily', async (t) => {
    await using served = await serveHandler(echo, { stallTimeoutMs: 100, stallBytesMin: 100 });
    assert.equal(await trickle(t, served.port, 'PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n'), '');
    assert.deepEqual(served.refusals, ['stall']);
  });

  it('come sooner while others wait for what the call holds', async (t) => {
    await using served = await serveHandler(echo, { stallTimeoutMs: 600_000, busyStallTimeoutMs: 100 }, undefined, () => true);
    assert.equal(await trickle(t, served.port, 'PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n'), '');
    assert.deepEqual(served.refusals, ['stall']);
  });

  it('do not come to a body that is slow but goes on', async (t) => {
    await using served = await serveHandler(echo, { stallTimeoutMs: 100, stallBytesMin: 2 });
    const socket = connect({ port: served.port, host: '127.0.0.1' });
    t.after(() => socket.destroy());
    socket.write('PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 40\r\nconnection: close\r\n\r\n');
    for (let sent = 0; sent < 40; sent += 1) {
      await new Promise((resolve) => setTimeout(resolve, 10)); // four times the limit is what is tested
      socket.write('x');
    }
    const [answer] = (await once(socket, 'data')) as [Buffer];
    assert.match(answer.toString(), /^HTTP\/1\.1 200 /);
    assert.deepEqual(served.refusals, []);
  });

  it('come by the limits of the moment: those of before, and after a change its own', async (t) => {
    await using served = await serveHandler(echo);
    const headers = `GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx: ${'y'.repeat(5_000)}\r\n\r\n`;
    assert.match(await sendRaw(served.port, headers), /^HTTP\/1\.1 200 /);
    const stalled = connect({ port: served.port, host: '127.0.0.1' });
    t.after(() => stalled.destroy());
    stalled.write('PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\nx');
    const ended = untilClosed(stalled.resume());
    while (served.server.exchangeCount === 0) await new Promise(setImmediate);
    served.server.limit({ ...http1Limits, headerBytesMax: 4_096, headersTimeoutMs: 50, keepAliveTimeoutMs: 50, pipelinedRequestsMax: 1, stallTimeoutMs: 100, busyStallTimeoutMs: 100 });
    assert.match(await sendRaw(served.port, headers), /^HTTP\/1\.1 431 /);
    assert.match(await sendRaw(served.port, 'GET / HT', { keepOpen: true }), /^HTTP\/1\.1 408 /);
    assert.match(await sendRaw(served.port, 'GET / HTTP/1.1\r\nhost: a\r\n\r\n', { keepOpen: true }), /^HTTP\/1\.1 200 /);
    await ended; // it was there before, and is watched by what holds now
    assert.deepEqual(served.refusals.toSorted(), ['header_size', 'header_timeout', 'idle', 'stall']);
  });

  it('end a connection that is not used, which is told apart from refusals', async () => {
    await using served = await serveHandler(echo, { keepAliveTimeoutMs: 50 });
    const text = await sendRaw(served.port, 'GET / HTTP/1.1\r\nhost: a\r\n\r\n', { keepOpen: true });
    assert.match(text, /^HTTP\/1\.1 200 /);
    assert.deepEqual(served.refusals, ['idle']);
  });
});
