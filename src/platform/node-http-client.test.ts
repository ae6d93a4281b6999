// Requests over real sockets, to servers that behave, and to servers that do not.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import type { RequestListener, Server } from 'node:http';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { byteSourceOf, collect } from '../base/byte-source.ts';
import { CacheError } from '../base/cache-error.ts';
import type { HttpReply, HttpRequest } from '../base/http-client.ts';
import type { ListenAddress } from '../base/listen-address.ts';
import { NodeHttpClient } from './node-http-client.ts';
import type { NodeHttpClientLimits } from './node-http-client.ts';

const limits: NodeHttpClientLimits = { connectionsMax: 4, silenceTimeoutMs: 5_000, continueTimeoutMs: 2_000 };
const get: HttpRequest = { method: 'GET', target: '/x', headers: {} };
const put = (bytes: AsyncIterable<Uint8Array>, sizeBytes: number, expectContinue = false): HttpRequest => ({ method: 'PUT', target: '/x', headers: {}, body: { sizeBytes, bytes, expectContinue } });

function clientOf(t: TestContext, server: ListenAddress, changed: Partial<NodeHttpClientLimits> = {}): NodeHttpClient {
  const client = new NodeHttpClient(server, { ...limits, ...changed });
  t.after(() => client[Symbol.asyncDispose]());
  return client;
}

interface Served {
  readonly address: ListenAddress;
  readonly server: Server;
  /** Connections accepted so far. */
  readonly accepted: () => number;
}

async function serve(t: TestContext, listener: RequestListener): Promise<Served> {
  const server = createHttpServer(listener);
  let accepted = 0;
  server.on('connection', () => (accepted += 1));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return { address: { kind: 'tcp', host: '127.0.0.1', port: (server.address() as AddressInfo).port }, server, accepted: () => accepted };
}

/** A server that says what it likes. */
async function serveRaw(t: TestContext, onConnection: (socket: Socket) => void): Promise<ListenAddress> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    t.after(() => socket.destroy());
    onConnection(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return { kind: 'tcp', host: '127.0.0.1', port: (server.address() as AddressInfo).port };
}

async function textOf(reply: HttpReply): Promise<string> {
  await using owned = reply;
  return Buffer.from(await collect(owned.body, 1_000_000)).toString();
}

/** Says whether it was taken and whether it was told that nobody reads on. */
function watchedSource(chunks: number) {
  const state = { pulled: 0, ended: false };
  const bytes = (async function* () {
    try {
      for (; state.pulled < chunks; ) {
        state.pulled += 1;
        yield Buffer.alloc(64 * 1024);
      }
    } finally {
      state.ended = true;
    }
  })();
  return { state, bytes };
}

