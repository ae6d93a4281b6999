// How connections and channels end: what is left behind, and what people are told.
import assert from 'node:assert/strict';
import diagnosticsChannel from 'node:diagnostics_channel';
import { once } from 'node:events';
import * as http2 from 'node:http2';
import { createServer } from 'node:net';
import type * as net from 'node:net';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import type { CacheError } from '../base/cache-error.ts';
import { errorCode } from '../h2/error-code.ts';
import { insecureRefusal } from '../h2/preface-refusal.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { FakeSession, FakeSessions, turn } from '../testing/fake-grpc-session.ts';
import { grpcChannelTo } from '../testing/grpc-channel-to.ts';
import { TestService } from '../proto/gen/grpc/testing/test_pb.ts';
import type { OpenSession, SessionOptions } from './grpc-session.ts';

const { emptyCall } = TestService.method;
const fake = { address: { kind: 'tcp', host: 'fake', port: 1 } } as const;

/** Whether `promise` has settled once everything has run that waits for nothing but promises. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  const note = (): void => void (settled = true);
  promise.then(note, note);
  await turn();
  return settled;
}

/** A connection whose socket closes when the test says so. */
class LingeringSession extends FakeSession {
  readonly #socket = Promise.withResolvers<void>();

  override get closed(): Promise<void> {
    return this.#socket.promise;
  }

  closeSocket(): void {
    this.#socket.resolve();
  }
}

async function listen(t: TestContext, server: net.Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return (server.address() as net.AddressInfo).port;
}

describe('GrpcChannel: the end of a channel', () => {
  for (const end of ['drain', Symbol.asyncDispose] as const) {
    it(`closes a connection that comes too late, and waits for its socket (${String(end)})`, async () => {
      const made = Promise.withResolvers<LingeringSession>();
      let options: SessionOptions | undefined;
      const openSession: OpenSession = (given) => {
        options = given;
        return made.promise;
      };
      const clock = new ManualClock();
      const channel = grpcChannelTo(fake, { openSession }, { clock, timers: clock });
      const call = assert.rejects(channel.unary(emptyCall, {}), { code: 'cancelled' });
      const ended = channel[end]();
      await call;
      assert.equal(await isSettled(ended), false, 'somebody may be connecting yet');
      assert.ok(options?.signal.aborted);
      const late = new LingeringSession(options, 1); // heard of the end too late
      made.resolve(late);
      assert.equal(await isSettled(ended), false, 'its socket is open yet');
      assert.ok(late.ending !== undefined);
      late.closeSocket();
      await ended;
      assert.deepEqual([channel.state.connections, clock.pendingTimers], [0, 0]);
    });
  }

  it('waits for the socket of a connection that was lost before', async () => {
    const sessions: LingeringSession[] = [];
    const openSession: OpenSession = async (options) => {
      const session = new LingeringSession(options, 1);
      sessions.push(session);
      return session;
    };
    const clock = new ManualClock();
    const channel = grpcChannelTo(fake, { openSession, limits: { attemptsMax: 1 } }, { clock, timers: clock });
    const first = assert.rejects(channel.unary(emptyCall, {}), { code: 'unavailable' });
    await turn();
    sessions[0]?.break();
    await first;
    const second = assert.rejects(channel.unary(emptyCall, {}, { waitForReady: true }), { code: 'cancelled' }); // finds that the first is lost
    await turn();
    const ended = channel[Symbol.asyncDispose]();
    await second;
    for (const later of sessions.slice(1)) later.closeSocket();
    assert.equal(await isSettled(ended), false);
    sessions[0]?.closeSocket();
    await ended;
  });

  it('leaves no socket open, at whatever step of connecting it comes', async (t) => {
    const server = http2.createServer();
    server.on('sessionError', () => {});
    server.on('stream', (stream: http2.ServerHttp2Stream) => stream.on('error', () => {}));
    const port = await listen(t, server);
    const opened: net.Socket[] = [];
    const onOpened = (message: unknown): void => void opened.push((message as { readonly socket: net.Socket }).socket);
    diagnosticsChannel.subscribe('net.client.socket', onOpened);
    t.after(() => diagnosticsChannel.unsubscribe('net.client.socket', onOpened));
    for (let turns = 0; turns < 25; turns += 1) {
      const channel = grpcChannelTo(port);
      const call = assert.rejects(channel.unary(emptyCall, {}), { code: 'cancelled' });
      for (let count = 0; count < turns; count += 1) await turn();
      await channel[Symbol.asyncDispose]();
      assert.equal(opened.every(({ closed }) => closed), true, `after ${turns} turns`);
      await call;
    }
    assert.ok(opened.length >= 20);
  });
});

