// HTTP/1.1 over real sockets: what node:http gives us and what it leaves to us.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { describe, it } from 'node:test';
import { byteSourceOf, collect } from '../base/byte-source.ts';
import type { ByteSource } from '../base/byte-source.ts';
import type { HttpExchange } from '../base/http-exchange.ts';
import { fetchHttp, sendRaw, untilClosed } from '../testing/http-client.ts';
import { serveHandler } from '../testing/serve-http.ts';

const bytesMax = 64 * 1024 * 1024;

async function echo(exchange: HttpExchange): Promise<void> {
  const body = await collect(exchange.body(), bytesMax);
  await exchange.respond(200, { 'x-length': String(exchange.contentLength), 'x-target': exchange.target }, body);
}

describe('HTTP/1.1 exchanges', () => {
  it('CT-2: answers with Content-Length and without naming its software', async () => {
    await using served = await serveHandler(echo);
    const reply = await fetchHttp(served.port, '/a%20b?c=d', { method: 'PUT', body: 'hello' });
    assert.equal(reply.status, 200);
    assert.equal(reply.text, 'hello');
    assert.equal(reply.headers['content-length'], '5');
    assert.equal(reply.headers['server'], undefined);
    assert.equal(reply.headers['x-target'], '/a%20b?c=d');
    assert.equal(reply.headers['x-length'], '5');
  });

  it('takes chunked bodies, whose length is not known, and no body, whose length is 0', async () => {
    await using served = await serveHandler(echo);
    const chunked = await fetchHttp(served.port, '/', { method: 'PUT', body: byteSourceOf(Buffer.from('chunks')) });
    assert.equal(chunked.text, 'chunks');
    assert.equal(chunked.headers['x-length'], 'undefined');
    const none = await sendRaw(served.port, 'PUT / HTTP/1.1\r\nhost: a\r\n\r\n');
    assert.match(none, /^HTTP\/1\.1 200 /);
    assert.match(none, /x-length: 0\r\n/);
  });

  it('answers HEAD with the length and without the body, and keeps the connection', async () => {
    await using served = await serveHandler((exchange) => exchange.respond(200, {}, Buffer.from('12345')));
    const twice = await sendRaw(served.port, 'HEAD / HTTP/1.1\r\nhost: a\r\n\r\nHEAD / HTTP/1.1\r\nhost: a\r\n\r\n');
    assert.equal(twice.match(/HTTP\/1\.1 200 OK/g)?.length, 2);
    assert.equal(twice.match(/content-length: 5/g)?.length, 2);
    assert.ok(!twice.includes('12345'));
  });

  it('reuses a connection for one exchange after the other', async () => {
    const ports = new Set<number | undefined>();
    await using served = await serveHandler(echo);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    for (let index = 0; index < 3; index += 1) {
      const sent = request({ port: served.port, host: '127.0.0.1', method: 'PUT', agent }).end('x');
      const [response] = (await once(sent, 'response')) as [IncomingMessage];
      ports.add(response.socket.localPort);
      response.resume();
      await once(response, 'close');
    }
    agent.destroy();
    assert.equal(ports.size, 1);
  });

  it('runs pipelined requests in their order, one at a time', async () => {
    const running: string[] = [];
    const gate = Promise.withResolvers<void>();
    await using served = await serveHandler(async (exchange) => {
      running.push(exchange.target);
      if (exchange.target === '/1') await gate.promise;
      await exchange.respond(200, {}, Buffer.from(`<${exchange.target}>`));
    });
    const answered = sendRaw(served.port, 'GET /1 HTTP/1.1\r\nhost: a\r\n\r\nGET /2 HTTP/1.1\r\nhost: a\r\n\r\n');
    await until(() => running.length > 0);
    assert.deepEqual(running, ['/1']);
    gate.resolve();
    const text = await answered;
    assert.ok(text.indexOf('</1>') < text.indexOf('</2>'), text);
  });

  it('closes a connection that pipelines without end, and reads no further', async () => {
    await using served = await serveHandler(() => new Promise<void>(() => {}), { pipelinedRequestsMax: 4 });
    const text = await sendRaw(served.port, 'GET / HTTP/1.1\r\nhost: a\r\n\r\n'.repeat(20), { keepOpen: true });
    assert.equal(text, '');
    assert.deepEqual(served.refusals, ['pipelined']);
  });

  it('serves bytes that were read before and given back', async () => {
    await using served = await serveHandler(echo);
    const { createServer } = await import('node:net');
    const sniffing = createServer({ allowHalfOpen: true }, (socket) => {
      socket.once('readable', () => {
        const bytes = socket.read() as Buffer;
        socket.unshift(bytes);
        served.server.adopt(socket);
      });
    });
    sniffing.listen(0, '127.0.0.1');
    await once(sniffing, 'listening');
    const { port } = sniffing.address() as { port: number };
    const reply = await fetchHttp(port, '/x', { method: 'PUT', body: Buffer.alloc(300_000, 7) });
    assert.equal(reply.body.byteLength, 300_000);
    sniffing.close();
  });
});