describe('NodeHttpClient', () => {
  it('keeps its connections, whether a body was read, disposed at its end, or there was none', async (t) => {
    const { address, accepted } = await serve(t, (request, response) => {
      request.resume();
      response.setHeader('content-length', 6);
      response.end('answer');
    });
    const client = clientOf(t, address);
    for (let round = 0; round < 3; round += 1) {
      assert.equal(await textOf(await client.send(get)), 'answer');
      await (await client.send({ ...get, method: 'HEAD' }))[Symbol.asyncDispose]();
      assert.equal(await textOf(await client.send(put(byteSourceOf(Buffer.alloc(100_000)), 100_000))), 'answer');
    }
    assert.equal(accepted(), 1);
  });

  it('gives up a connection with a body that nobody wants to read', async (t) => {
    const { address, accepted } = await serve(t, (_, response) => void response.end(Buffer.alloc(5_000_000)));
    const client = clientOf(t, address);
    const reply = await client.send(get);
    assert.equal(reply.contentLength, 5_000_000);
    await reply[Symbol.asyncDispose]();
    await (await client.send(get))[Symbol.asyncDispose]();
    assert.equal(accepted(), 2);
  });

  it('lets go of a body whose rest came when nobody read any more', { timeout: 5_000 }, async (t) => {
    const first = Promise.withResolvers<void>();
    const { address } = await serve(t, (_, response) => {
      response.writeHead(200, { 'content-length': 2_000 }).write(Buffer.alloc(1_000));
      void first.promise.then(() => response.end(Buffer.alloc(1_000)));
    });
    const reply = await clientOf(t, address).send(get);
    const { value } = await reply.body[Symbol.asyncIterator]().next();
    assert.equal((value as Uint8Array).byteLength, 1_000);
    first.resolve();
    // No event tells that the rest has come; a slower machine tries less here, and still nothing wrong.
    const { promise, resolve } = Promise.withResolvers<void>();
    setTimeout(resolve, 100);
    await promise;
    await reply[Symbol.asyncDispose]();
  });

  it('talks over unix sockets', async (t) => {
    const directory = await mkdtemp(join(tmpdir(), 'kiln-client-'));
    t.after(() => rm(directory, { recursive: true }));
    const path = join(directory, 's');
    const server = createHttpServer((request, response) => void response.end(request.headers.host));
    server.listen(path);
    await once(server, 'listening');
    t.after(() => server.close());
    const client = clientOf(t, { kind: 'unix', path });
    assert.equal(client.serverName, `unix:${path}`);
    assert.equal(await textOf(await client.send(get)), 'localhost');
    await client[Symbol.asyncDispose]();
  });

  it('leaves a body alone while there is nobody to send it to', async (t) => {
    const { address, server } = await serve(t, () => {});
    server.close();
    await once(server, 'close');
    const { state, bytes } = watchedSource(3);
    await assert.rejects(clientOf(t, address).send(put(bytes, 3 * 64 * 1024)), { code: 'unavailable', message: /^cannot connect to 127\.0\.0\.1:\d+ \(ECONNREFUSED\)$/ });
    assert.deepEqual(state, { pulled: 0, ended: false });
  });

  it('CT-5: does not send what a server refuses that was asked for its consent', async (t) => {
    const { address, server } = await serve(t, () => {});
    server.on('checkContinue', (_, response) => void response.writeHead(403).end('no'));
    const { state, bytes } = watchedSource(100);
    const reply = await clientOf(t, address).send(put(bytes, 100 * 64 * 1024, true));
    assert.deepEqual([reply.status, await textOf(reply), state], [403, 'no', { pulled: 0, ended: false }]);
  });

  it('sends the body to a server that never gives its consent', async (t) => {
    const { address, server } = await serve(t, () => {});
    server.on('checkContinue', (request, response) => {
      let length = 0;
      request.on('data', (chunk: Buffer) => (length += chunk.byteLength)).on('end', () => response.end(String(length)));
    });
    const { bytes } = watchedSource(2);
    const reply = await clientOf(t, address, { continueTimeoutMs: 20 }).send(put(bytes, 2 * 64 * 1024, true));
    assert.equal(await textOf(reply), String(2 * 64 * 1024));
  });

  it('stops sending when the answer comes before the end of the body, and does not use the connection again', async (t) => {
    const { address, accepted } = await serve(t, (_, response) => void response.writeHead(507).end('full'));
    const client = clientOf(t, address);
    const { state, bytes } = watchedSource(10_000);
    const reply = await client.send(put(bytes, 10_000 * 64 * 1024));
    assert.deepEqual([reply.status, await textOf(reply)], [507, 'full']);
    assert.ok(state.ended && state.pulled < 10_000, `${state.pulled} pieces were taken`);
    await textOf(await client.send(get));
    assert.equal(accepted(), 2);
  });

  it('does not wait for a source that gives nothing: not when it is cancelled, nor when the server answers or goes', async (t) => {
    const { address } = await serve(t, (request, response) => {
      request.once('data', () => {
        if (request.headers['x-end'] === 'answer') response.writeHead(507).end('full');
        if (request.headers['x-end'] === 'go') request.socket.destroy();
        if (request.headers['x-end'] === 'cancel') abort.abort();
      });
    });
    const abort = new AbortController();
    const client = clientOf(t, address);
    const stuck = async function* (): AsyncGenerator<Uint8Array> {
      yield Buffer.alloc(1_000);
      await new Promise(() => {});
    };
    const send = (end: string): Promise<HttpReply> => client.send({ ...put(stuck(), 2_000), headers: { 'x-end': end } }, { signal: abort.signal });
    assert.equal(await textOf(await send('answer')), 'full');
    await assert.rejects(send('go'), { code: 'unavailable' });
    await assert.rejects(send('cancel'), { code: 'cancelled' });
  });

  it('breaks off when the source fails, with its failure', async (t) => {
    const ended = Promise.withResolvers<boolean>();
    const { address } = await serve(t, (request) => {
      request.on('error', () => {}).on('close', () => ended.resolve(request.complete)).resume();
    });
    const failure = new CacheError('data_loss', 'the source is broken');
    const source = (async function* () {
      yield Buffer.alloc(1_000);
      throw failure;
    })();
    await assert.rejects(clientOf(t, address).send(put(source, 2_000)), failure);
    assert.equal(await ended.promise, false, 'the server must not take what it got for all');
  });

  for (const [what, onConnection] of [
    ['never answers', () => {}],
    ['stops in the middle of a body', (socket: Socket) => void socket.once('data', () => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf'))],
  ] as const) {
    it(`gives up a server that ${what}`, async (t) => {
      const client = clientOf(t, await serveRaw(t, onConnection), { silenceTimeoutMs: 50 });
      await assert.rejects(async () => textOf(await client.send(get)), { code: 'deadline_exceeded', message: /let nothing be heard for 50 ms/ });
    });
  }

  it('gives up a server that takes no more of a body', async (t) => {
    const client = clientOf(t, await serveRaw(t, (socket) => void socket.pause()), { silenceTimeoutMs: 100 });
    const { state, bytes } = watchedSource(100_000);
    await assert.rejects(client.send(put(bytes, 100_000 * 64 * 1024)), { code: 'deadline_exceeded' });
    assert.ok(state.ended);
  });

  it('does not take a large piece that is on its way for silence', async (t) => {
    const timings: NodeJS.Timeout[] = [];
    t.after(() => timings.forEach(clearInterval));
    // Some hundred kilobytes at a time, far slower than it is sent.
    const address = await serveRaw(t, (socket) => {
      let taken = 0;
      socket.on('data', (bytes: Buffer) => {
        taken += bytes.byteLength;
        if (taken > 24_000_000) socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
        else socket.pause();
      });
      timings.push(setInterval(() => socket.resume(), 4));
    });
    const bytes = Buffer.alloc(24_000_000);
    const startedAtMs = performance.now();
    const reply = await clientOf(t, address, { silenceTimeoutMs: 1_000 }).send(put(byteSourceOf(bytes), bytes.byteLength));
    assert.equal(reply.status, 200);
    assert.ok(performance.now() - startedAtMs > 1_000, 'or nothing is proven');
  });

  it('does not take a slow reader for a silent server', async (t) => {
    const { address } = await serve(t, (_, response) => void response.end(Buffer.alloc(20_000_000)));
    const reply = await clientOf(t, address, { silenceTimeoutMs: 700 }).send(get);
    const chunks = reply.body[Symbol.asyncIterator]();
    await chunks.next();
    const { promise, resolve } = Promise.withResolvers<void>();
    setTimeout(resolve, 900);
    await promise;
    let length = 0;
    for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) length += next.value.byteLength;
    assert.ok(length > 15_000_000);
  });

  it('tells a broken connection from a whole answer', async (t) => {
    const cut = await serveRaw(t, (socket) => void socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf')));
    await assert.rejects(async () => textOf(await clientOf(t, cut).send(get)), { code: 'unavailable', message: /^lost the connection to/ });
    const closed = await serveRaw(t, (socket) => void socket.once('data', () => socket.end()));
    await assert.rejects(clientOf(t, closed).send(get), { code: 'unavailable', message: /^lost the connection to/ });
    const garbage = await serveRaw(t, (socket) => void socket.once('data', () => socket.end('no such protocol\r\n\r\n')));
    await assert.rejects(clientOf(t, garbage).send(get), { code: 'unavailable' });
  });

  it('ends with the signal: before, while waiting, in the middle of both bodies', async (t) => {
    const { address } = await serve(t, (request, response) => {
      if (request.url === '/x') response.write('beginning');
    });
    const client = clientOf(t, address);
    await assert.rejects(client.send(get, { signal: AbortSignal.abort() }), { code: 'cancelled' });

    const waiting = new AbortController();
    const unanswered = client.send({ ...get, target: '/silent' }, { signal: waiting.signal });
    setImmediate(() => waiting.abort());
    await assert.rejects(unanswered, { code: 'cancelled' });

    const reading = new AbortController();
    const reply = await client.send(get, { signal: reading.signal });
    await assert.rejects(async () => {
      for await (const _ of reply.body) reading.abort();
    }, { code: 'cancelled' });

    const writing = new AbortController();
    const source = (async function* () {
      yield Buffer.alloc(1_000);
      writing.abort();
      yield Buffer.alloc(1_000);
    })();
    await assert.rejects(client.send({ ...put(source, 3_000), target: '/silent' }, { signal: writing.signal }), { code: 'cancelled' });
  });
});
