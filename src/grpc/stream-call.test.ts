// Streaming calls on a fake stream: order, bounds, flow control both ways, early answers, cancellation.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CacheError } from '../base/cache-error.ts';
import {
  StreamingInputCallRequestSchema,
  StreamingInputCallResponseSchema,
  StreamingOutputCallRequestSchema,
  StreamingOutputCallResponseSchema,
} from '../proto/gen/grpc/testing/messages_pb.ts';
import { TestService } from '../proto/gen/grpc/testing/test_pb.ts';
import { decoded, encoded, GrpcHarness, settle } from '../testing/grpc-harness.ts';
import type { GrpcLimits } from './limits.ts';
import { implementService } from './service.ts';
import type { CallContext, Handlers } from './service.ts';

const inputPath = '/grpc.testing.TestService/StreamingInputCall';
const outputPath = '/grpc.testing.TestService/StreamingOutputCall';
const duplexPath = '/grpc.testing.TestService/FullDuplexCall';

function harness(handlers: Handlers<typeof TestService>, limits: Partial<GrpcLimits> = {}): GrpcHarness {
  return new GrpcHarness(implementService(TestService, handlers), limits);
}

const input = (size: number) => encoded(StreamingInputCallRequestSchema, { payload: { body: new Uint8Array(size) } });

describe('server streaming', () => {
  const ask = encoded(StreamingOutputCallRequestSchema, {});

  it('sends every message and then the status', async () => {
    const made = harness({ async *streamingOutputCall() { for (const size of [0, 1, 5]) yield { payload: { body: new Uint8Array(size) } }; } });
    const { stream, handler } = made.open(outputPath);
    handler.onData(ask);
    handler.onEnd(undefined);
    await made.router.idle();
    assert.deepEqual(decoded(StreamingOutputCallResponseSchema, stream.data).map(({ payload }) => payload?.body.byteLength), [0, 1, 5]);
    assert.deepEqual(stream.trailers, [['grpc-status', '0']]);
  });

  it('HT-10: is trailers-only when it fails before the first message, and has trailers when after', async () => {
    const made = harness({
      async *streamingOutputCall(request) {
        if (request.responseParameters.length > 0) yield {};
        throw new CacheError('data_loss', 'broken');
      },
    });
    for (const [message, early] of [[ask, true], [encoded(StreamingOutputCallRequestSchema, { responseParameters: [{}] }), false]] as const) {
      const { stream, handler } = made.open(outputPath);
      handler.onData(message);
      handler.onEnd(undefined);
      await made.router.idle();
      assert.equal(stream.status('grpc-status'), '15');
      assert.equal(stream.trailers === undefined, early);
    }
  });

  it('BS-6: a client that takes nothing of its answer for long loses the call, and the handler is returned', async () => {
    let returned = false;
    const server = harness(
      { async *streamingOutputCall() { try { for (;;) yield { payload: { body: new Uint8Array(1000) } }; } finally { returned = true; } } },
      { sendQueueBytesMax: 5000 },
    );
    const { stream, handler } = server.open(outputPath, {}, 0);
    handler.onData(ask);
    handler.onEnd(undefined);
    await settle();
    handler.onStalled?.('too little was taken');
    assert.ok(stream.queuedBytes > 0, 'so that the stream is reset');
    stream.reset(8);
    await server.router.idle();
    assert.equal(returned, true);
    assert.equal(server.clock.pendingTimers, 0);
  });

  it('BS-6: asks its handler for no more than the send queue takes, and goes on when it drains', async () => {
    let made = 0;
    const server = harness({ async *streamingOutputCall() { for (; made < 100; made += 1) yield { payload: { body: new Uint8Array(1000) } }; } }, { sendQueueBytesMax: 5000 });
    const { stream, handler } = server.open(outputPath, {}, 0);
    handler.onData(ask);
    handler.onEnd(undefined);
    await settle();
    assert.ok(made >= 4 && made <= 6, `${made} messages made for a queue of 5`);
    stream.open(20_000);
    await settle();
    assert.ok(made > 6 && made < 30, `${made} messages made`);
    assert.ok(stream.queuedBytes <= 6100);
    while (!stream.answered) {
      stream.open(10_000);
      await settle();
    }
    assert.equal(decoded(StreamingOutputCallResponseSchema, stream.data).length, 100);
  });

  it('HT-8: a reset returns the generator, whether it waits for the client or for its source', async () => {
    for (const window of [0, Infinity]) {
      let released = false;
      const server = harness({
        async *streamingOutputCall(_, { signal }) {
          try {
            yield { payload: { body: new Uint8Array(1000) } };
            await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
          } finally {
            released = true;
          }
        },
      }, { sendQueueBytesMax: 10 });
      const { stream, handler } = server.open(outputPath, {}, window);
      handler.onData(ask);
      handler.onEnd(undefined);
      await settle();
      assert.equal(released, false);
      stream.lose({ code: 8, byPeer: true });
      await server.router.idle();
      assert.equal(released, true);
      assert.deepEqual(server.log.errors, []);
    }
  });

  it('HT-7: the deadline ends a stream that waits for its client', async () => {
    const server = harness({ async *streamingOutputCall() { for (;;) yield { payload: { body: new Uint8Array(1000) } }; } }, { sendQueueBytesMax: 10 });
    const { stream, handler } = server.open(outputPath, { 'grpc-timeout': '1S' }, 0);
    handler.onData(ask);
    handler.onEnd(undefined);
    await settle();
    server.clock.advance(1000);
    await server.router.idle();
    assert.equal(stream.status('grpc-status'), '4');
    assert.equal(stream.resetCode, 8, 'the status would wait behind what is not taken');
    assert.equal(server.clock.pendingTimers, 0);
  });
});

