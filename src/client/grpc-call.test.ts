// One call at each of its points: cancelled, out of time, tried again or not, and answers that break off or go on too long.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import * as http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { CacheError } from '../base/cache-error.ts';
import { errorCode } from '../h2/error-code.ts';
import { TestService } from '../proto/gen/grpc/testing/test_pb.ts';
import { FakeSessions, turn } from '../testing/fake-grpc-session.ts';
import type { FakeClientStream } from '../testing/fake-grpc-session.ts';
import { grpcChannelTo } from '../testing/grpc-channel-to.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { RecordedLog } from '../testing/recorded-log.ts';
import type { GrpcCallOptions, GrpcChannel } from './grpc-channel.ts';
import type { GrpcChannelLimits } from './grpc-limits.ts';

const { emptyCall, streamingOutputCall, streamingInputCall } = TestService.method;
const unavailable = { 'grpc-status': '14' };
const grpcHead = { ':status': '200', 'content-type': 'application/grpc' };
const emptyMessage = Uint8Array.of(0, 0, 0, 0, 0);

interface Bench {
  readonly channel: GrpcChannel;
  readonly sessions: FakeSessions;
  readonly clock: ManualClock;
  readonly stream: (index: number) => FakeClientStream;
}

/** One connection, on which two calls have room. */
function bench(limits: Partial<GrpcChannelLimits> = {}): Bench {
  const sessions = new FakeSessions();
  const clock = new ManualClock();
  const random = { bytes: () => Uint8Array.of(0xff, 0xff) };
  const options = { openSession: sessions.open, limits: { connectionsMax: 1, retryDelayMs: 100, ...limits } };
  const channel = grpcChannelTo({ address: { kind: 'tcp', host: 'fake', port: 1 } }, options, { clock, timers: clock, random });
  const stream = (index: number): FakeClientStream => sessions.made[0]?.streams[index] ?? assert.fail(`there is no stream ${index}`);
  return { channel, sessions, clock, stream };
}

/** The code that a call failed with, or `ok`; and whether it has come to an end at all. */
function watched(call: Promise<unknown>): { outcome: string | undefined } {
  const seen: { outcome: string | undefined } = { outcome: undefined };
  call.then(
    () => (seen.outcome = 'ok'),
    (failure: unknown) => (seen.outcome = failure instanceof CacheError ? failure.code : String(failure)),
  );
  return seen;
}

describe('GrpcCall: the end at each point', () => {
  /** Brings a call to the point, and gives the stream that is to be reset then. */
  const points: Readonly<Record<string, (on: Bench) => Promise<FakeClientStream | undefined>>> = {
    'while the first connection is made': async () => undefined,
    'while all streams are taken': async ({ channel, sessions }) => {
      // The two that came before it took them.
      await sessions.accept();
      assert.equal(channel.state.callsWaiting, 1);
      return undefined;
    },
    'while the server works on it': async ({ sessions, stream }) => {
      await sessions.accept();
      return stream(0);
    },
    'after the headers of the answer': async ({ sessions, stream }) => {
      await sessions.accept();
      stream(0).begin();
      return stream(0);
    },
    'after the message of the answer': async ({ sessions, stream }) => {
      await sessions.accept();
      stream(0).begin();
      stream(0).data(emptyMessage);
      return stream(0);
    },
    'before its next try': async ({ sessions, stream }) => {
      await sessions.accept();
      stream(0).refuse({ ...unavailable, 'grpc-retry-pushback-ms': '2000' });
      await turn();
      return undefined;
    },
    'in its next try': async ({ sessions, stream, clock }) => {
      await sessions.accept();
      stream(0).refuse(unavailable);
      await turn();
      clock.advance(100);
      await turn();
      return stream(1);
    },
    'while a connection is made after a failure': async ({ sessions, clock }) => {
      await sessions.refuse();
      clock.advance(200);
      await turn();
      return undefined;
    },
  };
  for (const [point, reach] of Object.entries(points)) {
    // Nobody rests past the deadline: such a call gives up at once.
    for (const end of point === 'before its next try' ? ['cancelled'] : ['cancelled', 'deadline_exceeded']) {
      it(`HT-8: ${end} ${point}: at once, and nothing is left of it`, async () => {
        const on = bench();
        const taken = point === 'while all streams are taken' ? [0, 1].map(() => on.channel.unary(emptyCall, {}).catch(() => {})) : [];
        const abort = new AbortController();
        const options: GrpcCallOptions = { waitForReady: true, ...(end === 'cancelled' ? { signal: abort.signal } : { timeoutMs: 3_000 }) };
        const call = watched(on.channel.unary(emptyCall, {}, options));
        const stream = await reach(on);
        const streams = on.sessions.made[0]?.streams.length ?? 0;
        assert.equal(call.outcome, undefined);
        if (end === 'cancelled') abort.abort();
        else on.clock.advance(3_000);
        await turn();
        assert.deepEqual([call.outcome, stream?.resetCode], [end, stream === undefined ? undefined : errorCode.cancel]);
        on.clock.advance(20_000);
        await turn();
        assert.deepEqual([on.sessions.made[0]?.streams.length ?? 0, on.channel.state.callsWaiting], [streams, 0]);
        await on.channel[Symbol.asyncDispose]();
        await Promise.all(taken);
        assert.equal(on.clock.pendingTimers, 0);
      });
    }
  }

  it('HT-8: cancelled while its source owes a request: the source is ended, and the server told', async () => {
    const on = bench();
    const abort = new AbortController();
    let ended = false;
    const source: AsyncIterable<object> = {
      [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}), return: async () => ((ended = true), { done: true, value: undefined }) }),
    };
    const call = watched(on.channel.clientStream(streamingInputCall, source, { signal: abort.signal }));
    await on.sessions.accept();
    abort.abort();
    await turn();
    assert.deepEqual([call.outcome, ended, on.stream(0).resetCode], ['cancelled', true, errorCode.cancel]);
  });
});

