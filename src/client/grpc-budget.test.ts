// What calls may keep of their requests and answers, and that they come to an end within it.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ByteBudget, unboundedByteBudget } from '../base/byte-budget.ts';
import { CacheError } from '../base/cache-error.ts';
import { TestService } from '../proto/gen/grpc/testing/test_pb.ts';
import { FakeSessions, turn } from '../testing/fake-grpc-session.ts';
import { grpcChannelTo } from '../testing/grpc-channel-to.ts';
import { createInteropTestService } from '../testing/interop-test-service.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { serveGrpc } from '../testing/serve-grpc.ts';
import type { GrpcChannel } from './grpc-channel.ts';
import type { GrpcChannelLimits } from './grpc-limits.ts';

const { unaryCall, streamingInputCall, streamingOutputCall } = TestService.method;
const fake = { address: { kind: 'tcp', host: 'fake', port: 1 } } as const;
const mebibyte = 1024 * 1024;

function request(bytes: number): { readonly payload: { readonly body: Uint8Array } } {
  return { payload: { body: new Uint8Array(bytes) } };
}

/** What becomes of a call, in a word. */
async function outcome(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => 'ok',
    (failure: unknown) => (failure instanceof CacheError ? failure.kind : String(failure)),
  );
}

describe('GrpcChannel: memory of requests', () => {
  function bench(limits: Partial<GrpcChannelLimits>, budget = unboundedByteBudget()): { readonly channel: GrpcChannel; readonly sessions: FakeSessions; readonly clock: ManualClock } {
    const sessions = new FakeSessions();
    sessions.streamsMax = 10;
    const clock = new ManualClock();
    const channel = grpcChannelTo(fake, { openSession: sessions.open, limits: { retryDelayMs: 100, ...limits } }, { clock, timers: clock, budget });
    return { channel, sessions, clock };
  }

  it('is bounded while they wait for a connection, and says how', async () => {
    const budget = unboundedByteBudget();
    const { channel, sessions } = bench({ requestBytesMax: 100_000 }, budget);
    const waiting = [1, 2, 3].map(() => outcome(channel.unary(unaryCall, request(30_000))));
    await turn();
    assert.ok(budget.usedBytes > 90_000 && budget.usedBytes < 90_200, `${budget.usedBytes} bytes`);
    await assert.rejects(channel.unary(unaryCall, request(30_000)), (failure) => {
      assert.ok(failure instanceof CacheError && failure.kind === 'busy');
      assert.match(failure.message, /^the requests of other calls to fake:1 take 900\d\d bytes already, and 300\d\d more would pass the limit of 100000; start fewer at a time$/);
      assert.deepEqual(failure.details, [{ kind: 'retry_after', delayMs: 250 }]);
      return true;
    });
    const { streams } = await sessions.accept();
    for (const stream of streams) stream.answer();
    assert.deepEqual(await Promise.all(waiting), ['ok', 'ok', 'ok']);
    assert.equal(budget.usedBytes, 0);
  });

  it('is theirs from the beginning of the call to that of its answer, through all tries, and however it ends', async () => {
    const budget = unboundedByteBudget();
    const { channel, sessions, clock } = bench({ requestBytesMax: 100_000 }, budget);
    const [cancel, late] = [new AbortController(), new AbortController()];
    const calls = [outcome(channel.unary(unaryCall, request(30_000))), outcome(channel.unary(unaryCall, request(30_000), { signal: cancel.signal }))];
    const answers = channel.serverStream(streamingOutputCall, request(30_000), { signal: late.signal });
    assert.ok(budget.usedBytes < 60_200, 'a stream of answers begins when the first is asked for');
    const first = answers.next();
    const { streams } = await sessions.accept();
    streams[0]?.refuse({ 'grpc-status': '14' });
    await turn();
    assert.ok(budget.usedBytes > 90_000, 'it is needed for the next try');
    assert.equal(await outcome(channel.unary(unaryCall, request(30_000))), 'busy');
    cancel.abort();
    assert.ok(budget.usedBytes < 60_200);
    streams[2]?.begin();
    assert.ok(budget.usedBytes < 30_200, 'nothing is sent again once the answer has begun');
    late.abort();
    await assert.rejects(first, { code: 'cancelled' });
    clock.advance(100);
    await turn();
    streams.at(-1)?.answer();
    assert.deepEqual([...(await Promise.all(calls)), budget.usedBytes], ['ok', 'cancelled', 0]);
  });

  it('takes a request of any size alone, and a quarter of the budget among others', async () => {
    const { channel, sessions } = bench({}, new ByteBudget({ maxBytes: 400_000, waitersMax: 10 }));
    const large = outcome(channel.unary(unaryCall, request(300_000)));
    assert.equal(await outcome(channel.unary(unaryCall, request(1_000))), 'busy');
    const { streams } = await sessions.accept();
    streams[0]?.answer();
    assert.equal(await large, 'ok');
    const fits = outcome(channel.unary(unaryCall, request(60_000)));
    assert.equal(await outcome(channel.unary(unaryCall, request(60_000))), 'busy');
    streams[1]?.answer();
    assert.equal(await fits, 'ok');
  });

  it('has a bound for a channel that was given none', async () => {
    const sessions = new FakeSessions();
    const channel = grpcChannelTo(fake, { openSession: sessions.open, limits: { budgetBytesMax: 400_000 } });
    const fits = outcome(channel.unary(unaryCall, request(90_000)));
    assert.equal(await outcome(channel.unary(unaryCall, request(90_000))), 'busy');
    await channel[Symbol.asyncDispose]();
    assert.equal(await fits, 'cancelled');
  });
});

describe('GrpcChannel: more than there is memory for', () => {
  it('HT-4: comes to its end, many times the budget in streams of requests at once', async (t) => {
    const server = await serveGrpc([createInteropTestService()], { http2: { streamWindowBytes: 65_535, connectionWindowBytes: 65_535 } });
    t.after(() => server[Symbol.asyncDispose]());
    const budget = new ByteBudget({ maxBytes: mebibyte / 2, waitersMax: 100 });
    await using channel = grpcChannelTo(server.port, {}, { budget });
    const source = async function* () {
      for (let count = 0; count < 4; count += 1) yield request(64 * 1024);
    };
    const sums = await Promise.all(Array.from({ length: 16 }, () => channel.clientStream(streamingInputCall, source)));
    assert.deepEqual(new Set(sums.map(({ aggregatedPayloadSize }) => aggregatedPayloadSize)), new Set([4 * 64 * 1024]));
    assert.equal(budget.usedBytes, 0);
  });

  it('HT-4: comes to its end also when others have used up all of it', async (t) => {
    const server = await serveGrpc([createInteropTestService()], { http2: { streamWindowBytes: 65_535, connectionWindowBytes: 65_535 } });
    t.after(() => server[Symbol.asyncDispose]());
    const budget = new ByteBudget({ maxBytes: 4 * mebibyte, waitersMax: 100 });
    await using channel = grpcChannelTo(server.port, {}, { budget });
    await channel.unary(unaryCall, request(1));
    const upload = channel.unary(unaryCall, request(mebibyte / 2));
    budget.take(4 * mebibyte);
    assert.ok(budget.isExhausted);
    while (budget.usedBytes > 4 * mebibyte + mebibyte / 2 + 1_000) await turn(); // all but what is kept for a further try has gone
    budget.give(4 * mebibyte);
    await upload;
    assert.equal(budget.usedBytes, 0);
  });
});
