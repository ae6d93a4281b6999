// Against our own server stack, over real sockets.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { ByteBudget } from '../base/byte-budget.ts';
import { CacheError } from '../base/cache-error.ts';
import type { ErrorDetail } from '../base/cache-error.ts';
import type { CallContext, Handlers } from '../grpc/service.ts';
import { implementService } from '../grpc/service.ts';
import { TestService } from '../proto/gen/grpc/testing/test_pb.ts';
import { grpcChannelTo } from '../testing/grpc-channel-to.ts';
import { standsStill } from '../testing/stands-still.ts';
import { createInteropTestService } from '../testing/interop-test-service.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { RecordedSpan } from '../testing/recorded-tracer.ts';
import { serveGrpc } from '../testing/serve-grpc.ts';
import type { ServeGrpcOptions } from '../testing/serve-grpc.ts';
import type { GrpcChannel, GrpcChannelOptions } from './grpc-channel.ts';
import { GrpcError } from './grpc-error.ts';
import type { ReceivedMetadata } from './grpc-metadata.ts';

const { emptyCall, unaryCall, streamingOutputCall, streamingInputCall, fullDuplexCall, unimplementedCall } = TestService.method;

interface Served {
  readonly channel: GrpcChannel;
  readonly port: number;
}

async function serve(t: TestContext, handlers?: Handlers<typeof TestService>, options: { readonly channel?: GrpcChannelOptions; readonly server?: ServeGrpcOptions } = {}): Promise<Served> {
  const service = handlers === undefined ? createInteropTestService() : implementService(TestService, handlers);
  const server = await serveGrpc([service], options.server);
  const channel = grpcChannelTo(server.port, options.channel);
  t.after(() => server[Symbol.asyncDispose]());
  t.after(() => channel[Symbol.asyncDispose]());
  return { channel, port: server.port };
}

function payload(bytes: number): { readonly payload: { readonly body: Uint8Array } } {
  return { payload: { body: new Uint8Array(bytes) } };
}

async function* endless(): AsyncGenerator<ReturnType<typeof payload>, void, undefined> {
  for (;;) yield payload(16 * 1024);
}

describe('GrpcChannel: the four kinds of method', () => {
  it('asks and is answered', async (t) => {
    const { channel } = await serve(t);
    assert.equal((await channel.unary(emptyCall, {})).$typeName, 'grpc.testing.Empty');
    const answer = await channel.unary(unaryCall, { responseSize: 314_159, ...payload(271_828) });
    assert.equal(answer.payload?.body.byteLength, 314_159);
  });

  it('takes a stream of answers', async (t) => {
    const { channel } = await serve(t);
    const sizes = [31_415, 0, 9, 2_653, 58_979];
    const answers = await Array.fromAsync(channel.serverStream(streamingOutputCall, { responseParameters: sizes.map((size) => ({ size })) }));
    assert.deepEqual(answers.map((one) => one.payload?.body.byteLength ?? 0), sizes);
    assert.deepEqual(await Array.fromAsync(channel.serverStream(streamingOutputCall, {})), []);
  });

  it('sends a stream of requests, also none', async (t) => {
    const { channel } = await serve(t);
    const sum = await channel.clientStream(streamingInputCall, async function* () { yield* [27_182, 8, 1_828, 45_904].map(payload); });
    assert.equal(sum.aggregatedPayloadSize, 74_922);
    assert.equal((await channel.clientStream(streamingInputCall, (async function* () {})())).aggregatedPayloadSize, 0);
  });

  it('talks back and forth, each message after the one before', async (t) => {
    const { channel } = await serve(t);
    const sizes = [31_415, 9, 2_653, 58_979];
    let answered = Promise.withResolvers<void>();
    const requests = async function* () {
      for (const size of sizes) {
        yield { responseParameters: [{ size }] };
        await answered.promise;
        answered = Promise.withResolvers();
      }
    };
    const seen: number[] = [];
    for await (const { payload: got } of channel.bidiStream(fullDuplexCall, requests)) {
      seen.push(got?.body.byteLength ?? 0);
      answered.resolve();
    }
    assert.deepEqual(seen, sizes);
    assert.deepEqual(await Array.fromAsync(channel.bidiStream(fullDuplexCall, (async function* () {})())), []);
  });
});

