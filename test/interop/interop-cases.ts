// The gRPC interoperability cases that need neither accounts nor xDS, for any client and any server of
// grpc.testing.TestService (their description: doc/interop-test-descriptions.md of grpc/grpc). Nothing here knows whose
// client or server it is.
import assert from 'node:assert/strict';
import { TestService, UnimplementedService } from '../../src/proto/gen/grpc/testing/test_pb.ts';
import { CallFailure } from './interop-client.ts';
import type { InteropClient, InteropOptions, MetadataReader } from './interop-client.ts';

const { emptyCall, unaryCall, streamingInputCall, streamingOutputCall, fullDuplexCall, unimplementedCall } = TestService.method;

const largeRequestBytes = 271_828;
const largeAnswerBytes = 314_159;
const requestSizes = [27_182, 8, 1_828, 45_904];
const answerSizes = [31_415, 9, 2_653, 58_979];
const echoHeader = 'x-grpc-test-echo-initial';
const echoTrailer = 'x-grpc-test-echo-trailing-bin';

const status = { cancelled: 1, unknown: 2, invalidArgument: 3, deadlineExceeded: 4, unimplemented: 12 } as const;

function payload(bytes: number): { readonly payload: { readonly body: Uint8Array } } {
  return { payload: { body: new Uint8Array(bytes) } };
}

async function* each<T>(items: readonly T[]): AsyncGenerator<T, void, undefined> {
  yield* items;
}

/** Never ends by itself: only the end of its call ends it. */
async function* silence(): AsyncGenerator<never, void, undefined> {
  yield await new Promise<never>(() => {});
}

async function failureOf(outcome: Promise<unknown>): Promise<CallFailure> {
  try {
    await outcome;
  } catch (thrown) {
    if (thrown instanceof CallFailure) return thrown;
    throw thrown;
  }
  return assert.fail('the call ended with OK');
}

async function largeUnary(client: InteropClient, options: InteropOptions): Promise<void> {
  const answer = await client.unary(unaryCall, { responseSize: largeAnswerBytes, ...payload(largeRequestBytes) }, options);
  assert.ok(Buffer.alloc(largeAnswerBytes).equals(answer.payload?.body ?? new Uint8Array(0)), 'the answer has other octets');
}

async function clientStreaming(client: InteropClient, options: InteropOptions): Promise<void> {
  const answer = await client.clientStream(streamingInputCall, each(requestSizes.map(payload)), options);
  assert.equal(answer.aggregatedPayloadSize, 74_922);
}

async function serverStreaming(client: InteropClient): Promise<void> {
  const answers = await Array.fromAsync(client.serverStream(streamingOutputCall, { responseParameters: answerSizes.map((size) => ({ size })) }));
  assert.deepEqual(answers.map((answer) => answer.payload?.body.byteLength), answerSizes);
}

/** Each request waits for the answer to the one before. */
async function pingPong(client: InteropClient): Promise<void> {
  let next = Promise.withResolvers<void>();
  async function* requests() {
    for (const [index, size] of answerSizes.entries()) {
      yield { responseParameters: [{ size }], ...payload(requestSizes[index] ?? 0) };
      await next.promise;
      next = Promise.withResolvers();
    }
  }
  const got: number[] = [];
  for await (const answer of client.bidiStream(fullDuplexCall, requests())) {
    got.push(answer.payload?.body.byteLength ?? -1);
    next.resolve();
  }
  assert.deepEqual(got, answerSizes);
}

async function timeoutOnSleepingServer(client: InteropClient): Promise<void> {
  const call = client.bidiStream(fullDuplexCall, silence(), { timeoutMs: 1 });
  assert.equal((await failureOf(Array.fromAsync(call))).status, status.deadlineExceeded);
}

async function cancelAfterBegin(client: InteropClient): Promise<void> {
  const cancel = new AbortController();
  const outcome = failureOf(client.clientStream(streamingInputCall, silence(), { signal: cancel.signal }));
  setImmediate(() => cancel.abort());
  assert.equal((await outcome).status, status.cancelled);
}

async function cancelAfterFirstResponse(client: InteropClient): Promise<void> {
  const cancel = new AbortController();
  async function* requests() {
    yield { responseParameters: [{ size: 31_415 }], ...payload(27_182) };
    yield* silence();
  }
  let answers = 0;
  const read = async (): Promise<void> => {
    for await (const answer of client.bidiStream(fullDuplexCall, requests(), { signal: cancel.signal })) {
      assert.equal(answer.payload?.body.byteLength, 31_415);
      answers++;
      cancel.abort();
    }
  };
  assert.equal((await failureOf(read())).status, status.cancelled);
  assert.equal(answers, 1);
}

