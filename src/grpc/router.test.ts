// The router on the production stack, with @grpc/grpc-js as an independent client, over real sockets.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import { describe, it } from 'node:test';
import { fromBinary } from '@bufbuild/protobuf';
import grpc from '@grpc/grpc-js';
import { CacheError } from '../base/cache-error.ts';
import { StatusSchema } from '../proto/gen/google/rpc/status_pb.ts';
import { TestService } from '../proto/gen/grpc/testing/test_pb.ts';
import { GrpcJsClient, statusOf } from '../testing/grpc-js-client.ts';
import { createInteropTestService } from '../testing/interop-test-service.ts';
import { serveGrpc } from '../testing/serve-grpc.ts';
import type { ServeGrpcOptions } from '../testing/serve-grpc.ts';
import { implementService } from './service.ts';
import type { Handlers, ServiceImplementation } from './service.ts';

const { unaryCall, emptyCall, streamingInputCall, streamingOutputCall, fullDuplexCall, unimplementedCall } = TestService.method;

async function open(service: ServiceImplementation, options: ServeGrpcOptions & { readonly channel?: grpc.ChannelOptions } = {}) {
  const stack = new AsyncDisposableStack();
  const server = stack.use(await serveGrpc([service], options));
  const client = stack.use(new GrpcJsClient(server.address, options.channel));
  return { server, client, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

const serving = (handlers: Handlers<typeof TestService>) => implementService(TestService, handlers);

describe('gRPC over sockets: call kinds', () => {
  it('HT-1, HT-5: unary messages of every size pass both ways', async () => {
    await using opened = await open(serving({ unaryCall: ({ payload }) => ({ payload: { body: payload?.body ?? new Uint8Array(0) } }) }));
    for (const size of [0, 1, 100, 16_378, 16_379, 16_384, 65_535, 65_536, 1_000_000, 3_145_728, 4_194_304 - 10]) {
      const body = new Uint8Array(size).map((_, index) => index * 7 + (index >> 8));
      const { message } = await opened.client.unary(unaryCall, { payload: { body } });
      assert.ok(Buffer.from(message.payload?.body ?? []).equals(body), `${size} bytes`);
    }
  });

  it('unary calls run beside each other, answered at once and later', async () => {
    await using opened = await open(serving({
      unaryCall: (request) => {
        const answer = { payload: { body: new Uint8Array(request.responseSize) } };
        return request.responseSize % 2 === 0 ? answer : new Promise((resolve) => setImmediate(resolve, answer));
      },
    }));
    const sizes = Array.from({ length: 500 }, (_, index) => index * 10 + (index % 3));
    const answers = await Promise.all(sizes.map((responseSize) => opened.client.unary(unaryCall, { responseSize })));
    assert.deepEqual(answers.map(({ message }) => message.payload?.body.byteLength), sizes);
    assert.equal(opened.server.router.runningHandlers, 0);
  });

  it('server streaming sends all messages in order', async () => {
    await using opened = await open(createInteropTestService());
    const sizes = [31415, 9, 0, 2653, 58979, 3_000_000, 1];
    const call = opened.client.serverStream(streamingOutputCall, { responseParameters: sizes.map((size) => ({ size })) });
    const received: number[] = [];
    for await (const { payload } of call) received.push(payload.body.byteLength);
    assert.deepEqual(received, sizes);
  });

  it('HT-5: client streaming takes all messages, small and large', async () => {
    await using opened = await open(createInteropTestService());
    const { call, outcome } = opened.client.clientStream(streamingInputCall);
    let sum = 0;
    for (const size of [0, 1, 27182, 8, 1828, 45904, 2_000_000, 0]) {
      sum += size;
      call.write({ payload: { body: new Uint8Array(size) } });
    }
    for (let count = 0; count < 2000; count += 1) call.write({ payload: { body: new Uint8Array(1) } });
    call.end();
    assert.equal((await outcome).message.aggregatedPayloadSize, sum + 2000);
  });

  it('bidirectional streaming answers each message before the next is sent', async () => {
    await using opened = await open(createInteropTestService());
    const call = opened.client.bidiStream(fullDuplexCall);
    const status = statusOf(call);
    for (const size of [31415, 9, 2653, 58979]) {
      call.write({ responseParameters: [{ size }], payload: { body: new Uint8Array(size) } });
      const [answer] = await once(call, 'data');
      assert.equal(answer.payload.body.byteLength, size);
    }
    call.end();
    assert.equal((await status).code, 0);
  });
});

describe('gRPC over sockets: errors', () => {
  it('ERR-1, ERR-9, HT-10: status, text and details reach the client, before and after the first message', async () => {
    const text = '\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \u{1f608}\t\n';
    const error = new CacheError('failed_precondition', text, { details: [{ kind: 'missing_blobs', blobs: [{ hash: 'ab', sizeBytes: 1 }] }] });
    await using opened = await open(serving({
      unaryCall: () => { throw error; },
      async *streamingOutputCall() { yield {}; throw error; },
    }));
    const unary = await opened.client.unary(unaryCall, {}).then(() => assert.fail(), (failure: grpc.ServiceError) => failure);
    const stream = opened.client.serverStream(streamingOutputCall, {});
    stream.resume();
    for (const failure of [unary, await statusOf(stream)]) {
      assert.equal(failure.code, grpc.status.FAILED_PRECONDITION);
      assert.equal(failure.details, text);
      const [details] = failure.metadata.get('grpc-status-details-bin');
      const status = fromBinary(StatusSchema, details as Buffer);
      assert.deepEqual([status.code, status.message, status.details.length], [9, text, 1]);
    }
  });

  it('ERR-6: what is not implemented is UNIMPLEMENTED at once', async () => {
    await using opened = await open(createInteropTestService());
    await assert.rejects(opened.client.unary(unimplementedCall, {}), { code: grpc.status.UNIMPLEMENTED });
  });

  it('HT-1: after a message over the limit the connection goes on', async () => {
    await using opened = await open(createInteropTestService(), { grpc: { messageBytesMax: 100_000 } });
    const large = { payload: { body: new Uint8Array(3_000_000) } };
    await assert.rejects(opened.client.unary(unaryCall, large), { code: grpc.status.RESOURCE_EXHAUSTED, details: /100000 bytes/ });
    await opened.client.unary(unaryCall, { payload: { body: new Uint8Array(99_000) } });
  });

  it('HT-9: gzip requests are understood', async () => {
    const gzip = { 'grpc.default_compression_algorithm': 2 };
    await using opened = await open(serving({ unaryCall: ({ payload }) => ({ payload: { body: payload?.body ?? new Uint8Array(0) } }) }), { channel: gzip });
    const { message } = await opened.client.unary(unaryCall, { payload: { body: new Uint8Array(100_000).fill(3) } });
    assert.equal(message.payload?.body.byteLength, 100_000);
  });

  it('BS-14: the answer to a half-sent stream arrives while the client is still writing, without a reset', async () => {
    await using opened = await open(serving({
      async streamingInputCall(requests) {
        for await (const _ of requests) break;
        return { aggregatedPayloadSize: 7 };
      },
    }));
    const { call, outcome } = opened.client.clientStream(streamingInputCall);
    for (let count = 0; count < 40; count += 1) call.write({ payload: { body: new Uint8Array(100_000) } });
    const { message, status } = await outcome;
    assert.equal(message.aggregatedPayloadSize, 7);
    assert.equal(status.code, 0);
    call.end();
  });
});

describe('gRPC over sockets: deadlines, cancellation, metadata', () => {
  it('HT-7: the server ends the work at the deadline', async () => {
    const aborted = Promise.withResolvers<unknown>();
    await using opened = await open(serving({
      emptyCall: () => ({}),
      unaryCall: async (_, { signal }) => {
        if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve));
        aborted.resolve((signal.reason as CacheError).code);
        return {};
      },
    }));
    await opened.client.unary(emptyCall, {}); // connects, which must not use up the time of the next call
    await assert.rejects(opened.client.unary(unaryCall, {}, { deadline: Date.now() + 500 }), { code: grpc.status.DEADLINE_EXCEEDED });
    assert.match(String(await aborted.promise), /deadline_exceeded|cancelled/); // the client's own clock may be first
  });

  it('HT-8: cancelling in mid-stream returns the generator', async () => {
    const released = Promise.withResolvers<void>();
    await using opened = await open(serving({
      async *streamingOutputCall() {
        try {
          for (;;) yield { payload: { body: new Uint8Array(1000) } };
        } finally {
          released.resolve();
        }
      },
    }));
    const call = opened.client.serverStream(streamingOutputCall, {});
    const status = statusOf(call);
    await once(call, 'data');
    call.cancel();
    call.resume();
    assert.equal((await status).code, grpc.status.CANCELLED);
    await released.promise;
    await opened.server.router.idle();
  });

  it('HT-8: a connection that breaks aborts its calls', async () => {
    const aborted = Promise.withResolvers<unknown>();
    const started = Promise.withResolvers<void>();
    await using server = await serveGrpc([serving({
      unaryCall: async (_, { signal }) => {
        started.resolve();
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
        aborted.resolve(signal.reason);
        return {};
      },
    })]);
    const session = http2.connect(`http://${server.address}`);
    session.on('error', () => {});
    const stream = session.request({ ':method': 'POST', ':path': '/grpc.testing.TestService/UnaryCall', 'content-type': 'application/grpc' });
    stream.on('error', () => {});
    stream.end(Buffer.alloc(5)); // the empty message
    await started.promise;
    session.socket.destroy();
    assert.equal(((await aborted.promise) as CacheError).code, 'cancelled');
    await server.router.idle();
  });

  it('HT-5: a client that writes byte by byte is understood', async () => {
    await using server = await serveGrpc([createInteropTestService()]);
    const session = http2.connect(`http://${server.address}`);
    const stream = session.request({ ':method': 'POST', ':path': '/grpc.testing.TestService/UnaryCall', 'content-type': 'application/grpc' });
    const trailers = once(stream, 'trailers');
    stream.resume();
    for (const byte of [0, 0, 0, 0, 2, 0x10, 7]) await new Promise((resolve) => stream.write(Uint8Array.of(byte), resolve)); // response_size: 7
    stream.end();
    assert.equal((await trailers)[0]['grpc-status'], '0');
    session.close();
  });

  it('MD-1, MD-3: text and binary metadata pass in both directions', async () => {
    await using opened = await open(createInteropTestService());
    const metadata = new grpc.Metadata();
    metadata.set('x-grpc-test-echo-initial', 'test_initial_metadata_value');
    metadata.set('x-grpc-test-echo-trailing-bin', Buffer.from('ababab', 'hex'));
    metadata.set('build.bazel.remote.execution.v2.requestmetadata-bin', Buffer.from('0a0568656c6c6f', 'hex'));
    const { headers, status } = await opened.client.unary(unaryCall, {}, { metadata });
    assert.deepEqual(headers.get('x-grpc-test-echo-initial'), ['test_initial_metadata_value']);
    assert.deepEqual(status.metadata.get('x-grpc-test-echo-trailing-bin'), [Buffer.from('ababab', 'hex')]);
  });

  it('MD-2: metadata that cannot be decoded does not fail a call', async () => {
    await using opened = await open(createInteropTestService());
    const metadata = new grpc.Metadata();
    metadata.set('build.bazel.remote.execution.v2.requestmetadata-bin', Buffer.from('ffffff', 'hex'));
    assert.equal((await opened.client.unary(emptyCall, {}, { metadata })).status.code, 0);
  });

  it('HT-3: calls in progress are finished while draining', async () => {
    const gate = Promise.withResolvers<void>();
    const started = Promise.withResolvers<void>();
    await using opened = await open(serving({ unaryCall: async () => (started.resolve(), await gate.promise, {}) }));
    const outcome = opened.client.unary(unaryCall, {});
    await started.promise;
    const drained = opened.server.drain();
    gate.resolve();
    assert.equal((await outcome).status.code, 0);
    await drained;
  });
});

