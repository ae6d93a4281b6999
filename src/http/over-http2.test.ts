// The same routes over our HTTP/2 engine, with node:http2 as the client.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:http2';
import type { ClientHttp2Session, IncomingHttpHeaders } from 'node:http2';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { describe, it } from 'node:test';
import { httpAcceptor } from '../h2/http-acceptor.ts';
import { httpExchangeLimits } from '../h2/http-stream-exchange.ts';
import { http2Limits } from '../h2/limits.ts';
import { serveHttp2 } from '../h2/session.ts';
import { monotonicClock } from '../platform/clocks.ts';
import { nodeSocket } from '../platform/node-socket.ts';
import { Digest } from '../digest/digest.ts';
import { sha256 } from '../digest/digest-function.ts';
import { createTestHandler } from '../testing/serve-http.ts';
import { RecordedLog } from '../testing/recorded-log.ts';

interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** One connection to a fresh server; disposing ends both. */
async function open() {
  const log = new RecordedLog();
  const { handler } = createTestHandler({}, log);
  const acceptor = httpAcceptor(handler, httpExchangeLimits, { httpDate: () => 'Thu, 01 Jan 1970 00:00:00 GMT', log });
  const server = createServer((socket) => void serveHttp2(nodeSocket(socket), acceptor, http2Limits, { clock: monotonicClock, log }));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const session: ClientHttp2Session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  return {
    log,
    async fetch(method: string, path: string, body?: Uint8Array, headers: Record<string, string> = {}): Promise<Reply> {
      const stream = session.request({ ':method': method, ':path': path, ...headers }, { endStream: body === undefined });
      if (body !== undefined) stream.end(body);
      const [answer] = (await once(stream, 'response')) as [IncomingHttpHeaders];
      const chunks: Buffer[] = [];
      for await (const chunk of stream) chunks.push(chunk as Buffer);
      return { status: Number(answer[':status']), headers: answer, body: Buffer.concat(chunks) };
    },
    async [Symbol.asyncDispose]() {
      session.destroy();
      server.close();
      if (server.listening) await once(server, 'close');
    },
  };
}

const bytes = Buffer.alloc(300_000, 'some output');
const path = `/main/cas/${Digest.of(bytes).hash}`;

describe('the HTTP build cache over HTTP/2', () => {
  it('BZ-1, BZ-2, CT-6: PUT with and without a length, GET and HEAD', async () => {
    await using opened = await open();
    assert.equal((await opened.fetch('GET', path)).status, 404);
    assert.equal((await opened.fetch('PUT', path, bytes)).status, 200);
    assert.equal((await opened.fetch('PUT', path, bytes, { 'content-length': String(bytes.length) })).status, 200);
    const got = await opened.fetch('GET', path);
    assert.deepEqual([got.status, got.body.equals(bytes), got.headers['content-length']], [200, true, '300000']);
    const head = await opened.fetch('HEAD', path);
    assert.deepEqual([head.status, head.body.length, head.headers['content-length']], [200, 0, '300000']);
    assert.equal((await opened.fetch('PUT', `/cas/${sha256.emptyHash}`)).status, 200);
    assert.equal((await opened.fetch('GET', `/cas/${sha256.emptyHash}`)).status, 200);
    assert.deepEqual(opened.log.lines, []);
  });

  it('CT-1, CT-8, BZ-9: the same refusals', async () => {
    await using opened = await open();
    for (const [method, target, status] of [
      ['PUT', `/cas/${'a'.repeat(64)}`, 400],
      ['PUT', `/../cas/${'a'.repeat(64)}`, 400],
      ['PUT', `/${'a'.repeat(5000)}`, 414],
      ['POST', path, 405],
      ['PUT', '//nowhere', 404],
    ] as const) {
      const reply = await opened.fetch(method, target, bytes);
      assert.equal(reply.status, status, target);
      assert.match(String(reply.headers['content-type']), /^text\/plain/);
    }
    assert.equal((await opened.fetch('GET', '//status')).status, 200);
  });

  it('CC-2: opaque values', async () => {
    await using opened = await open();
    const value = Buffer.alloc(100_000, 0xcc);
    const key = `/cc/ac/${'ab'.repeat(32)}`;
    assert.equal((await opened.fetch('PUT', key, value)).status, 200);
    assert.ok((await opened.fetch('GET', key)).body.equals(value));
  });
});