describe('client streaming', () => {
  const sum: Handlers<typeof TestService>['streamingInputCall'] = async (requests) => {
    let aggregatedPayloadSize = 0;
    for await (const { payload } of requests) aggregatedPayloadSize += payload?.body.byteLength ?? 0;
    return { aggregatedPayloadSize };
  };

  it('HT-5: gives the handler all messages, however they are cut', async () => {
    const wire = Buffer.concat([input(3), input(0), input(300), input(7)]);
    for (const step of [1, 7, 100, wire.byteLength]) {
      const made = harness({ streamingInputCall: sum });
      const { stream, handler } = made.open(inputPath);
      for (let offset = 0; offset < wire.byteLength; offset += step) {
        handler.onData(Uint8Array.from(wire.subarray(offset, offset + step)));
        if (offset % 3 === 0) await settle();
      }
      handler.onEnd(undefined);
      await made.router.idle();
      assert.deepEqual(decoded(StreamingInputCallResponseSchema, stream.data).map((answer) => answer.aggregatedPayloadSize), [310]);
      assert.equal(stream.consumedBytes, wire.byteLength);
    }
  });

  it('works without any message', async () => {
    const made = harness({ streamingInputCall: sum });
    const { stream, handler } = made.open(inputPath);
    handler.onEnd(undefined);
    await made.router.idle();
    assert.equal(stream.status('grpc-status'), '0');
  });

  it('HT-4: returns credit only for what the handler has taken, but for a message larger than the window at once', async () => {
    const takes: (() => void)[] = [];
    const made = harness({
      async streamingInputCall(requests) {
        for await (const _ of requests) await new Promise<void>((resolve) => takes.push(resolve));
        return {};
      },
    });
    const { stream, handler } = made.open(inputPath);
    handler.onData(input(1000)); // taken at once: the handler waits for it
    await settle();
    const first = stream.consumedBytes;
    assert.equal(first, input(1000).byteLength);
    handler.onData(input(2000));
    handler.onData(input(3000).subarray(0, 100));
    assert.equal(stream.consumedBytes, first);
    takes.shift()?.();
    await settle();
    assert.equal(stream.consumedBytes, first + input(2000).byteLength + 100);
  });

  it('BS-9: a flood of empty messages waits as it came, and all of them arrive', async () => {
    const gate = Promise.withResolvers<void>();
    let taken = 0;
    const made = harness({
      async streamingInputCall(requests) {
        await gate.promise;
        for await (const _ of requests) taken += 1;
        return {};
      },
    }, { laneMessagesMax: 4 });
    const { stream, handler } = made.open(inputPath);
    for (let piece = 0; piece < 10; piece += 1) handler.onData(new Uint8Array(5 * 1000 + 3).subarray(0, 5 * 1000));
    assert.equal(stream.consumedBytes, 0);
    handler.onEnd(undefined);
    gate.resolve();
    await made.router.idle();
    assert.equal(taken, 10_000);
    assert.equal(stream.consumedBytes, 50_000);
    assert.equal(stream.status('grpc-status'), '0');
  });

  it('HT-4: reads no further ahead of the handler than the lane is long', async () => {
    const gate = Promise.withResolvers<void>();
    const made = harness({ streamingInputCall: async (requests, context) => (await gate.promise, sum(requests, context)) }, { laneMessagesMax: 4 });
    const { stream, handler } = made.open(inputPath);
    const wrongFlag = Uint8Array.of(7, 0, 0, 0, 0);
    handler.onData(Uint8Array.from(Buffer.concat([...Array.from({ length: 5 }, () => input(1)), wrongFlag])));
    assert.equal(stream.answered, false, 'the sixth message was read while four were waiting');
    gate.resolve();
    await made.router.idle();
    assert.equal(stream.status('grpc-status'), '13');
  });

  it('says INTERNAL for a request that ends in the middle of a message, also when it still waits', async () => {
    const plainly = harness({ streamingInputCall: sum });
    const first = plainly.open(inputPath);
    first.handler.onData(input(100).subarray(0, 50));
    first.handler.onEnd(undefined);
    await plainly.router.idle();
    assert.equal(first.stream.status('grpc-status'), '13');
    const waiting = harness({ streamingInputCall: async (requests, context) => (await settle(), sum(requests, context)) }, { laneMessagesMax: 1 });
    const second = waiting.open(inputPath);
    second.handler.onData(Uint8Array.from(Buffer.concat([input(1), input(1), input(100).subarray(0, 50)])));
    second.handler.onEnd(undefined);
    await waiting.router.idle();
    assert.equal(second.stream.status('grpc-status'), '13');
    assert.deepEqual([...plainly.log.errors, ...waiting.log.errors], []);
  });

  it('says INVALID_ARGUMENT for a message that cannot be decoded, and HT-1 for one over the limit', async () => {
    const made = harness({ streamingInputCall: sum }, { messageBytesMax: 100 });
    const wrong = made.open(inputPath);
    wrong.handler.onData(Uint8Array.of(0, 0, 0, 0, 1, 0xff));
    const large = made.open(inputPath);
    large.handler.onData(input(1));
    large.handler.onData(Uint8Array.of(0, 0, 0, 0, 101));
    await made.router.idle();
    assert.equal(wrong.stream.status('grpc-status'), '3');
    assert.equal(large.stream.status('grpc-status'), '8');
  });

  it('BS-13, BS-14: an early answer goes out at once, and the rest of the request is dropped with its credit', async () => {
    const made = harness({
      async streamingInputCall(requests) {
        for await (const { payload } of requests) return { aggregatedPayloadSize: payload?.body.byteLength ?? 0 };
        return {};
      },
    });
    const { stream, handler } = made.open(inputPath);
    handler.onData(Uint8Array.from(Buffer.concat([input(10), input(20), input(30).subarray(0, 9)])));
    await made.router.idle();
    assert.deepEqual(decoded(StreamingInputCallResponseSchema, stream.data).map((answer) => answer.aggregatedPayloadSize), [10]);
    handler.onData(new Uint8Array(100_000).fill(0xff));
    assert.equal(stream.consumedBytes, input(10).byteLength + input(20).byteLength + 9 + 100_000);
    handler.onEnd(undefined);
    assert.equal(stream.resetCode, undefined);
    assert.equal(made.clock.pendingTimers, 0);
  });

  it('says whether an upload waits for its client, and ends with the reason when that takes too long', async () => {
    const taken = Promise.withResolvers<void>();
    const made = harness({
      async streamingInputCall(requests) {
        for await (const _ of requests) await taken.promise;
        return {};
      },
    });
    const { stream, handler } = made.open(inputPath);
    assert.equal(handler.awaitsRequest, true);
    handler.onData(input(1));
    await settle();
    assert.equal(handler.awaitsRequest, false, 'the handler is at work');
    taken.resolve();
    await settle();
    assert.equal(handler.awaitsRequest, true);
    handler.onStalled?.('less than 10 bytes came within 1000 ms');
    await made.router.idle();
    assert.equal(handler.awaitsRequest, false);
    assert.equal(stream.status('grpc-status'), '4');
    assert.match(stream.status('grpc-message') ?? '', /1000 ms/);
  });

  it('a request of one message is waited for until it is there; a conversation never is', async () => {
    const unary = harness({ unaryCall: () => ({}) }).open('/grpc.testing.TestService/UnaryCall').handler;
    assert.equal(unary.awaitsRequest, true);
    unary.onStalled?.('nothing came');
    assert.equal(unary.awaitsRequest, false);
    const talking = harness({ async *fullDuplexCall(requests) { for await (const _ of requests) yield {}; } }).open('/grpc.testing.TestService/FullDuplexCall').handler;
    await settle();
    assert.equal(talking.awaitsRequest, false);
  });

  it('HT-8: a reset ends the wait for the next message with cancelled', async () => {
    let failure: unknown;
    const made = harness({
      async streamingInputCall(requests) {
        try {
          for await (const _ of requests);
        } catch (error) {
          failure = error;
          throw error;
        }
        return {};
      },
    });
    const { stream, handler } = made.open(inputPath);
    handler.onData(input(1));
    await settle();
    stream.lose({ code: 8, byPeer: true });
    await made.router.idle();
    assert.equal((failure as CacheError).code, 'cancelled');
    assert.deepEqual(made.log.errors, []);
  });
});