describe('GrpcCall: what is tried again', () => {
  it('an HTTP status that stands for UNAVAILABLE, as gRPC maps them, and no other', async () => {
    const mapped = { 400: 'internal', 401: 'unauthenticated', 403: 'permission_denied', 404: 'unimplemented', 429: undefined, 500: 'unavailable', 502: undefined, 503: undefined, 504: undefined } as const;
    for (const [status, code] of Object.entries(mapped)) {
      const on = bench();
      const call = watched(on.channel.unary(emptyCall, {}));
      await on.sessions.accept();
      on.stream(0).head({ ':status': status, 'content-type': 'text/html' });
      await turn();
      on.clock.advance(100);
      await turn();
      assert.deepEqual([call.outcome, on.sessions.made[0]?.streams.length], [code, code === undefined ? 2 : 1], status);
    }
  });

  it('nothing of which the server has begun with the answer, or the requests are gone, whatever the reason', async () => {
    const source = async function* () {
      yield { payload: { body: new Uint8Array(600) } };
      yield { payload: { body: new Uint8Array(600) } };
    };
    const ends: Readonly<Record<string, (stream: FakeClientStream) => void>> = {
      refused: (stream) => stream.lose(errorCode.refusedStream, true),
      unavailable: (stream) => stream.refuse(unavailable),
      'lost connection': (stream) => stream.lose(errorCode.cancel),
    };
    for (const [name, end] of Object.entries(ends)) {
      const gone = bench({ replayBytesMax: 1_000 });
      const upload = watched(gone.channel.clientStream(streamingInputCall, source()));
      await gone.sessions.accept();
      await turn();
      end(gone.stream(0));
      await turn();
      gone.clock.advance(10_000);
      await turn();
      assert.ok(upload.outcome !== undefined && upload.outcome !== 'ok', name);
      assert.equal(gone.sessions.made[0]?.streams.length, 1, name);

      const begun = bench();
      const call = watched(begun.channel.unary(emptyCall, {}));
      await begun.sessions.accept();
      begun.stream(0).begin();
      if (name === 'unavailable') begun.stream(0).end(unavailable);
      else end(begun.stream(0));
      await turn();
      begun.clock.advance(10_000);
      await turn();
      assert.ok(call.outcome !== undefined && call.outcome !== 'ok', name);
      assert.equal(begun.sessions.made[0]?.streams.length, 1, name);
    }
  });

  it('after waits anywhere between none and their whole, which doubles', async () => {
    for (const fraction of [0, 0.5]) {
      const sessions = new FakeSessions();
      const clock = new ManualClock();
      const random = { bytes: () => Uint8Array.of(fraction * 256, 0) };
      const channel = grpcChannelTo({ address: { kind: 'tcp', host: 'fake', port: 1 } }, { openSession: sessions.open, limits: { retryDelayMs: 100, attemptsMax: 4 } }, { clock, timers: clock, random });
      const call = watched(channel.unary(emptyCall, {}));
      const { streams } = await sessions.accept();
      for (const [tries, wholeMs] of [100, 200, 400].entries()) {
        streams[tries]?.refuse(unavailable);
        await turn();
        const waitMs = wholeMs * fraction;
        if (waitMs > 0) clock.advance(waitMs - 1);
        await turn();
        if (waitMs > 0) assert.equal(streams.length, tries + 1);
        clock.advance(waitMs > 0 ? 1 : 0);
        await turn();
        assert.equal(streams.length, tries + 2);
      }
      streams[3]?.answer();
      await turn();
      assert.equal(call.outcome, 'ok');
    }
  });
});

