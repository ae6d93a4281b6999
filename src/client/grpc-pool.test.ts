// Connections, waits and retries of a channel, with time advanced by hand and a server that does what it is told.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CacheError } from '../base/cache-error.ts';
import type { Random } from '../base/random.ts';
import { failureTrailers } from '../grpc/outcome.ts';
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

class Bench {
  readonly clock = new ManualClock();
  readonly sessions = new FakeSessions();
  readonly log = new RecordedLog();
  readonly channel: GrpcChannel;
  /** Of the wait that is drawn: all of it, but for a hair. */
  fraction = 0xffff;

  constructor(limits: Partial<GrpcChannelLimits> = {}) {
    const random: Random = { bytes: () => Uint8Array.of(this.fraction >> 8, this.fraction & 0xff) };
    const options = { limits: { connectionsMax: 2, ...limits }, openSession: this.sessions.open };
    this.channel = grpcChannelTo({ address: { kind: 'tcp', host: 'fake', port: 1 } }, options, { clock: this.clock, timers: this.clock, random, log: this.log });
  }

  /** A call, and what became of it: `ok`, or the code of its failure; undefined while it runs. */
  call(options: GrpcCallOptions = {}): { outcome: string | undefined; failure: Error | undefined } {
    const call: { outcome: string | undefined; failure: Error | undefined } = { outcome: undefined, failure: undefined };
    this.channel.unary(emptyCall, {}, options).then(
      () => (call.outcome = 'ok'),
      (failure: CacheError) => {
        call.outcome = failure.code;
        call.failure = failure;
      },
    );
    return call;
  }

  calls(count: number, options?: GrpcCallOptions): { outcome: string | undefined }[] {
    return Array.from({ length: count }, () => this.call(options));
  }

  stream(connection: number, index: number): FakeClientStream {
    const stream = this.sessions.made[connection]?.streams[index];
    assert.ok(stream !== undefined, `stream ${index} of connection ${connection}`);
    return stream;
  }

  async advance(durationMs: number): Promise<void> {
    this.clock.advance(durationMs);
    await turn();
  }
}

const unavailable = { 'grpc-status': '14', 'grpc-message': 'not now' };

