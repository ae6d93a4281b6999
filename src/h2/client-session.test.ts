// The client's end over real sockets: against node:http2 as an independent server, and against the server of this house.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import net from 'node:net';
import { describe, it } from 'node:test';
import { unboundedByteBudget } from '../base/byte-budget.ts';
import type { Socket } from '../base/socket.ts';
import { monotonicClock } from '../platform/clocks.ts';
import { nodeSocket } from '../platform/node-socket.ts';
import { RecordedLog } from '../testing/recorded-log.ts';
import { serveH2 } from '../testing/serve-h2.ts';
import { connectHttp2 } from './client-session.ts';
import type { Http2Client } from './client-session.ts';
import { prepareHeaders } from './header-encoder.ts';
import { http2Limits } from './limits.ts';
import type { Http2Limits } from './limits.ts';
import type { ClientStream, HeaderBlock, OutgoingHeaders, ResponseHandler, ResponseReset } from './stream.ts';

const post: OutgoingHeaders = [[':method', 'POST'], [':scheme', 'http'], [':path', '/echo'], [':authority', 'here']];

/** One request whose answer is gathered. */
class Answer implements ResponseHandler {
  readonly #ended = Promise.withResolvers<this>();
  readonly chunks: Buffer[] = [];
  readonly information: string[] = [];
  head: HeaderBlock | undefined = undefined;
  trailers: HeaderBlock | undefined = undefined;
  reset: ResponseReset | undefined = undefined;
  stream: ClientStream | undefined = undefined;
  onDrain: (() => void) | undefined = undefined;

  get ended(): Promise<this> {
    return this.#ended.promise;
  }
  get body(): Buffer {
    return Buffer.concat(this.chunks);
  }
  onInformation(headers: HeaderBlock): void {
    this.information.push(headers.get(':status') ?? '');
  }
  onHeaders(headers: HeaderBlock): void {
    this.head = headers;
  }
  onData(bytes: Uint8Array): void {
    this.chunks.push(Buffer.from(bytes));
    this.stream?.consumed(bytes.length);
  }
  onEnd(trailers: HeaderBlock | undefined): void {
    this.trailers = trailers;
    this.#ended.resolve(this);
  }
  onReset(reset: ResponseReset): void {
    this.reset = reset;
    this.#ended.resolve(this);
  }
  onDrained(): void {
    this.onDrain?.();
  }
}

function ask(client: Http2Client, headers: OutgoingHeaders, endStream: boolean): Answer {
  const answer = new Answer();
  answer.stream = client.open(headers, endStream, answer);
  return answer;
}

async function connect(port: number, limits: Partial<Http2Limits> = {}, onChange?: () => void): Promise<{ client: Http2Client; socket: net.Socket; log: RecordedLog } & AsyncDisposable> {
  const log = new RecordedLog();
  const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  await once(socket, 'connect');
  const client = connectHttp2(nodeSocket(socket), { ...http2Limits, ...limits }, { clock: monotonicClock, log, budget: unboundedByteBudget(), onChange });
  return {
    client,
    socket,
    log,
    async [Symbol.asyncDispose]() {
      client.close();
      await client.closed;
    },
  };
}