describe('CT-5: 100-continue', () => {
  it('asks for the body only when somebody takes it', async () => {
    await using served = await serveHandler(echo);
    const sent = request({ port: served.port, host: '127.0.0.1', method: 'PUT', headers: { expect: '100-continue', 'content-length': '3' } });
    sent.flushHeaders();
    await once(sent, 'continue');
    sent.end('abc');
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    assert.equal(response.statusCode, 200);
    response.resume();
  });

  it('refuses before the body, and closes because nobody knows whether it comes', async () => {
    await using served = await serveHandler((exchange) => exchange.respond(413, {}, Buffer.from('too large\n')));
    const text = await sendRaw(served.port, 'PUT / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 1000000000\r\n\r\n', { keepOpen: true });
    assert.match(text, /^HTTP\/1\.1 413 /);
    assert.match(text, /connection: close/i);
    assert.ok(!text.includes('100 Continue'));
  });

  it('closes after such a refusal however little was announced', async () => {
    await using served = await serveHandler((exchange) => exchange.respond(403, {}, Buffer.from('no\n')));
    const text = await sendRaw(served.port, 'PUT / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n', { keepOpen: true });
    assert.match(text, /^HTTP\/1\.1 403 [^]*connection: close/i);
  });

  it('refuses other expectations with 417', async () => {
    await using served = await serveHandler(echo);
    assert.match(await sendRaw(served.port, 'PUT / HTTP/1.1\r\nhost: a\r\nexpect: tea\r\ncontent-length: 1\r\n\r\nx'), /^HTTP\/1\.1 417 /);
  });
});

describe('bodies that nobody reads', () => {
  it('are read to their end when that is near, and the connection stays', async () => {
    await using served = await serveHandler((exchange) => exchange.respond(403, {}, Buffer.from('no\n')));
    const put = `PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n${'x'.repeat(100_000)}`;
    const text = await sendRaw(served.port, put + put);
    assert.equal(text.match(/HTTP\/1\.1 403/g)?.length, 2);
  });

  it('close the connection otherwise, but the client sees the answer first', async () => {
    await using served = await serveHandler((exchange) => exchange.respond(403, {}, Buffer.from('no\n')), { unreadBodyBytesMax: 100_000 });
    const socket = connect({ port: served.port, host: '127.0.0.1' });
    socket.on('error', () => {});
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.write('PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000000\r\n\r\n');
    await until(() => chunks.length > 0);
    assert.match(Buffer.concat(chunks).toString(), /^HTTP\/1\.1 403 [^]*connection: close[^]*no\n$/i);
    await new Promise((resolve) => {
      socket.once('close', resolve);
      const send = (): void => void (socket.writable && socket.write(Buffer.alloc(20_000), () => setImmediate(send)));
      send();
    });
  });

  it('do not hang on a consumer that left in the middle', async () => {
    await using served = await serveHandler(async (exchange) => {
      const body = exchange.body()[Symbol.asyncIterator]();
      await body.next();
      await exchange.respond(400, {}, Buffer.from('enough\n'));
    });
    const put = `PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 500000\r\n\r\n${'x'.repeat(500_000)}`;
    const text = await sendRaw(served.port, put + put);
    assert.equal(text.match(/HTTP\/1\.1 400/g)?.length, 2);
  });
});