async function customMetadata(client: InteropClient): Promise<void> {
  const trailer = Uint8Array.of(0xab, 0xab, 0xab);
  const check = async (run: (options: InteropOptions) => Promise<unknown>): Promise<void> => {
    const got: { headers?: MetadataReader; trailers?: MetadataReader } = {};
    await run({
      metadata: { [echoHeader]: 'test_initial_metadata_value', [echoTrailer]: trailer },
      onHeaders: (headers) => (got.headers = headers),
      onTrailers: (trailers) => (got.trailers = trailers),
    });
    assert.deepEqual(got.headers?.(echoHeader), ['test_initial_metadata_value']);
    assert.deepEqual(got.trailers?.(echoTrailer).map((value) => Buffer.from(value).toString('hex')), ['ababab']);
  };
  await check((options) => client.unary(unaryCall, { responseSize: 1, ...payload(1) }, options));
  await check((options) => Array.fromAsync(client.bidiStream(fullDuplexCall, each([{ responseParameters: [{ size: 1 }], ...payload(1) }]), options)));
}

async function statusCodeAndMessage(client: InteropClient): Promise<void> {
  const responseStatus = { code: status.unknown, message: 'test status message' };
  const calls = [() => client.unary(unaryCall, { responseStatus }), () => Array.fromAsync(client.bidiStream(fullDuplexCall, each([{ responseStatus }])))];
  for (const call of calls) {
    const failure = await failureOf(call());
    assert.deepEqual([failure.status, failure.text], [responseStatus.code, responseStatus.message]);
  }
}

async function specialStatusMessage(client: InteropClient): Promise<void> {
  const responseStatus = { code: status.unknown, message: '\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n' };
  const failure = await failureOf(client.unary(unaryCall, { responseStatus }));
  assert.deepEqual([failure.status, failure.text], [responseStatus.code, responseStatus.message]);
}

/** So many calls one after the other, then so many at once. */
async function soak(client: InteropClient): Promise<void> {
  for (let round = 0; round < 10; round++) await largeUnary(client, {});
  await Promise.all(Array.from({ length: 50 }, () => largeUnary(client, {})));
}

/** By the names that every implementation gives them. */
export const interopCases: Readonly<Record<string, (client: InteropClient) => Promise<unknown>>> = {
  empty_unary: (client) => client.unary(emptyCall, {}),
  large_unary: (client) => largeUnary(client, {}),
  client_streaming: (client) => clientStreaming(client, {}),
  server_streaming: serverStreaming,
  ping_pong: pingPong,
  empty_stream: async (client) => assert.deepEqual(await Array.fromAsync(client.bidiStream(fullDuplexCall, each([]))), []),
  timeout_on_sleeping_server: timeoutOnSleepingServer,
  cancel_after_begin: cancelAfterBegin,
  cancel_after_first_response: cancelAfterFirstResponse,
  custom_metadata: customMetadata,
  status_code_and_message: statusCodeAndMessage,
  special_status_message: specialStatusMessage,
  unimplemented_method: async (client) => assert.equal((await failureOf(client.unary(unimplementedCall, {}))).status, status.unimplemented),
  unimplemented_service: async (client) => assert.equal((await failureOf(client.unary(UnimplementedService.method.unimplementedCall, {}))).status, status.unimplemented),
  rpc_soak: soak,
};

const expected = (value: boolean) => ({ expectCompressed: { value } });

/** First a call that says it is compressed and is not, to see that the server looks at all. */
async function clientCompressedUnary(client: InteropClient): Promise<void> {
  const request = { responseSize: largeAnswerBytes, ...payload(largeRequestBytes) };
  const lying = await failureOf(client.unary(unaryCall, { ...request, ...expected(true) }));
  assert.equal(lying.status, status.invalidArgument);
  for (const compressed of [true, false]) {
    const answer = await client.unary(unaryCall, { ...request, ...expected(compressed) }, { compressed });
    assert.equal(answer.payload?.body.byteLength, largeAnswerBytes);
  }
}

async function clientCompressedStreaming(client: InteropClient): Promise<void> {
  const requests = (compressed: boolean) => each(requestSizes.map((size) => ({ ...payload(size), ...expected(compressed) })));
  const failed = await failureOf(client.clientStream(streamingInputCall, requests(true)));
  assert.equal(failed.status, status.invalidArgument);
  for (const compressed of [true, false]) {
    const answer = await client.clientStream(streamingInputCall, requests(compressed), { compressed });
    assert.equal(answer.aggregatedPayloadSize, 74_922);
  }
}

/**
 * The cases with compression, for clients that compress, and servers that look whether they do. In the streaming one all
 * messages of a call are compressed, or none: @grpc/grpc-js cannot choose for each.
 */
export const compressedCases: Readonly<Record<string, (client: InteropClient) => Promise<unknown>>> = {
  client_compressed_unary: clientCompressedUnary,
  client_compressed_streaming: clientCompressedStreaming,
};
