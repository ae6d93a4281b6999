// HttpExchange over HTTP/2, with node:http2 as client.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import * as http2 from 'node:http2';
import { describe, it } from 'node:test';
import { collect } from '../base/byte-source.ts';
import type { ByteSource } from '../base/byte-source.ts';
import type { HttpExchange, HttpHandler } from '../base/http-exchange.ts';
import { serveH2 } from '../testing/serve-h2.ts';
import type { ServedH2 } from '../testing/serve-h2.ts';
import { httpAcceptor } from './http-acceptor.ts';
import { RecordedLog } from '../testing/recorded-log.ts';

interface Served extends AsyncDisposable {
  readonly h2: ServedH2;
  readonly client: http2.ClientHttp2Session;
  readonly log: RecordedLog;
}

async function serve(handler: HttpHandler, unreadBodyBytesMax = 100_000): Promise<Served> {
  const log = new RecordedLog();
  const h2 = await serveH2(httpAcceptor(handler, { unreadBodyBytesMax }, { httpDate: () => 'Sun, 06 Nov 1994 08:49:37 GMT', log }));
  const client = http2.connect(h2.url);
  return {
    h2,
    client,
    log,
    async [Symbol.asyncDispose]() {
      client.destroy();
      await h2[Symbol.asyncDispose]();
    },
  };
}

async function answerOf(stream: http2.ClientHttp2Stream): Promise<{ headers: http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader; body: Buffer; rstCode: number }> {
  let headers: http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader = {};
  stream.on('response', (got) => (headers = got));
  stream.on('error', () => {});
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  await new Promise((resolve) => stream.on('close', resolve));
  return { headers, body: Buffer.concat(chunks), rstCode: stream.rstCode ?? -1 };
}

/** A source of `sizeBytes` in pieces, that tells how much was pulled and whether it was disposed. */
class PulledSource implements ByteSource {
  readonly sizeBytes: number;
  pulledBytes = 0;
  readonly #disposed = Promise.withResolvers<void>();
  readonly #failAt: number;

  constructor(sizeBytes: number, failAt = Infinity) {
    this.sizeBytes = sizeBytes;
    this.#failAt = failAt;
  }
  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    while (this.pulledBytes < this.sizeBytes) {
      if (this.pulledBytes >= this.#failAt) throw new Error('the source broke');
      const chunk = new Uint8Array(Math.min(50_000, this.sizeBytes - this.pulledBytes));
      this.pulledBytes += chunk.length;
      yield chunk;
    }
  }
  get disposed(): Promise<void> {
    return this.#disposed.promise;
  }
  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed.resolve();
  }
}