describe('malformed requests', () => {
  const cases: readonly (readonly [string, string, RegExp])[] = [
    ['garbage', '\u0016\u0003\u0001\u0002\u0000\u0001garbage', /^HTTP\/1\.1 400 Bad Request\r\n[^]*this is not HTTP/],
    ['garbage with a version of HTTP', 'garbagePRI * HTTP/2.0\r\n\r\n', /^HTTP\/1\.1 400 Bad Request\r\n[^]*this is not HTTP/],
    ['a malformed request line', 'GET\r\n\r\n', /^HTTP\/1\.1 400 /],
    ['no Host header', 'GET / HTTP/1.1\r\n\r\n', /^HTTP\/1\.1 400 [^]*Host/],
    ['two lengths', 'PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx', /^HTTP\/1\.1 400 /],
    ['a length and chunks', 'PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n', /^HTTP\/1\.1 400 /],
    ['a length that is no number', 'PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n', /^HTTP\/1\.1 400 /],
    ['a malformed chunk', 'PUT / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n', /^HTTP\/1\.1 400 /],
    ['headers above the limit', `GET / HTTP/1.1\r\nhost: a\r\nx: ${'y'.repeat(40_000)}\r\n\r\n`, /^HTTP\/1\.1 431 [^]*32768 bytes/],
    ['an over-long URL', `GET /${'y'.repeat(40_000)} HTTP/1.1\r\nhost: a\r\n\r\n`, /^HTTP\/1\.1 431 [^]*URL/],
    ['a body shorter than declared', 'PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nabc', /^HTTP\/1\.1 400 [^]*ended before it was complete/],
    ['a tunnel', 'CONNECT a:80 HTTP/1.1\r\nhost: a\r\n\r\n', /^HTTP\/1\.1 501 [^]*no proxy/],
  ];
  for (const [name, bytes, expected] of cases) {
    it(`CT-8: ${name} gets a text that says so`, async () => {
      await using served = await serveHandler(echo);
      assert.match(await sendRaw(served.port, Buffer.from(bytes, 'latin1')), expected);
      assert.equal((await fetchHttp(served.port, '/', { method: 'PUT', body: 'fine' })).text, 'fine');
      assert.deepEqual(served.log.lines, []);
    });
  }

  it('RFC 9113 §3.4: a line of something else gets SETTINGS and GOAWAY(PROTOCOL_ERROR) with a text that says so', async () => {
    await using served = await serveHandler(echo);
    const answer = Buffer.from(await sendRaw(served.port, 'INVALID CONNECTION PREFACE\r\n\r\n'), 'latin1');
    assert.match(answer.toString('hex'), /^000000040000000000(?:0000..07)00000000000000000000000001/);
    assert.match(answer.toString('latin1'), /these bytes begin neither HTTP\/2/);
  });

  it('what follows a body longer than declared is refused after its answer', async () => {
    await using served = await serveHandler(echo);
    const text = await sendRaw(served.port, 'PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nabcdef\r\n\r\n');
    assert.match(text, /^HTTP\/1\.1 200 OK[^]*\r\n\r\nabHTTP\/1\.1 400 /);
  });

  it('late headers get 408', async () => {
    await using served = await serveHandler(echo, { headersTimeoutMs: 50 });
    assert.match(await sendRaw(served.port, 'GET / HT', { keepOpen: true }), /^HTTP\/1\.1 408 /);
  });
});

describe('clients that go away or stall', () => {
  it('abort the signal and the body', async () => {
    const seen = Promise.withResolvers<{ error: unknown; aborted: boolean }>();
    await using served = await serveHandler(async (exchange) => {
      const error: unknown = await collect(exchange.body(), bytesMax).then(() => undefined, (thrown: unknown) => thrown);
      seen.resolve({ error, aborted: exchange.signal.aborted });
    });
    const socket = connect({ port: served.port, host: '127.0.0.1' });
    socket.write('PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nabc');
    await once(socket, 'connect');
    socket.resetAndDestroy();
    const { error, aborted } = await seen.promise;
    assert.equal((error as { code: string }).code, 'cancelled');
    assert.equal(aborted, true);
  });

  it('in mid-answer dispose the body that was being sent', async () => {
    const disposed = Promise.withResolvers<void>();
    const endless: ByteSource = {
      sizeBytes: Number.MAX_SAFE_INTEGER,
      async *[Symbol.asyncIterator]() {
        for (;;) yield Buffer.alloc(65_536);
      },
      async [Symbol.asyncDispose]() {
        disposed.resolve();
      },
    };
    await using served = await serveHandler((exchange) => exchange.respond(200, {}, endless));
    const socket = connect({ port: served.port, host: '127.0.0.1' });
    socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    await once(socket, 'data');
    socket.destroy();
    await disposed.promise;
  });

  it('do not make a slow reader fill the memory', async () => {
    let produced = 0;
    const disposed = Promise.withResolvers<void>();
    const large: ByteSource = {
      sizeBytes: 1 << 30,
      async *[Symbol.asyncIterator]() {
        for (; produced < 1 << 30; produced += 65_536) yield Buffer.alloc(65_536);
      },
      async [Symbol.asyncDispose]() {
        disposed.resolve();
      },
    };
    await using served = await serveHandler((exchange) => exchange.respond(200, {}, large), { stallTimeoutMs: 100 });
    const socket = connect({ port: served.port, host: '127.0.0.1' });
    socket.on('error', () => {});
    socket.pause();
    socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    await disposed.promise; // the server has closed what was not read from
    socket.destroy();
    assert.ok(produced < 1 << 26, `${produced} bytes were produced for a client that reads nothing`);
  });

  it('count what they do not take of an answer that was in memory, and end it when they are cut off', async () => {
    const answered = Promise.withResolvers<void>();
    await using served = await serveHandler((exchange) => exchange.respond(200, {}, Buffer.alloc(32 * 1024 * 1024)).finally(() => answered.resolve()));
    const socket = connect({ port: served.port, host: '127.0.0.1' });
    socket.on('error', () => {});
    socket.pause();
    socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    while (served.server.evictStalled(() => false) === 0) await new Promise((resolve) => setImmediate(resolve)); // none that holds nothing
    await answered.promise;
    socket.destroy();
  });

  it('are cut off when an announced body does not come', async () => {
    await using served = await serveHandler(echo, { stallTimeoutMs: 50 });
    assert.equal(await sendRaw(served.port, 'PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nabc', { keepOpen: true }), '');
  });

  it('are answered after they ended their side', async () => {
    await using served = await serveHandler(async (exchange) => {
      await new Promise((resolve) => setTimeout(resolve, 50)); // the end of their side comes first
      await exchange.respond(200, {}, Buffer.from('late'));
    });
    assert.match(await sendRaw(served.port, 'GET / HTTP/1.1\r\nhost: a\r\n\r\n'), /^HTTP\/1\.1 200 [^]*late$/);
  });

  it('are not cut off while the server is the slow one', async () => {
    await using served = await serveHandler(
      async (exchange) => {
        await new Promise((resolve) => setTimeout(resolve, 200)); // four times the limit is what is tested
        await exchange.respond(200, {}, Buffer.from('slow'));
      },
      { stallTimeoutMs: 50 },
    );
    assert.equal((await fetchHttp(served.port, '/')).text, 'slow');
  });
});