describe('GrpcPool: connections', () => {
  it('connects when the first call needs it, and not before', async () => {
    const bench = new Bench();
    assert.equal(bench.sessions.attempts, 0);
    const call = bench.call();
    await bench.sessions.accept();
    bench.stream(0, 0).answer();
    await turn();
    assert.deepEqual([call.outcome, bench.sessions.attempts], ['ok', 1]);
  });

  it('fills a connection before it opens the next one, and lets calls wait when all are full', async () => {
    const bench = new Bench();
    const calls = bench.calls(5);
    assert.equal(bench.sessions.attempts, 1);
    await bench.sessions.accept();
    assert.deepEqual([bench.channel.state.callsInProgress, bench.sessions.attempts], [2, 2]);
    await bench.sessions.accept();
    assert.deepEqual([bench.channel.state.callsInProgress, bench.channel.state.callsWaiting, bench.sessions.attempts], [4, 1, 2]);
    bench.stream(1, 0).answer();
    await turn();
    assert.equal(bench.channel.state.callsWaiting, 0);
    assert.deepEqual(calls.map(({ outcome }) => outcome), [undefined, undefined, 'ok', undefined, undefined]);
    assert.equal(bench.sessions.made[1]?.streams.length, 3); // the fifth came in the place that was free
  });

  it('leaves no timer behind', async () => {
    const bench = new Bench({ attemptsMax: 1 });
    const calls = [bench.call({ timeoutMs: 60_000 }), bench.call({ timeoutMs: 60_000 })];
    await bench.sessions.accept();
    bench.stream(0, 0).answer();
    bench.stream(0, 1).refuse({ 'grpc-status': '5' });
    await turn();
    assert.deepEqual(calls.map(({ outcome }) => outcome), ['ok', 'not_found']);
    assert.equal(bench.clock.pendingTimers, 1); // the watch of the connection
    await bench.channel[Symbol.asyncDispose]();
    assert.equal(bench.clock.pendingTimers, 0);
  });

  it('refuses a call when too many wait, and says when to come again', async () => {
    const bench = new Bench({ waitingCallsMax: 3 });
    bench.calls(3);
    const refused = bench.call();
    await turn();
    assert.equal(refused.outcome, 'unavailable');
    assert.ok(refused.failure instanceof CacheError && refused.failure.kind === 'busy');
    assert.deepEqual(refused.failure.details, [{ kind: 'retry_after', delayMs: 250 }]);
    assert.equal(bench.clock.pendingTimers, 0); // and does not come again by itself
  });

  it('lets go of calls that end while they wait', async () => {
    const bench = new Bench();
    const abort = new AbortController();
    const calls = [bench.call({ signal: abort.signal }), bench.call({ timeoutMs: 50 }), bench.call()];
    abort.abort();
    await bench.advance(50);
    assert.deepEqual(calls.map(({ outcome }) => outcome), ['cancelled', 'deadline_exceeded', undefined]);
    assert.match(String(calls[1]?.failure), /could not be made to fake:1 within 50 ms/);
    await bench.sessions.accept();
    assert.equal(bench.sessions.made[0]?.streams.length, 1);
    bench.stream(0, 0).answer();
    await turn();
    await bench.channel[Symbol.asyncDispose]();
    assert.equal(bench.clock.pendingTimers, 0);
  });

  it('closes a connection that had no call for a while, and connects again for the next', async () => {
    const bench = new Bench({ idleMs: 60_000 });
    bench.call();
    const first = await bench.sessions.accept();
    bench.stream(0, 0).answer();
    await bench.advance(1_000);
    await bench.advance(59_000);
    assert.equal(first.ending, undefined);
    await bench.advance(1_000);
    assert.ok(first.ending !== undefined);
    assert.equal(bench.channel.state.connections, 0);
    const again = bench.call();
    await bench.sessions.accept();
    bench.stream(1, 0).answer();
    await turn();
    assert.equal(again.outcome, 'ok');
  });

  it('opens another connection at once when the server sends it away, and lets the calls on the old one end', async () => {
    const bench = new Bench({ connectionsMax: 1 });
    const calls = bench.calls(2);
    const first = await bench.sessions.accept();
    first.goAway(1); // has not begun with the second call
    await bench.sessions.accept();
    bench.stream(1, 0).answer();
    bench.stream(0, 0).answer();
    await turn();
    assert.deepEqual(calls.map(({ outcome }) => outcome), ['ok', 'ok']);
    assert.deepEqual(bench.channel.state, { connections: 1, callsInProgress: 0, callsWaiting: 0, lastFailure: undefined });
  });

  it('keeps no more than twice the connections for a server that sends every one away', async () => {
    const bench = new Bench({ connectionsMax: 1 });
    bench.sessions.streamsMax = 1;
    bench.calls(4);
    (await bench.sessions.accept()).goAway();
    await turn();
    (await bench.sessions.accept()).goAway();
    await turn();
    assert.deepEqual([bench.sessions.attempts, bench.channel.state.callsWaiting], [2, 2]);
    bench.stream(0, 0).answer();
    await turn();
    assert.equal(bench.sessions.attempts, 3);
  });
});