describe('bidirectional streaming', () => {
  const echo: Handlers<typeof TestService>['fullDuplexCall'] = async function* (requests, _context: CallContext) {
    for await (const { payload } of requests) yield { payload: { body: payload?.body ?? new Uint8Array(0) } };
  };
  const question = (size: number) => encoded(StreamingOutputCallRequestSchema, { payload: { body: new Uint8Array(size) } });

  it('answers each message as it comes', async () => {
    const made = harness({ fullDuplexCall: echo });
    const { stream, handler } = made.open(duplexPath);
    for (const count of [1, 2, 3]) {
      handler.onData(question(count));
      await settle();
      assert.equal(decoded(StreamingOutputCallResponseSchema, stream.data).length, count);
    }
    assert.equal(stream.answered, false);
    handler.onEnd(undefined);
    await made.router.idle();
    assert.equal(stream.status('grpc-status'), '0');
  });

  it('BS-6, HT-4: a client that does not read is not read from either', async () => {
    const made = harness({ fullDuplexCall: echo }, { sendQueueBytesMax: 5000 });
    const { stream, handler } = made.open(duplexPath, {}, 0);
    for (let sent = 0; sent < 20; sent += 1) {
      handler.onData(question(1000));
      await settle();
    }
    assert.ok(stream.queuedBytes < 7000, `${stream.queuedBytes} bytes queued`);
    assert.ok(stream.consumedBytes < 8000, `${stream.consumedBytes} bytes of credit returned`);
    handler.onEnd(undefined);
    while (!stream.answered) {
      stream.open(3000);
      await settle();
    }
    assert.equal(decoded(StreamingOutputCallResponseSchema, stream.data).length, 20);
  });
});