describe('GrpcChannel: metadata', () => {
  it('goes both ways, bytes too', async (t) => {
    const { channel } = await serve(t, undefined, { channel: { metadata: { 'x-grpc-test-echo-initial': 'of the channel' } } });
    const bytes = Uint8Array.of(0, 171, 255);
    const received: ReceivedMetadata[] = [];
    await channel.unary(unaryCall, {}, {
      metadata: { 'x-grpc-test-echo-trailing-bin': bytes },
      onHeaders: (headers) => received.push(headers),
      onTrailers: (trailers) => received.push(trailers),
    });
    const [headers, trailers] = received;
    assert.equal(headers?.get('x-grpc-test-echo-initial'), 'of the channel');
    assert.deepEqual(trailers?.getBytes('x-grpc-test-echo-trailing-bin'), bytes);
    assert.equal(trailers?.get('grpc-status'), '0');
  });

  it('whoever throws when told of it fails its own call, and no other', async (t) => {
    const { channel } = await serve(t, undefined, { channel: { limits: { connectionsMax: 1 } } });
    const failure = new RangeError('of the caller');
    const throws = (): never => {
      throw failure;
    };
    const asked = { responseParameters: [{ size: 1 }] };
    const beside = channel.serverStream(streamingOutputCall, { responseParameters: [{ size: 1 }, { size: 1, intervalUs: 100_000 }] });
    await beside.next();
    for (const options of [{ onHeaders: throws }, { onTrailers: throws }]) {
      await assert.rejects(channel.unary(emptyCall, {}, options), failure);
      await assert.rejects(Array.fromAsync(channel.serverStream(streamingOutputCall, asked, options)), failure);
    }
    assert.equal((await Array.fromAsync(beside)).length, 1);
    assert.deepEqual([channel.state.connections, channel.state.callsInProgress], [1, 0]);
  });

  it('comes in the order sent, several of a name', async (t) => {
    const handlers = { emptyCall: (_: unknown, context: CallContext) => (context.setTrailer('a', '1'), context.setTrailer('b', '2'), context.setTrailer('a', '3'), {}) };
    const { channel } = await serve(t, handlers);
    const received: ReceivedMetadata[] = [];
    await channel.unary(emptyCall, {}, { onTrailers: (trailers) => received.push(trailers) });
    assert.deepEqual(received.map((trailers) => [trailers.getAll('a'), trailers.getAll('c')]), [[['1', '3'], []]]);
  });

  it('is refused with its name and without its value when it cannot be sent', async (t) => {
    const { channel } = await serve(t);
    const refused = (metadata: Record<string, string | Uint8Array>, message: RegExp): Promise<void> =>
      assert.rejects(channel.unary(emptyCall, {}, { metadata }), (thrown) => {
        assert.ok(thrown instanceof CacheError && thrown.code === 'invalid_argument');
        assert.match(thrown.message, message);
        assert.doesNotMatch(thrown.message, /geheim/);
        return true;
      });
    await refused({ authorization: 'geheim\n' }, /value of the metadata authorization/);
    await refused({ Upper: 'x' }, /"Upper"/);
    await refused({ 'grpc-timeout': '1S' }, /"grpc-timeout"/);
    await refused({ 'x-bin': 'geheim' }, /x-bin takes bytes/);
    await refused({ x: Uint8Array.of(1) }, /x takes text/);
  });
});