describe('http acceptor', () => {
  it('gives method, target and joined headers, and sends status, headers, date and length', async () => {
    let seen: HttpExchange | undefined;
    await using served = await serve(async (exchange) => {
      seen = exchange;
      await exchange.respond(200, { 'Content-Type': 'text/plain', connection: 'close' }, Buffer.from('hello'));
    });
    const answer = await answerOf(served.client.request({ ':path': '/a%20b?c=d', 'x-list': ['1', '2'], cookie: ['a=1', 'b=2'] }));
    assert.equal(seen?.method, 'GET');
    assert.equal(seen.target, '/a%20b?c=d');
    assert.equal(seen.headers['x-list'], '1, 2');
    assert.equal(seen.headers['cookie'], 'a=1; b=2');
    assert.equal(seen.headers['host'], `127.0.0.1:${served.h2.port}`);
    assert.equal(seen.contentLength, undefined);
    assert.equal(answer.headers[':status'], 200);
    assert.equal(answer.headers['content-type'], 'text/plain');
    assert.equal(answer.headers['content-length'], '5');
    assert.equal(answer.headers['date'], 'Sun, 06 Nov 1994 08:49:37 GMT');
    assert.equal(answer.headers['connection'], undefined);
    assert.equal(answer.body.toString(), 'hello');
  });

  it('sends headers only for HEAD, 204 and 304', async () => {
    await using served = await serve((exchange) => exchange.respond(Number(exchange.target.slice(1)), {}, Buffer.from('body')));
    const head = await answerOf(served.client.request({ ':method': 'HEAD', ':path': '/200' }));
    assert.equal(head.headers['content-length'], '4');
    assert.equal(head.body.length, 0);
    const unchanged = await answerOf(served.client.request({ ':path': '/304' }));
    assert.equal(unchanged.headers['content-length'], '4');
    assert.equal(unchanged.body.length, 0);
    const nothing = await answerOf(served.client.request({ ':path': '/204' }));
    assert.equal(nothing.headers['content-length'], undefined);
    assert.equal(nothing.body.length, 0);
  });

  it('CT-6: streams bodies in, with and without a length, and slows the client down to the consumer', async () => {
    const gate = Promise.withResolvers<void>();
    let taken = 0;
    await using served = await serve(async (exchange) => {
      for await (const chunk of exchange.body()) {
        if (taken === 0) await gate.promise;
        taken += chunk.length;
      }
      await exchange.respond(200, {}, Buffer.from(`${exchange.contentLength} ${taken}`));
    });
    const stream = served.client.request({ ':method': 'PUT', 'content-length': 5_000_000 });
    const answer = answerOf(stream);
    stream.end(Buffer.alloc(5_000_000, 1));
    await new Promise((resolve) => setTimeout(resolve, 0));
    assert.equal(taken, 0);
    gate.resolve();
    assert.equal((await answer).body.toString(), '5000000 5000000');
    taken = 0;
    const unknown = served.client.request({ ':method': 'PUT' });
    unknown.end(Buffer.alloc(100_000));
    assert.equal((await answerOf(unknown)).body.toString(), 'undefined 100000');
  });

  it('pulls an answer no faster than the client takes it, and disposes the source', async () => {
    const source = new PulledSource(10_000_000);
    await using served = await serve((exchange) => exchange.respond(200, {}, source));
    const stream = served.client.request({ ':path': '/' });
    await once(stream, 'response');
    for (let pulled = -1; pulled !== source.pulledBytes; ) {
      pulled = source.pulledBytes;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.ok(source.pulledBytes < 1_000_000, `${source.pulledBytes} pulled while nobody reads`);
    assert.equal((await answerOf(stream)).body.length, 10_000_000);
    await source.disposed;
  });

  it('sends "100 Continue" when the body is taken, and not when the request is refused before (CT-5)', async () => {
    await using served = await serve(async (exchange) => {
      if (exchange.target === '/refused') return exchange.respond(413);
      const body = await collect(exchange.body(), 1_000);
      return exchange.respond(200, {}, body);
    });
    const accepted = served.client.request({ ':method': 'PUT', ':path': '/', expect: '100-continue' });
    const answer = answerOf(accepted);
    await once(accepted, 'continue');
    accepted.end('now');
    assert.equal((await answer).body.toString(), 'now');
    const refused = served.client.request({ ':method': 'PUT', ':path': '/refused', expect: '100-continue' });
    let continued = false;
    refused.on('continue', () => (continued = true));
    const refusal = await answerOf(refused);
    assert.equal(refusal.headers[':status'], 413);
    assert.equal(refusal.rstCode, 0);
    assert.equal(continued, false);
  });

  it('takes a bounded rest of a body nobody reads, so that the answer is seen, and then resets without an error', async () => {
    await using served = await serve((exchange) => exchange.respond(403, {}, Buffer.from('no')), 200_000);
    const small = served.client.request({ ':method': 'PUT' });
    small.end(Buffer.alloc(150_000));
    assert.equal((await answerOf(small)).headers[':status'], 403);
    const large = served.client.request({ ':method': 'PUT' });
    large.end(Buffer.alloc(5_000_000));
    const answer = await answerOf(large);
    assert.equal(answer.headers[':status'], 403);
    assert.equal(answer.body.toString(), 'no');
    assert.equal(answer.rstCode, 0);
    assert.equal((await answerOf(served.client.request({ ':path': '/' }))).headers[':status'], 403);
  });

  it('aborts the signal and the body when the client goes away', async () => {
    const failed = Promise.withResolvers<unknown>();
    const aborted = Promise.withResolvers<void>();
    const began = Promise.withResolvers<void>();
    await using served = await serve(async (exchange) => {
      exchange.signal.addEventListener('abort', () => aborted.resolve());
      try {
        for await (const _ of exchange.body()) began.resolve();
      } catch (thrown) {
        failed.resolve(thrown);
        throw thrown;
      }
    });
    const stream = served.client.request({ ':method': 'PUT' });
    stream.on('error', () => {});
    stream.write('part');
    await began.promise;
    stream.close(http2.constants.NGHTTP2_CANCEL);
    await aborted.promise;
    assert.equal(((await failed.promise) as { code?: unknown }).code, 'cancelled');
    assert.deepEqual(served.log.errors, []);
  });

  it('frees a sender that waits for a client that went away', async () => {
    const source = new PulledSource(10_000_000);
    const ended = Promise.withResolvers<void>();
    await using served = await serve(async (exchange) => {
      await exchange.respond(200, {}, source);
      ended.resolve();
    });
    const stream = served.client.request({ ':path': '/' });
    stream.on('error', () => {});
    await once(stream, 'response');
    stream.close(http2.constants.NGHTTP2_CANCEL);
    await ended.promise;
    await source.disposed;
  });

  it('K14-14: a source that breaks resets the stream, so that nobody takes the part for the whole', async () => {
    await using served = await serve((exchange) => exchange.respond(200, {}, new PulledSource(1_000_000, 100_000)));
    const answer = await answerOf(served.client.request({ ':path': '/' }));
    assert.equal(answer.rstCode, http2.constants.NGHTTP2_INTERNAL_ERROR);
    assert.equal(served.log.errors.length, 1);
  });

  it('answers 500 for a handler that throws or forgets to answer, and logs it', async () => {
    await using served = await serve(async (exchange) => {
      if (exchange.target === '/throws') throw new Error('a bug');
    });
    assert.equal((await answerOf(served.client.request({ ':path': '/throws' }))).headers[':status'], 500);
    assert.equal((await answerOf(served.client.request({ ':path': '/forgets' }))).headers[':status'], 500);
    assert.equal(served.log.errors.length, 2);
  });

  it('refuses CONNECT', async () => {
    await using served = await serve((exchange) => exchange.respond(200));
    const answer = await answerOf(served.client.request({ ':method': 'CONNECT', ':authority': 'example.com:443' }));
    assert.equal(answer.headers[':status'], 501);
  });
});