type StreamListener = (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void;

/** node:http2 as server; `settings` are its own. */
async function nodeServer(onStream: StreamListener, settings: http2.Settings = {}): Promise<{ port: number; sessions: http2.ServerHttp2Session[] } & AsyncDisposable> {
  const server = http2.createServer({ settings });
  const sessions: http2.ServerHttp2Session[] = [];
  server.on('session', (session) => sessions.push(session));
  server.on('stream', onStream);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    sessions,
    async [Symbol.asyncDispose]() {
      for (const session of sessions) session.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Headers, the body as it came, and its length as a trailer. */
function echo(stream: http2.ServerHttp2Stream): void {
  let bytes = 0;
  stream.respond({ ':status': 200, 'x-server': 'node' }, { waitForTrailers: true });
  stream.on('data', (chunk: Buffer) => (bytes += chunk.length));
  stream.on('wantTrailers', () => stream.sendTrailers({ 'x-bytes': String(bytes) }));
  stream.pipe(stream);
}

describe('client session against node:http2', () => {
  it('sends and receives headers, a body of many windows and trailers', async () => {
    await using server = await nodeServer(echo, { initialWindowSize: 70_000, maxFrameSize: 20_000 });
    await using connected = await connect(server.port, { streamWindowBytes: 65_535, connectionWindowBytes: 65_535 });
    const body = Buffer.alloc(3_000_000, 'abcdefghijk');
    const answer = ask(connected.client, post, false);
    for (let at = 0; at < body.length; at += 100_000) answer.stream?.sendData([body.subarray(at, at + 100_000)], at + 100_000 >= body.length);
    await answer.ended;
    assert.equal(answer.head?.get('x-server'), 'node');
    assert.equal(answer.trailers?.get('x-bytes'), '3000000');
    assert.ok(answer.body.equals(body));
    assert.equal(connected.client.streamCount, 0);
  });

  it('keeps a hundred requests apart', async () => {
    await using server = await nodeServer(echo);
    await using connected = await connect(server.port);
    const answers = Array.from({ length: 100 }, (_, index) => {
      const answer = ask(connected.client, post, false);
      answer.stream?.sendData([Buffer.from(`request ${index}`)], true);
      return answer;
    });
    const bodies = await Promise.all(answers.map(async (answer) => (await answer.ended).body.toString()));
    assert.deepEqual(bodies, Array.from({ length: 100 }, (_, index) => `request ${index}`));
  });

  it('§5.1.2: never has more streams open than the server allows', async () => {
    let open = 0;
    let most = 0;
    await using server = await nodeServer((stream) => {
      most = Math.max(most, ++open);
      stream.on('close', () => open--);
      setImmediate(() => stream.respond({ ':status': 204 }, { endStream: true }));
    }, { maxConcurrentStreams: 3 });
    const changed = Promise.withResolvers<void>();
    const answers: Answer[] = [];
    const fill = (client: Http2Client): void => {
      while (answers.length < 30 && client.freeStreams > 0) answers.push(ask(client, post, true));
    };
    let client: Http2Client | undefined;
    await using connected = await connect(server.port, {}, () => {
      if (client !== undefined) fill(client);
      else changed.resolve();
    });
    await changed.promise; // its SETTINGS are here
    client = connected.client;
    fill(client);
    while (answers.length < 30) await answers.at(-1)?.ended;
    await Promise.all(answers.map(({ ended }) => ended));
    assert.ok(answers.every(({ head }) => head?.get(':status') === '204'));
    assert.ok(most <= 3 && most > 1, `${most}`);
  });

  it('§8.1: takes interim answers', async () => {
    await using server = await nodeServer((stream) => {
      stream.additionalHeaders({ ':status': 102 });
      stream.respond({ ':status': 200 }, { endStream: true });
    });
    await using connected = await connect(server.port);
    const answer = await ask(connected.client, post, true).ended;
    assert.deepEqual([answer.information, answer.head?.get(':status')], [['102'], '200']);
  });

  it('§6.4: is told of resets, and resets so that the server is told', async () => {
    const told = Promise.withResolvers<number | undefined>();
    await using server = await nodeServer((stream, headers) => {
      stream.on('error', () => {});
      if (headers[':path'] === '/refuse') stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
      else stream.on('close', () => told.resolve(stream.rstCode));
    });
    await using connected = await connect(server.port);
    const refused = await ask(connected.client, [...post.slice(0, 2), [':path', '/refuse'], [':authority', 'here']], true).ended;
    assert.deepEqual([refused.reset?.code, refused.reset?.byPeer, refused.reset?.unprocessed], [7, true, true]);
    const left = ask(connected.client, post, false);
    await connected.client.ping(); // the server has it
    left.stream?.reset(8);
    assert.equal(await told.promise, 8);
  });

  it('§6.8: ends after the last answer when the server says goodbye', async () => {
    const held: http2.ServerHttp2Stream[] = [];
    await using server = await nodeServer((stream) => held.push(stream));
    await using connected = await connect(server.port);
    const answer = ask(connected.client, post, true);
    await connected.client.ping();
    server.sessions[0]?.goaway(0, 1, Buffer.from('going'));
    await connected.client.ping();
    assert.deepEqual(connected.client.ending, { code: 0, byPeer: true, byGoaway: true, reason: 'going' });
    assert.equal(connected.client.freeStreams, 0);
    held[0]?.respond({ ':status': 200 }, { endStream: true });
    await answer.ended;
    server.sessions[0]?.close();
    await connected.client.closed;
    assert.equal(answer.head?.get(':status'), '200');
  });

  it('§6.7: measures a round trip', async () => {
    await using server = await nodeServer(echo);
    await using connected = await connect(server.port);
    const ms = await connected.client.ping();
    assert.ok(ms >= 0 && ms < 10_000, `${ms}`);
  });

  it('tells every request when the server is gone', async () => {
    await using server = await nodeServer(() => {});
    await using connected = await connect(server.port);
    const answers = [ask(connected.client, post, true), ask(connected.client, post, false)];
    await connected.client.ping();
    server.sessions[0]?.destroy();
    for (const answer of answers) assert.equal((await answer.ended).reset?.byPeer, true);
    await connected.client.closed;
    assert.equal(connected.client.freeStreams, 0);
    await assert.rejects(connected.client.ping(), { code: 'unavailable' });
  });
});

describe('client session against our server', () => {
  const ok = prepareHeaders([[':status', '200']]);

  it('drains both ends in two steps without losing an answer', async () => {
    const ends: (() => void)[] = [];
    await using server = await serveH2({
      onStream: (stream) => ({
        onData: () => {},
        onEnd: () => ends.push(() => {
          stream.sendHeaders(ok, false);
          stream.sendData([new Uint8Array(200_000)], true);
        }),
        onReset: () => {},
        onDrained: () => {},
      }),
    });
    await using connected = await connect(server.port, { streamWindowBytes: 65_535 });
    const answers = [ask(connected.client, post, true), ask(connected.client, post, true)];
    await connected.client.ping();
    const drained = server.sessions[0]?.drain();
    await connected.client.ping();
    assert.equal(connected.client.freeStreams, 0);
    for (const end of ends) end();
    for (const answer of answers) assert.equal((await answer.ended).body.length, 200_000);
    await Promise.all([drained, connected.client.closed]);
  });

  it('contains a handler that throws: its connection ends, and everybody is told', async () => {
    await using server = await serveH2({
      onStream: (stream) => ({ onData: () => {}, onEnd: () => stream.sendHeaders(ok, true), onReset: () => {}, onDrained: () => {} }),
    });
    await using connected = await connect(server.port);
    const other = ask(connected.client, post, false);
    const throwing = new Answer();
    throwing.onHeaders = () => {
      throw new Error('a bug in a handler');
    };
    connected.client.open(post, true, throwing);
    assert.equal((await other.ended).reset?.code, 2);
    await connected.client.closed;
    assert.match(connected.log.errors.map(({ cause }) => String(cause)).join(), /a bug in a handler/);
  });

  it('closes at once, with unsent requests given back', async () => {
    await using server = await serveH2({ onStream: () => ({ onData: () => {}, onEnd: () => {}, onReset: () => {}, onDrained: () => {} }) });
    await using connected = await connect(server.port);
    const sent = ask(connected.client, post, true);
    await connected.client.ping();
    const unsent = ask(connected.client, post, true);
    connected.client.close();
    assert.deepEqual([sent.reset?.unprocessed, unsent.reset?.unprocessed, unsent.reset?.byPeer], [false, true, false]);
    await connected.client.closed;
  });

  it('stops reading the request body when nobody takes it, and goes on when somebody does', async () => {
    let taken = 0;
    const streams: { consumed(bytes: number): void }[] = [];
    await using server = await serveH2({
      onStream: (stream) => {
        streams.push(stream);
        return { onData: (bytes) => (taken += bytes.length), onEnd: () => stream.sendHeaders(ok, true), onReset: () => {}, onDrained: () => {} };
      },
    }, { streamWindowBytes: 100_000 });
    await using connected = await connect(server.port);
    const answer = ask(connected.client, post, false);
    await connected.client.ping(); // its windows are known
    answer.stream?.sendData([new Uint8Array(400_000)], true);
    while (taken < 100_000) await connected.client.ping();
    await connected.client.ping();
    assert.equal(taken, 100_000);
    assert.equal(answer.stream?.queuedBytes, 300_000);
    const drained = new Promise<void>((resolve) => (answer.onDrain = resolve));
    let returned = 0;
    while (answer.head === undefined) {
      if (taken > returned) streams[0]?.consumed(taken - returned);
      returned = taken;
      await connected.client.ping();
    }
    await drained;
    assert.equal(taken, 400_000);
  });

  it('reads on however much it has to send, or two ends that send would wait for each other', () => {
    const calls: string[] = [];
    const socket: Socket = {
      peerName: 'takes nothing',
      queuedBytes: 2 * http2Limits.outputBytesMax,
      start: () => {},
      write: () => {},
      pause: () => calls.push('pause'),
      resume: () => {},
      end: () => {},
      destroy: () => {},
    };
    connectHttp2(socket, http2Limits, { clock: monotonicClock, log: new RecordedLog(), budget: unboundedByteBudget() });
    assert.deepEqual(calls, []);
  });
});