describe('GrpcChannel: failures', () => {
  it('have the number and the text of the server', async (t) => {
    const { channel } = await serve(t);
    const message = '\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n';
    const failed = (thrown: unknown): boolean => thrown instanceof GrpcError && thrown.status === 2 && thrown.statusMessage === message && thrown.code === 'unavailable';
    await assert.rejects(channel.unary(unaryCall, { responseStatus: { code: 2, message } }), failed);
    await assert.rejects(Array.fromAsync(channel.bidiStream(fullDuplexCall, async function* () { yield { responseStatus: { code: 2, message } }; })), failed);
    await assert.rejects(channel.unary(unimplementedCall, {}), { code: 'unimplemented', status: 12 });
  });

  it('K6-02: have their details after a hop, as the server in the middle passes them on', async (t) => {
    const details: ErrorDetail[] = [
      { kind: 'missing_blobs', blobs: [{ hash: 'ab'.repeat(32), sizeBytes: 142 }] },
      { kind: 'other', typeUrl: 'type.googleapis.com/google.rpc.DebugInfo', value: Uint8Array.of(18, 1, 120) },
    ];
    const { channel: worker } = await serve(t, { emptyCall: () => { throw new CacheError('failed_precondition', 'an input is missing', { details }); } });
    const { channel: proxy } = await serve(t, { emptyCall: () => worker.unary(emptyCall, {}) });
    await assert.rejects(proxy.unary(emptyCall, {}), { code: 'failed_precondition', message: 'an input is missing', details });
  });

  it('K6-09: have the kind that Kiln gave them', async (t) => {
    const { channel } = await serve(t, { emptyCall: () => { throw new CacheError('disk_full', 'no room'); } });
    await assert.rejects(channel.unary(emptyCall, {}), { kind: 'disk_full', code: 'resource_exhausted' });
  });

  it('come behind the messages that came before them', async (t) => {
    const { channel } = await serve(t, {
      async *streamingOutputCall() {
        yield payload(1);
        yield payload(2);
        throw new CacheError('data_loss', 'the disk');
      },
    });
    const seen: number[] = [];
    const read = async (): Promise<void> => {
      for await (const one of channel.serverStream(streamingOutputCall, {})) {
        seen.push(one.payload?.body.byteLength ?? 0);
        await sleep(10); // the failure is here before the second message is taken
      }
    };
    await assert.rejects(read(), { code: 'data_loss', message: 'the disk' });
    assert.deepEqual(seen, [1, 2]);
  });

  it('are those of the source of the requests, as it threw them, and the server learns of the end', async (t) => {
    const ended = Promise.withResolvers<unknown>();
    const { channel } = await serve(t, {
      async streamingInputCall(requests) {
        try {
          for await (const _ of requests);
        } catch (thrown) {
          ended.resolve(thrown);
        }
        return {};
      },
    });
    const failure = new Error('the file is gone');
    const source = async function* () {
      yield payload(1);
      throw failure;
    };
    await assert.rejects(channel.clientStream(streamingInputCall, source()), failure);
    assert.ok((await ended.promise) instanceof CacheError);
  });

  it('HT-1: refuse a message over the limit, and the connection goes on', async (t) => {
    const { channel } = await serve(t, undefined, { channel: { limits: { messageBytesMax: 1_000, connectionsMax: 1 } } });
    const tooLarge = { code: 'resource_exhausted', status: 8, message: 'the answer has a message of 1011 bytes, and the limit of this client is 1000 bytes' };
    await assert.rejects(channel.unary(unaryCall, { responseSize: 1_005 }), tooLarge);
    await assert.rejects(Array.fromAsync(channel.serverStream(streamingOutputCall, { responseParameters: [{ size: 5 }, { size: 1_005 }] })), tooLarge);
    await channel.unary(emptyCall, {});
    assert.equal(channel.state.connections, 1);
  });
});

