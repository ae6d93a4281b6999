// Against node:http2 (nghttp2) as client, over real sockets: what it sends we understand, what we send it accepts.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import * as http2 from 'node:http2';
import { describe, it } from 'node:test';
import { seededRandom } from '../testing/seeded-random.ts';
import type { SeededRandom } from '../testing/seeded-random.ts';
import { serveH2 } from '../testing/serve-h2.ts';
import type { Http2Limits } from './limits.ts';
import type { HeaderBlock, ServerStream, StreamAcceptor, StreamHandler, StreamReset } from './stream.ts';

/** Sends back what it got: headers as `echo-*`, the body while it comes, and the trailers. */
class Echo implements StreamHandler {
  readonly #stream: ServerStream;
  #unconsumed = 0;
  reset: StreamReset | undefined;

  constructor(stream: ServerStream, headers: HeaderBlock) {
    this.#stream = stream;
    const echoed: [string, string][] = [[':status', '200']];
    for (let index = 0; index < headers.fields.length; index += 2) {
      const name = headers.fields[index] ?? '';
      echoed.push([`echo-${name.replace(':', 'pseudo-')}`, headers.fields[index + 1] ?? '']);
    }
    stream.sendHeaders(echoed, false);
  }
  onData(bytes: Uint8Array): void {
    this.#stream.sendData([new Uint8Array(bytes)], false);
    this.#unconsumed += bytes.length;
    if (this.#stream.queuedBytes === 0) this.onDrained();
  }
  onDrained(): void {
    this.#stream.consumed(this.#unconsumed); // the client is slowed down to what it reads itself
    this.#unconsumed = 0;
  }
  onEnd(trailers: HeaderBlock | undefined): void {
    if (trailers === undefined) this.#stream.sendData([], true);
    else this.#stream.sendTrailers([['echo-trailer', trailers.fields.join(',')]]);
  }
  onReset(reset: StreamReset): void {
    this.reset = { code: reset.code, byPeer: reset.byPeer };
  }
}

const echo: StreamAcceptor = { onStream: (stream, headers) => new Echo(stream, headers) };

interface Answer {
  readonly headers: http2.IncomingHttpHeaders;
  readonly trailers: http2.IncomingHttpHeaders;
  readonly body: Buffer;
}

interface Request {
  readonly headers?: http2.OutgoingHttpHeaders;
  readonly body?: Uint8Array;
  readonly trailers?: http2.OutgoingHttpHeaders;
}

async function ask(client: http2.ClientHttp2Session, request: Request): Promise<Answer> {
  const stream = client.request({ ':method': 'POST', ':path': '/', ...request.headers }, { endStream: request.body === undefined, waitForTrailers: request.trailers !== undefined });
  stream.on('wantTrailers', () => stream.sendTrailers(request.trailers ?? {}));
  if (request.body !== undefined) stream.end(request.body);
  let headers: http2.IncomingHttpHeaders = {};
  let trailers: http2.IncomingHttpHeaders = {};
  stream.on('response', (got) => (headers = got));
  stream.on('trailers', (got) => (trailers = got));
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  await once(stream, 'close');
  assert.equal(stream.rstCode, 0);
  return { headers, trailers, body: Buffer.concat(chunks) };
}

async function withClient(options: { client?: http2.ClientSessionOptions; limits?: Partial<Http2Limits> }, run: (client: http2.ClientHttp2Session) => Promise<void>): Promise<void> {
  await using served = await serveH2(echo, options.limits);
  const client = http2.connect(served.url, options.client);
  try {
    await run(client);
  } finally {
    client.destroy();
  }
  assert.deepEqual(served.log.errors, []);
}

function randomValue(random: SeededRandom): string {
  return Array.from({ length: random.pick([1, 3, 20, 200]) }, () => String.fromCharCode(random.integer(0x21, 0x7e))).join('');
}

describe('node:http2 as client', () => {
  it('header blocks of its encoder are decoded, and ours by it, with a table that fills, evicts and is resized', async (t) => {
    const random = seededRandom(t);
    for (const headerTableSize of [0, 100, 4_096, 65_536]) {
      await withClient({ client: { settings: { headerTableSize } }, limits: { headerTableBytesMax: headerTableSize } }, async (client) => {
        const values = Array.from({ length: 40 }, () => randomValue(random));
        for (let round = 0; round < 60; round++) {
          const headers = Object.fromEntries(Array.from({ length: random.integer(1, 12) }, () => [`x-${random.integer(1, 30)}`, random.pick(values)]));
          const answer = await ask(client, { headers });
          for (const [name, value] of Object.entries(headers)) assert.equal(answer.headers[`echo-${name}`], value);
          assert.equal(answer.headers['echo-pseudo-method'], 'POST');
        }
      });
    }
  });

  it('bodies of all sizes come back, with windows and frames of many sizes, padded or not', async (t) => {
    const random = seededRandom(t);
    const shapes: readonly { client: http2.ClientSessionOptions; limits: Partial<Http2Limits> }[] = [
      { client: {}, limits: {} },
      { client: { paddingStrategy: http2.constants.PADDING_STRATEGY_MAX }, limits: {} },
      { client: { settings: { initialWindowSize: 1_000 } }, limits: { streamWindowBytes: 2_000, connectionWindowBytes: 65_535 } },
      { client: { settings: { initialWindowSize: 1_000_000, maxFrameSize: 100_000 } }, limits: { frameBytesMax: 60_000, outputBytesMax: 20_000 } },
      { client: { settings: { initialWindowSize: 1 } }, limits: { streamWindowBytes: 100 } },
    ];
    for (const [index, shape] of shapes.entries()) {
      await withClient(shape, async (client) => {
        const sizes = index === 4 ? [0, 1, 50, 300] : [0, 1, 72, 2_048, 2_049, 16_384, 16_385, 70_000, 1_000_000];
        for (const size of sizes) {
          const body = random.bytes(size);
          const answer = await ask(client, { body });
          assert.equal(Buffer.compare(answer.body, body), 0, `${size} bytes, shape ${index}`);
        }
      });
    }
  });

  it('many streams at once keep their bodies apart', async (t) => {
    const random = seededRandom(t);
    await withClient({ limits: { streamWindowBytes: 10_000, connectionWindowBytes: 65_535 } }, async (client) => {
      const bodies = Array.from({ length: 100 }, () => random.bytes(random.pick([0, 10, 5_000, 100_000])));
      const answers = await Promise.all(bodies.map((body) => ask(client, { body })));
      answers.forEach((answer, index) => assert.equal(Buffer.compare(answer.body, bodies[index] ?? Buffer.alloc(0)), 0));
    });
  });

  it('trailers go both ways', async () => {
    await withClient({}, async (client) => {
      const answer = await ask(client, { body: Buffer.from('x'), trailers: { 'x-checksum': 'abc' } });
      assert.equal(answer.trailers['echo-trailer'], 'x-checksum,abc');
    });
  });

  it('headers that need CONTINUATION go both ways', async () => {
    await withClient({ client: { maxHeaderListPairs: 2_000 }, limits: { headerListBytesMax: 200_000, headerBlockBytesMax: 200_000 } }, async (client) => {
      const value = '~'.repeat(60_000);
      const answer = await ask(client, { headers: { 'x-long': value } });
      assert.equal(answer.headers['echo-x-long'], value);
    });
  });

  it('resets by the client reach the handler, and the connection goes on', async () => {
    const handlers: Echo[] = [];
    await using served = await serveH2({
      onStream(stream, headers) {
        const handler = new Echo(stream, headers);
        handlers.push(handler);
        return handler;
      },
    });
    const client = http2.connect(served.url);
    for (let round = 0; round < 20; round++) {
      const stream = client.request({ ':method': 'POST' });
      stream.on('error', () => {});
      stream.write(Buffer.alloc(100_000));
      await once(stream, 'response');
      stream.close(http2.constants.NGHTTP2_CANCEL);
      await once(stream, 'close');
    }
    assert.equal((await ask(client, { body: Buffer.from('still here') })).body.toString(), 'still here');
    assert.deepEqual(handlers.slice(0, 20).map(({ reset }) => reset), Array.from({ length: 20 }, () => ({ code: 8, byPeer: true })));
    client.destroy();
  });

  it('streams above the limit are held back or refused, and all get through in the end', async () => {
    await withClient({ limits: { concurrentStreamsMax: 5 } }, async (client) => {
      await once(client, 'remoteSettings');
      const answers = await Promise.all(Array.from({ length: 50 }, (_, index) => ask(client, { body: Buffer.from(String(index)) })));
      assert.deepEqual(answers.map(({ body }) => Number(body.toString())), Array.from({ length: 50 }, (_, index) => index));
    });
  });

  it('settings may change in mid-flight', async (t) => {
    const random = seededRandom(t);
    await withClient({}, async (client) => {
      const body = random.bytes(500_000);
      const asked = Promise.all([ask(client, { body }), ask(client, { body })]);
      for (const initialWindowSize of [1_000, 200_000, 10, 65_535, 1_000_000]) {
        client.settings({ initialWindowSize, headerTableSize: initialWindowSize % 4_096 });
        await once(client, 'localSettings');
      }
      for (const answer of await asked) assert.equal(Buffer.compare(answer.body, body), 0);
      assert.equal((await ask(client, {})).headers[':status'], 200);
    });
  });

  it('pings are answered, and a drain lets the client finish', async () => {
    await using served = await serveH2(echo);
    const client = http2.connect(served.url);
    await once(client, 'connect');
    await new Promise<void>((resolve, reject) => {
      client.ping((error) => (error === null ? resolve() : reject(error)));
    });
    const stream = client.request({ ':method': 'POST' });
    await once(stream, 'response');
    const goaway = once(client, 'goaway');
    const [session] = served.sessions;
    assert.ok(session);
    const drained = session.drain();
    await goaway;
    stream.end('last words');
    stream.setEncoding('utf8');
    const [text] = (await once(stream, 'data')) as [string];
    assert.equal(text, 'last words');
    await drained;
    client.destroy();
  });
});