describe('GrpcPool: a server that cannot be reached', () => {
  it('fails calls with the reason, after few further tries', async () => {
    const bench = new Bench({ attemptsMax: 1 });
    const call = bench.call();
    await bench.sessions.refuse();
    assert.equal(call.outcome, 'unavailable');
    assert.match(String(call.failure), /cannot connect to fake: nothing listens there/);
    assert.equal(bench.channel.state.lastFailure, 'cannot connect to fake: nothing listens there');
  });

  it('waits longer after each failure, each wait anywhere between none and its whole, and fails calls meanwhile', async () => {
    const bench = new Bench({ attemptsMax: 1, reconnectDelayMs: 200, reconnectDelayMsMax: 1_000 });
    bench.call({ waitForReady: true });
    for (const upper of [200, 400, 800, 1_000, 1_000]) {
      await bench.sessions.refuse();
      const meanwhile = bench.call();
      await turn();
      assert.equal(meanwhile.outcome, 'unavailable');
      await bench.advance(upper * (0xffff / 0x10000) - 1);
      assert.ok(!bench.sessions.isConnecting, `before ${upper} ms`);
      await bench.advance(1);
      assert.ok(bench.sessions.isConnecting, `after ${upper} ms`);
    }
    bench.fraction = 0;
    await bench.sessions.refuse();
    await bench.advance(0);
    assert.ok(bench.sessions.isConnecting);
  });

  it('lets calls wait that are told to, and does not connect for nobody', async () => {
    const bench = new Bench();
    const waiting = bench.call({ waitForReady: true, timeoutMs: 5_000 });
    await bench.sessions.refuse();
    await bench.advance(1_000);
    await bench.sessions.accept();
    bench.stream(0, 0).answer();
    await turn();
    assert.equal(waiting.outcome, 'ok');

    const alone = new Bench();
    const expired = alone.call({ waitForReady: true, timeoutMs: 100 });
    await alone.sessions.refuse();
    await alone.advance(100);
    assert.equal(expired.outcome, 'deadline_exceeded');
    assert.match(String(expired.failure), /the last try ended with: cannot connect to fake: nothing listens there/);
    await alone.advance(60_000);
    assert.equal(alone.sessions.attempts, 1);
  });

  it('does not wait for what somebody has to change', async () => {
    const bench = new Bench();
    const call = bench.call({ waitForReady: true });
    await bench.sessions.refuse(new CacheError('failed_precondition', 'cannot connect to fake: its certificate has expired'));
    assert.equal(call.outcome, 'failed_precondition');
  });

  it('does not connect in a circle to a server that closes every connection at once', async () => {
    const bench = new Bench({ attemptsMax: 2, retryDelayMs: 1 });
    const call = bench.call({ waitForReady: true });
    (await bench.sessions.accept()).break();
    await bench.advance(1);
    assert.equal(bench.sessions.attempts, 1);
    await bench.advance(200);
    assert.equal(bench.sessions.attempts, 2);
    await bench.sessions.accept();
    bench.stream(1, 0).answer();
    await turn();
    assert.equal(call.outcome, 'ok');
  });

  it('connects again at once to a server that was of use before', async () => {
    const bench = new Bench();
    bench.call();
    const first = await bench.sessions.accept();
    bench.stream(0, 0).answer();
    first.break();
    await turn();
    bench.call();
    assert.equal(bench.sessions.attempts, 2);
  });
});

describe('GrpcConnection: keepalive', () => {
  it('K12-05: knows a peer that went silent within 6 s, fails its calls, and reconnects', async () => {
    const bench = new Bench({ attemptsMax: 1 });
    const call = bench.call();
    const first = await bench.sessions.accept();
    first.isAlive = false;
    const begunMs = bench.clock.nowMs();
    while (call.outcome === undefined) await bench.advance(100);
    assert.ok(bench.clock.nowMs() - begunMs <= 6_000, `after ${bench.clock.nowMs() - begunMs} ms`);
    assert.equal(call.outcome, 'unavailable');
    assert.match(String(call.failure), /lost the connection to fake:1: the server gave no sign of life for \d000 ms/);
    const next = bench.call({ waitForReady: true });
    await bench.advance(300);
    await bench.sessions.accept();
    bench.stream(1, 0).answer();
    await turn();
    assert.equal(next.outcome, 'ok');
  });

  it('K12-05: is at most 6 s late whenever the last sign of life was', async () => {
    for (let lastMs = 0; lastMs < 2_500; lastMs += 250) {
      const bench = new Bench({ attemptsMax: 1 });
      const call = bench.call();
      const session = await bench.sessions.accept();
      await bench.advance(lastMs);
      session.heardCount += 1;
      session.isAlive = false;
      const begunMs = bench.clock.nowMs();
      while (call.outcome === undefined) await bench.advance(50);
      assert.ok(bench.clock.nowMs() - begunMs <= 6_000, `last heard at ${lastMs}: ${bench.clock.nowMs() - begunMs} ms`);
    }
  });

  it('lets a call run as long as it likes while the server answers, and asks only when it is silent', async () => {
    const bench = new Bench();
    const call = bench.call();
    const session = await bench.sessions.accept();
    const pings = (): number => session.pings;
    await bench.advance(1_999);
    assert.equal(pings(), 0);
    await bench.advance(1);
    assert.equal(pings(), 1);
    for (let second = 0; second < 120; second += 1) await bench.advance(1_000);
    assert.equal(call.outcome, undefined);
    assert.ok(pings() >= 30 && pings() <= 61, `${pings()} pings in 120 s`);
    const before = pings();
    for (let second = 0; second < 60; second += 1) {
      session.heardCount += 1;
      await bench.advance(1_000);
    }
    assert.ok(pings() - before <= 1);
  });

  it('asks nobody while no call is open, unless it is told to', async () => {
    for (const keepaliveWithoutCalls of [false, true]) {
      const bench = new Bench({ keepaliveWithoutCalls });
      bench.call();
      const session = await bench.sessions.accept();
      bench.stream(0, 0).answer();
      await bench.advance(1_000);
      const before = session.pings;
      for (let second = 0; second < 60; second += 1) await bench.advance(1_000);
      assert.equal(session.pings > before, keepaliveWithoutCalls);
    }
  });

  it('asks as rarely as servers allow by default, once one says too_many_pings', async () => {
    const bench = new Bench({ keepaliveMs: 1_000, attemptsMax: 1 });
    bench.call();
    const first = await bench.sessions.accept();
    first.goAway(0, errorCode.enhanceYourCalm, 'too_many_pings');
    await turn();
    bench.call({ waitForReady: true });
    await bench.advance(400);
    const second = await bench.sessions.accept();
    for (let step = 0; step < 600; step += 1) await bench.advance(1_000);
    assert.ok(second.pings >= 1 && second.pings <= 2, `${second.pings} pings in 10 minutes`);
    assert.ok(bench.log.lines.some((line) => line.includes('too often')));
  });
});