describe('GrpcChannel: ends', () => {
  it('HT-7: sends the deadline, and keeps it by itself', async (t) => {
    let asked: string | undefined;
    const { channel } = await serve(t, {
      async emptyCall(_, context) {
        asked = context.header('grpc-timeout');
        await sleep(5_000, undefined, { signal: context.signal }).catch(() => {});
        return {};
      },
    });
    await assert.rejects(channel.unary(emptyCall, {}, { timeoutMs: 80 }), { code: 'deadline_exceeded', status: 4 });
    assert.match(asked ?? '', /^(?:[1-7]?\d|80)m$/);
    await assert.rejects(channel.unary(emptyCall, {}, { timeoutMs: 0 }), { code: 'deadline_exceeded' });
  });

  it('HT-8: cancels by its signal, before, during and after the first message', async (t) => {
    const ends: Promise<void>[] = [];
    const { channel } = await serve(t, {
      async *streamingOutputCall(_, { signal }) {
        const ended = Promise.withResolvers<void>();
        signal.addEventListener('abort', () => ended.resolve());
        ends.push(ended.promise);
        yield payload(1);
        await ended.promise;
      },
    });
    await assert.rejects(channel.unary(emptyCall, {}, { signal: AbortSignal.abort() }), { code: 'cancelled', status: 1 });
    const abort = new AbortController();
    const read = async (): Promise<void> => {
      for await (const _ of channel.serverStream(streamingOutputCall, {}, { signal: abort.signal })) abort.abort();
    };
    await assert.rejects(read(), { code: 'cancelled', status: 1 });
    for await (const _ of channel.serverStream(streamingOutputCall, {})) break; // who leaves has cancelled
    await Promise.all(ends);
    assert.equal(ends.length, 2);
    assert.equal(channel.state.callsInProgress, 0);
  });

  it('BS-13: takes an early answer, and ends the source of the requests', async (t) => {
    const { channel } = await serve(t, { streamingInputCall: async () => ({ aggregatedPayloadSize: 7 }) });
    let ended = false;
    const source = async function* () {
      try {
        yield* endless();
      } finally {
        ended = true;
      }
    };
    assert.equal((await channel.clientStream(streamingInputCall, source())).aggregatedPayloadSize, 7);
    await sleep(0);
    assert.ok(ended);
  });

  it('ends everything when it is disposed, and takes nothing more', async (t) => {
    const { channel } = await serve(t, { emptyCall: (_, { signal }) => new Promise((resolve) => signal.addEventListener('abort', () => resolve({}))) });
    const running = assert.rejects(channel.unary(emptyCall, {}), { code: 'cancelled', message: /^the channel to 127\.0\.0\.1:\d+ was closed$/ });
    while (channel.state.callsInProgress === 0) await sleep(1);
    await channel[Symbol.asyncDispose]();
    await running;
    await assert.rejects(channel.unary(emptyCall, {}), { code: 'cancelled', message: /^the channel to 127\.0\.0\.1:\d+ was closed$/ });
    assert.equal(channel.state.connections, 0);
  });

  it('drains: what runs comes to its end, and nothing new begins', async (t) => {
    const answer = Promise.withResolvers<object>();
    const { channel } = await serve(t, { emptyCall: () => answer.promise });
    const running = channel.unary(emptyCall, {});
    while (channel.state.callsInProgress === 0) await sleep(1);
    const drained = channel.drain();
    await assert.rejects(channel.unary(emptyCall, {}), { code: 'cancelled', message: /is being closed/ });
    answer.resolve({});
    await running;
    await drained;
    assert.equal(channel.state.connections, 0);
  });
});

describe('GrpcChannel: backpressure', () => {
  it('HT-4: pulls requests only as fast as the server takes them', async (t) => {
    const proceed = Promise.withResolvers<void>();
    const { channel } = await serve(t, {
      async streamingInputCall(requests) {
        await proceed.promise;
        let sum = 0;
        for await (const request of requests) sum += request.payload?.body.byteLength ?? 0;
        return { aggregatedPayloadSize: sum };
      },
    });
    let pulled = 0;
    const source = async function* () {
      for (; pulled < 400; pulled += 1) yield payload(16 * 1024);
    };
    const sum = channel.clientStream(streamingInputCall, source());
    await standsStill(() => pulled);
    assert.ok(pulled > 10 && pulled < 200, `${pulled} of 400 were taken while nobody read`); // a window of 1 MiB, and the queue
    proceed.resolve();
    assert.equal((await sum).aggregatedPayloadSize, 400 * 16 * 1024);
  });

  it('HT-4: lets the server send only as fast as messages are taken', async (t) => {
    let given = 0;
    const { channel } = await serve(t, {
      async *streamingOutputCall() {
        for (; given < 400; given += 1) yield payload(16 * 1024);
      },
    });
    let taken = 0;
    for await (const _ of channel.serverStream(streamingOutputCall, {})) {
      taken += 1;
      if (taken > 1) continue;
      await standsStill(() => given);
      assert.ok(given > 10 && given < 200, `${given} of 400 were given while nobody took`);
    }
    assert.equal(taken, 400);
  });
});

describe('GrpcChannel: both ways at once', () => {
  it('comes to an end with more under way in both directions than windows and sockets hold', async (t) => {
    const { channel } = await serve(t, undefined, { channel: { limits: { connectionsMax: 1, attemptsMax: 1 } } });
    const sizes = Array.from({ length: 32 }, () => 64 * 1024);
    const upload = () => channel.clientStream(streamingInputCall, async function* () { yield* sizes.map(payload); });
    const download = () => Array.fromAsync(channel.serverStream(streamingOutputCall, { responseParameters: sizes.map((size) => ({ size })) }), ({ payload: got }) => got?.body.byteLength);
    const [uploads, downloads] = await Promise.all([Promise.all(Array.from({ length: 14 }, upload)), Promise.all(Array.from({ length: 14 }, download))]);
    for (const { aggregatedPayloadSize } of uploads) assert.equal(aggregatedPayloadSize, 2 * 1024 * 1024);
    for (const got of downloads) assert.deepEqual(got, sizes);
  });
});