describe('GrpcCall: streams of answers that break the rules', () => {
  const cases: Readonly<Record<string, readonly [end: (stream: FakeClientStream) => void, failure: RegExp]>> = {
    'ends in the middle of a message': [(stream) => (stream.data(Uint8Array.of(0, 0, 0, 0, 9, 1)), stream.end({ 'grpc-status': '0' })), /ended in the middle of a message/],
    'has a message over the limit': [(stream) => stream.data(Uint8Array.of(0, 0, 0, 4, 0)), /1024 bytes, and the limit of this client is 1000/],
    'has a message with an unknown flag': [(stream) => stream.data(Uint8Array.of(9, 0, 0, 0, 0)), /unknown flag 9/],
    'has a compressed message and no encoding': [(stream) => stream.data(Uint8Array.of(1, 0, 0, 0, 1, 0)), /compressed message but its grpc-encoding is identity/],
    'ends without a status': [(stream) => stream.end(undefined), /ended without a grpc-status/],
    'has trailers without a status': [(stream) => stream.end({ 'x-more': '1' }), /ended without a grpc-status/],
    'is broken off': [(stream) => stream.lose(errorCode.internalError), /broke the call off \(INTERNAL_ERROR\)/],
  };
  for (const [name, [end, failure]] of Object.entries(cases)) {
    it(`one that ${name} fails behind what came before, and the stream is closed`, async () => {
      const on = bench({ messageBytesMax: 1_000 });
      const answers = on.channel.serverStream(streamingOutputCall, {});
      const first = answers.next();
      await on.sessions.accept();
      const stream = on.stream(0);
      stream.head(grpcHead);
      stream.data(emptyMessage);
      await first;
      end(stream);
      await assert.rejects(async () => answers.next(), failure);
      assert.deepEqual([stream.closed, on.channel.state.callsInProgress], [true, 0]);
    });
  }
});

describe('GrpcChannel: what a server may change while calls run', () => {
  type OnStream = (stream: http2.ServerHttp2Stream, session: http2.ServerHttp2Session) => void;

  async function serve(t: TestContext, settings: http2.Settings, onSession: (session: http2.ServerHttp2Session) => void, onStream: OnStream): Promise<number> {
    const server = http2.createServer({ settings });
    server.on('session', (session) => {
      t.after(() => session.destroy());
      onSession(session);
      session.on('stream', (stream: http2.ServerHttp2Stream) => {
        stream.on('error', () => {});
        onStream(stream, session);
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    return (server.address() as AddressInfo).port;
  }

  function answer(stream: http2.ServerHttp2Stream): void {
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.respond(grpcHead, { waitForTrailers: true });
    stream.end(emptyMessage);
  }

  it('§5.1.2: keeps within the streams of a server that lowers them, and uses those that it gives back', async (t) => {
    const held: http2.ServerHttp2Stream[] = [];
    let [limit, most, holds] = [8, 0, true];
    let session: http2.ServerHttp2Session | undefined;
    const port = await serve(t, { maxConcurrentStreams: 8 }, (made) => (session = made), (stream) => {
      held.push(stream);
      most = Math.max(most, held.length);
      if (!holds) setImmediate(() => held.splice(0, 1).forEach(answer));
    });
    await using channel = grpcChannelTo(port, { limits: { connectionsMax: 1 } });
    const calls = Array.from({ length: 40 }, () => channel.unary(emptyCall, {}));
    while (held.length < 8) await turn();
    const change = async (to: number): Promise<void> => {
      limit = to;
      await new Promise<void>((resolve) => session?.settings({ maxConcurrentStreams: to }, () => resolve())); // the client has acknowledged it
    };
    await change(2);
    holds = false;
    for (const stream of held.splice(0, 7)) answer(stream); // one more than the limit is open for a moment yet
    most = 0;
    while (channel.state.callsWaiting > 15) await turn();
    assert.ok(most <= limit, `${most} calls at a time`);
    holds = true;
    await change(6);
    while (held.length < 6) await turn();
    holds = false;
    for (const stream of held.splice(0)) answer(stream);
    await Promise.all(calls);
  });

  it('asks less from then on, over real connections, when it is told too_many_pings', async (t) => {
    const log = new RecordedLog();
    let [sessions, pings] = [0, 0];
    const port = await serve(t, {}, (session) => {
      sessions += 1;
      session.on('ping', () => {
        pings += 1;
        if (sessions === 1 && pings === 3) session.goaway(http2.constants.NGHTTP2_ENHANCE_YOUR_CALM, 0, Buffer.from('too_many_pings'));
        if (sessions === 1 && pings === 3) setImmediate(() => session.destroy());
      });
    }, (stream) => {
      if (sessions > 1) answer(stream);
    });
    const channel = grpcChannelTo(port, { limits: { keepaliveMs: 20, keepaliveTimeoutMs: 10_000, reconnectDelayMs: 1, retryDelayMs: 1 } }, { log });
    t.after(() => channel[Symbol.asyncDispose]());
    await channel.unary(emptyCall, {}, { waitForReady: true });
    assert.equal(sessions, 2);
    assert.ok(log.lines.some((line) => line.includes('too often')), log.lines.join('\n'));
  });
});