describe('GrpcChannel: a server that ends the connection', () => {
  async function failureWith(t: TestContext, onSession: (session: http2.ServerHttp2Session) => void, onStream: (stream: http2.ServerHttp2Stream, session: http2.ServerHttp2Session) => void): Promise<CacheError> {
    const server = http2.createServer();
    let last: http2.ServerHttp2Session | undefined;
    server.on('session', (session) => {
      t.after(() => session.destroy());
      last = session;
      onSession(session);
    });
    server.on('stream', (stream: http2.ServerHttp2Stream) => {
      stream.on('error', () => {});
      if (last !== undefined) onStream(stream, last);
    });
    const port = await listen(t, server);
    await using channel = grpcChannelTo(port, { limits: { attemptsMax: 1, reconnectDelayMs: 1 } });
    return await channel.unary(emptyCall, {}).then(
      () => assert.fail('the call went well'),
      (failure: CacheError) => failure,
    );
  }

  it('is quoted with its reason, also when that comes with a second GOAWAY, and not obeyed by a terminal', async (t) => {
    const { message } = await failureWith(t, () => {}, (_, session) => {
      session.goaway(http2.constants.NGHTTP2_NO_ERROR, 2 ** 31 - 1);
      session.goaway(http2.constants.NGHTTP2_ENHANCE_YOUR_CALM, 1, Buffer.from('you ask \u001b[31mtoo much'));
      setImmediate(() => session.destroy());
    });
    assert.match(message, /^lost the connection to 127\.0\.0\.1:\d+: .*; it said ENHANCE_YOUR_CALM \(you ask \\(?:x|u00)1b\[31mtoo much\)$/);
  });

  it('is quoted when it did not begin with the call', async (t) => {
    const sessions = new FakeSessions();
    const clock = new ManualClock();
    const call = grpcChannelTo(fake, { openSession: sessions.open, limits: { attemptsMax: 1 } }, { clock, timers: clock }).unary(emptyCall, {}, { waitForReady: true });
    const failed = assert.rejects(call, { code: 'unavailable', message: 'fake:1 did not begin with the call: it said NO_ERROR (max_age)' });
    for (let tries = 0; tries < 3; tries += 1) {
      const session = await sessions.accept();
      session.goAway(0, errorCode.noError, 'max_age');
      await turn();
      clock.advance(1_000);
    }
    await failed;
    const refused = await failureWith(t, () => {}, (stream) => stream.close(http2.constants.NGHTTP2_REFUSED_STREAM));
    assert.match(refused.message, /^127\.0\.0\.1:\d+ did not begin with the call: it refused it \(REFUSED_STREAM\)$/);
  });

  it('is quoted when that is the first thing it says', async (t) => {
    const { message } = await failureWith(t, (session) => {
      session.goaway(http2.constants.NGHTTP2_ENHANCE_YOUR_CALM, 0, Buffer.from('too many connections'));
      session.close();
    }, () => {});
    assert.match(message, /: .*it said ENHANCE_YOUR_CALM \(too many connections\)$/);
  });

  it('is believed when no wait mends it: also calls that wait for it fail at once', async (t) => {
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', () => socket.end(insecureRefusal('this port speaks TLS')));
    });
    const port = await listen(t, server);
    await using channel = grpcChannelTo(port);
    const failure = { code: 'failed_precondition', message: `cannot connect to 127.0.0.1:${port}: it ended the connection at once; it said INADEQUATE_SECURITY (this port speaks TLS)` };
    await assert.rejects(channel.unary(emptyCall, {}, { waitForReady: true, timeoutMs: 60_000 }), failure);
  });
});