/** Waits until `value` has stayed the same for a thousand turns of the loop, each with its I/O. */
async function quiet(value: () => number): Promise<void> {
  let last = value();
  for (let turns = 0; turns < 1000; turns += 1) {
    await new Promise((resolve) => setImmediate(resolve));
    if (value() === last) continue;
    last = value();
    turns = 0;
  }
}

describe('gRPC over sockets: backpressure', () => {
  it('BS-6: a client that does not read stops the handler, and gets everything in the end', async () => {
    const chunk = new Uint8Array(64 * 1024);
    const total = 1000; // 62.5 MiB
    let made = 0;
    await using opened = await open(serving({ async *streamingOutputCall() { for (; made < total; made += 1) yield { payload: { body: chunk } }; } }));
    const call = opened.client.serverStream(streamingOutputCall, {});
    await once(call, 'readable');
    await quiet(() => made);
    assert.ok(made < total / 2, `${made} of ${total} chunks were made for a client that does not read`);
    let received = 0;
    for await (const { payload } of call) received += payload.body.byteLength;
    assert.equal(received, total * chunk.byteLength);
  });

  it('HT-4: a handler that does not read stops the client, and gets everything in the end', async () => {
    const gate = Promise.withResolvers<void>();
    await using opened = await open(serving({
      async streamingInputCall(requests) {
        await gate.promise;
        let aggregatedPayloadSize = 0;
        for await (const { payload } of requests) aggregatedPayloadSize += payload?.body.byteLength ?? 0;
        return { aggregatedPayloadSize };
      },
    }), { http2: { streamWindowBytes: 100_000 } });
    const { call, outcome } = opened.client.clientStream(streamingInputCall);
    const body = new Uint8Array(50_000);
    let written = 0;
    while (written < 100 && call.write({ payload: { body } })) written += 1;
    assert.ok(written < 100, 'the client was never stopped');
    gate.resolve();
    for (; written < 100; written += 1) if (!call.write({ payload: { body } })) await once(call, 'drain');
    call.end();
    assert.ok((await outcome).message.aggregatedPayloadSize >= 100 * body.byteLength);
  });
});