describe('failures and the end', () => {
  it('a handler that throws is a bug: 500 without its text, and a line in the log', async () => {
    await using served = await serveHandler(() => Promise.reject(new Error('secret')));
    const reply = await fetchHttp(served.port, '/');
    assert.equal(reply.status, 500);
    assert.ok(!reply.text.includes('secret'));
    assert.match(served.log.lines.join(), /error an HTTP exchange failed: Error: secret/);
  });

  it('a body that breaks off breaks the answer, so that nobody takes it for whole', async () => {
    const broken: ByteSource = {
      sizeBytes: 10,
      async *[Symbol.asyncIterator]() {
        yield Buffer.from('abc');
        throw new Error('disk');
      },
      async [Symbol.asyncDispose]() {},
    };
    await using served = await serveHandler((exchange) => exchange.respond(200, {}, broken));
    await assert.rejects(fetchHttp(served.port, '/'), { code: 'ECONNRESET' });
  });

  it('drain closes idle connections and finishes running exchanges', async () => {
    const gate = Promise.withResolvers<void>();
    const started = Promise.withResolvers<void>();
    await using served = await serveHandler(async (exchange) => {
      started.resolve();
      await gate.promise;
      await exchange.respond(200, {}, Buffer.from('done'));
    });
    const idle = connect({ port: served.port, host: '127.0.0.1' });
    idle.on('error', () => {});
    await once(idle, 'connect');
    const running = fetchHttp(served.port, '/', { headers: { connection: 'keep-alive' } });
    await started.promise;
    const drained = served.server.drain();
    await untilClosed(idle);
    gate.resolve();
    const reply = await running;
    assert.equal(reply.text, 'done');
    assert.equal(reply.headers.connection, 'close');
    await drained;
    await served.server.drain(); // twice is fine
  });

  it('drain does not wait for a client that keeps its side open after the answer', async () => {
    const gate = Promise.withResolvers<void>();
    const pieces = (async function* () {
      yield Buffer.from('first');
      await gate.promise;
      yield Buffer.from('second');
    })();
    const body: ByteSource = Object.assign(pieces, { sizeBytes: 11 });
    await using served = await serveHandler((exchange) => exchange.respond(200, {}, body));
    const client = connect({ port: served.port, host: '127.0.0.1', allowHalfOpen: true });
    client.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n'); // what is kept alive, and told so before the drain begins
    let text = '';
    client.on('data', (chunk: Buffer) => (text += chunk.toString()));
    await once(client, 'data');
    const drained = served.server.drain();
    gate.resolve();
    await drained;
    assert.match(text, /firstsecond$/);
    client.destroy();
  });
});

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}