describe('GrpcChannel: memory', () => {
  it('gives back everything that it took from the budget, however calls end', async (t) => {
    const budget = new ByteBudget({ maxBytes: 64 * 1024 * 1024, waitersMax: 10 });
    const server = await serveGrpc([createInteropTestService()]);
    t.after(() => server[Symbol.asyncDispose]());
    const channel = grpcChannelTo(server.port, {}, { budget });
    let most = 0;
    const look = (): void => void (most = Math.max(most, budget.usedBytes));
    const large = { responseParameters: Array.from({ length: 20 }, () => ({ size: 300_000 })) };
    await channel.unary(unaryCall, { responseSize: 5_000_000 }, { onHeaders: () => setImmediate(look) });
    for await (const _ of channel.serverStream(streamingOutputCall, large)) look();
    for await (const _ of channel.serverStream(streamingOutputCall, large)) break;
    await assert.rejects(channel.unary(unaryCall, { responseSize: 5_000_000 }, { onHeaders: () => void channel[Symbol.asyncDispose]() }));
    assert.ok(most > 300_000, `${most} bytes at most`);
    assert.equal(budget.usedBytes, 0);
  });

  it('lets an answer wait for room, and refuses it when there comes none', async (t) => {
    const budget = new ByteBudget({ maxBytes: 64 * 1024 * 1024, waitersMax: 10 });
    const server = await serveGrpc([createInteropTestService()]);
    t.after(() => server[Symbol.asyncDispose]());
    await using channel = grpcChannelTo(server.port, {}, { budget });
    const others = 47 * 1024 * 1024; // of the 48 MiB that are given away
    budget.take(others);
    const waiting = channel.unary(unaryCall, { responseSize: 2_000_000 }, { attemptsMax: 1 });
    while (budget.waiterCount === 0) await sleep(1);
    budget.give(others);
    assert.equal((await waiting).payload?.body.byteLength, 2_000_000);
    budget.take(others);
    const refused = assert.rejects(channel.unary(unaryCall, { responseSize: 2_000_000 }, { attemptsMax: 1 }), { code: 'unavailable' });
    while (budget.waiterCount === 0) await sleep(1);
    budget.look(0);
    await refused;
    assert.equal(budget.usedBytes, others);
    await channel.unary(emptyCall, {});
  });
});

describe('GrpcChannel: keepalive', () => {
  it('K12-05: does not take its own want of memory for the death of a peer', async (t) => {
    const budget = new ByteBudget({ maxBytes: 1024 * 1024, waitersMax: 10 });
    const answer = Promise.withResolvers<object>();
    const server = await serveGrpc([implementService(TestService, { emptyCall: () => answer.promise })]);
    t.after(() => server[Symbol.asyncDispose]());
    const clock = new ManualClock();
    const channel = grpcChannelTo(server.port, {}, { budget, clock, timers: clock });
    t.after(() => channel[Symbol.asyncDispose]());
    const call = channel.unary(emptyCall, {}, { attemptsMax: 1 });
    while (channel.state.callsInProgress === 0) await sleep(1);
    budget.take(1024 * 1024); // sockets are not read any more
    for (let second = 0; second < 60; second += 1) {
      clock.advance(1_000);
      await sleep(1);
    }
    assert.equal(channel.state.callsInProgress, 1);
    budget.give(1024 * 1024);
    answer.resolve({});
    await call;
  });
});

describe('GrpcChannel: traces', () => {
  it('are a child of what the call is part of, with its further tries and its failure', async (t) => {
    const root = new RecordedSpan('root');
    let refusals = 0;
    const emptyCallHandler = (): never => {
      refusals += 1;
      throw refusals === 1 ? new CacheError('unavailable', 'not now') : new CacheError('not_found', 'gone');
    };
    const { channel } = await serve(t, { emptyCall: emptyCallHandler }, { channel: { limits: { retryDelayMs: 1 } } });
    await assert.rejects(channel.unary(emptyCall, {}, { trace: root }), { code: 'not_found' });
    const [span] = root.children;
    assert.deepEqual([span?.name, span?.events.map(({ name }) => name), span?.failure, span?.ends], ['grpc.testing.TestService/EmptyCall', ['is tried again'], 'gone', 1]);
  });
});