describe('GrpcCall: further tries', () => {
  it('tries again what was UNAVAILABLE before its answer began, at most so often', async () => {
    const bench = new Bench({ attemptsMax: 3, retryDelayMs: 100 });
    const call = bench.call();
    await bench.sessions.accept();
    bench.stream(0, 0).refuse(unavailable);
    await bench.advance(99);
    assert.equal(bench.sessions.made[0]?.streams.length, 1);
    await bench.advance(1);
    bench.stream(0, 1).refuse(unavailable);
    await bench.advance(200);
    bench.stream(0, 2).refuse(unavailable);
    await bench.advance(10_000);
    assert.deepEqual([call.outcome, bench.sessions.made[0]?.streams.length], ['unavailable', 3]);
    assert.match(String(call.failure), /not now/);
  });

  it('tries nothing again that was another failure, or whose answer had begun', async () => {
    const bench = new Bench();
    const calls = bench.calls(2);
    await bench.sessions.accept();
    bench.stream(0, 0).refuse({ 'grpc-status': '13' });
    bench.stream(0, 1).answer(unavailable);
    await bench.advance(60_000);
    assert.deepEqual(calls.map(({ outcome }) => outcome), ['internal', 'unavailable']);
    assert.equal(bench.sessions.made[0]?.streams.length, 2);
  });

  it('ERR-2: waits as long as RetryInfo says, within the bound, or grpc-retry-pushback-ms', async () => {
    const asking = async (trailers: Readonly<Record<string, string>>, limits: Partial<GrpcChannelLimits> = {}): Promise<number> => {
      const bench = new Bench({ retryDelayMs: 100, retryDelayMsMax: 5_000, ...limits });
      bench.fraction = 0;
      bench.call();
      await bench.sessions.accept();
      bench.stream(0, 0).refuse(trailers);
      const begunMs = bench.clock.nowMs();
      while ((bench.sessions.made[0]?.streams.length ?? 0) < 2 && bench.clock.nowMs() - begunMs < 20_000) await bench.advance(100);
      return bench.clock.nowMs() - begunMs;
    };
    const asked = (delayMs: number): Record<string, string> => Object.fromEntries(failureTrailers(new CacheError('unavailable', 'x', { details: [{ kind: 'retry_after', delayMs }] })));
    assert.equal(await asking(asked(1_500)), 1_500);
    assert.equal(await asking(asked(3_600_000)), 5_000);
    assert.equal(await asking({ ...unavailable, 'grpc-retry-pushback-ms': '700' }), 700);
    assert.equal(await asking({ ...unavailable, 'grpc-retry-pushback-ms': '-1' }), 20_000); // not at all
  });

  it('gives up at once when the next try would come too late', async () => {
    const bench = new Bench({ retryDelayMs: 100 });
    const call = bench.call({ timeoutMs: 90 });
    await bench.sessions.accept();
    bench.stream(0, 0).refuse(unavailable);
    await turn();
    assert.equal(call.outcome, 'unavailable');
    assert.equal(bench.stream(0, 0).header('grpc-timeout'), '90m');
  });

  it('sends what is left of the deadline with each try', async () => {
    const bench = new Bench({ retryDelayMs: 100 });
    bench.call({ timeoutMs: 1_000 });
    await bench.sessions.accept();
    bench.stream(0, 0).refuse(unavailable);
    await bench.advance(100);
    assert.match(bench.stream(0, 1).header('grpc-timeout') ?? '', /^90[01]m$/);
  });

  it('sends at once what the server has not begun with, and as any failure when that repeats itself', async () => {
    const bench = new Bench({ attemptsMax: 1 });
    const call = bench.call();
    await bench.sessions.accept();
    for (let index = 0; index < 3; index += 1) {
      bench.stream(0, index).lose(errorCode.refusedStream, true);
      await turn();
    }
    assert.equal(bench.sessions.made[0]?.streams.length, 3);
    assert.equal(call.outcome, 'unavailable');
  });

  it('waits for its next try no longer than for the end of its channel', async () => {
    for (const end of ['drain', Symbol.asyncDispose] as const) {
      const bench = new Bench();
      const call = bench.call();
      await bench.sessions.accept();
      bench.stream(0, 0).refuse({ ...unavailable, 'grpc-retry-pushback-ms': '5000' });
      await turn();
      assert.equal(call.outcome, undefined);
      await bench.channel[end]();
      assert.equal(call.outcome, 'cancelled');
      assert.equal(bench.clock.pendingTimers, 0);
    }
  });

  it('stops trying again while most calls fail, and begins again when they do well', async () => {
    const bench = new Bench({ attemptsMax: 2, retryTokensMax: 4, retryTokensPerSuccess: 1, retryDelayMs: 1 });
    bench.sessions.streamsMax = 1_000;
    bench.fraction = 0;
    bench.call();
    const { streams } = await bench.sessions.accept();
    const fail = async (): Promise<number> => {
      const before = streams.length;
      streams.at(-1)?.refuse(unavailable);
      await bench.advance(1);
      return streams.length - before;
    };
    assert.equal(await fail(), 1); // 4 → 3: tried again
    assert.equal(await fail(), 0); // 3 → 2: that was the second try
    bench.call();
    assert.equal(await fail(), 0); // 2 → 1: too many failed
    for (let count = 0; count < 4; count += 1) {
      bench.call();
      streams.at(-1)?.answer();
      await turn();
    }
    bench.call();
    assert.equal(await fail(), 1);
  });

  it('sends a stream of requests again as far as it is kept, from its first message on', async () => {
    const bench = new Bench({ attemptsMax: 3, retryDelayMs: 1, replayBytesMax: 1_000 });
    bench.sessions.streamsMax = 10;
    const pulls: number[] = [];
    const source = async function* (sizes: readonly number[]) {
      for (const size of sizes) {
        pulls.push(size);
        yield { payload: { body: new Uint8Array(size) } };
      }
    };
    const sum = bench.channel.clientStream(streamingInputCall, source([1, 2, 3]));
    await bench.sessions.accept();
    await turn();
    assert.equal(bench.stream(0, 0).hasEnded, true);
    bench.stream(0, 0).refuse(unavailable);
    await bench.advance(1);
    assert.deepEqual(Buffer.concat(bench.stream(0, 1).sent), Buffer.concat(bench.stream(0, 0).sent));
    assert.deepEqual(pulls, [1, 2, 3]);
    bench.stream(0, 1).answer();
    await sum;

    // More than is kept: a source that was given as it is can be sent once, one that is opened anew as often as wanted.
    const tooLong = assert.rejects(bench.channel.clientStream(streamingInputCall, source([800, 800])), { code: 'unavailable' });
    await turn();
    bench.stream(0, 2).refuse(unavailable);
    await tooLong;
    const anew = bench.channel.clientStream(streamingInputCall, () => source([800, 800]));
    await turn();
    bench.stream(0, 3).refuse(unavailable);
    await bench.advance(1);
    assert.deepEqual(Buffer.concat(bench.stream(0, 4).sent), Buffer.concat(bench.stream(0, 3).sent));
    bench.stream(0, 4).answer();
    await anew;
  });

  it('tries a stream of answers again before the first one only', async () => {
    const bench = new Bench({ retryDelayMs: 1 });
    const read = Array.fromAsync(bench.channel.serverStream(streamingOutputCall, {})).catch((failure: CacheError) => failure.code);
    await bench.sessions.accept();
    bench.stream(0, 0).refuse(unavailable);
    await bench.advance(1);
    bench.stream(0, 1).begin();
    bench.sessions.made[0]?.break();
    assert.equal(await read, 'unavailable');
    assert.equal(bench.sessions.made[0]?.streams.length, 2);
  });
});
