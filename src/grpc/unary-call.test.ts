// Calls with one request message, to the byte, on a fake stream.
import { fromBinary } from '@bufbuild/protobuf';
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { CacheError } from '../base/cache-error.ts';
import { PreconditionFailureSchema, RetryInfoSchema } from '../proto/gen/google/rpc/error_details_pb.ts';
import { StatusSchema } from '../proto/gen/google/rpc/status_pb.ts';
import { SimpleRequestSchema, SimpleResponseSchema, StreamingOutputCallResponseSchema } from '../proto/gen/grpc/testing/messages_pb.ts';
import { TestService } from '../proto/gen/grpc/testing/test_pb.ts';
import { decoded, encoded, framed, GrpcHarness, settle } from '../testing/grpc-harness.ts';
import type { OpenCall } from '../testing/grpc-harness.ts';
import type { GrpcLimits } from './limits.ts';
import { percentDecode } from './percent-encoding.ts';
import { implementService } from './service.ts';
import type { Handlers } from './service.ts';

const unaryPath = '/grpc.testing.TestService/UnaryCall';
const request = encoded(SimpleRequestSchema, { responseSize: 3 });
const body = (size: number) => ({ payload: { body: new Uint8Array(size) } });

function harness(unaryCall: Handlers<typeof TestService>['unaryCall'], limits: Partial<GrpcLimits> = {}): GrpcHarness {
  return new GrpcHarness(implementService(TestService, unaryCall === undefined ? {} : { unaryCall }), limits);
}

function send(call: OpenCall, bytes: Uint8Array = request): OpenCall {
  call.handler.onData(bytes);
  call.handler.onEnd(undefined);
  return call;
}

function assertStatus({ stream }: OpenCall, status: number, text?: RegExp): void {
  assert.equal(stream.status('grpc-status'), String(status), stream.status('grpc-message') ?? 'no message');
  if (text !== undefined) assert.match(percentDecode(stream.status('grpc-message') ?? ''), text);
}

describe('unary calls', () => {
  it('HT-10: a synchronous handler is answered with headers, message and trailers before the request event returns', () => {
    const call = send(harness(({ responseSize }) => body(responseSize)).open(unaryPath));
    assert.deepEqual(call.stream.headers, [[':status', '200'], ['content-type', 'application/grpc']]);
    assert.deepEqual(decoded(SimpleResponseSchema, call.stream.data).map(({ payload }) => payload?.body.byteLength), [3]);
    assert.deepEqual(call.stream.trailers, [['grpc-status', '0']]);
  });

  it('answers later when the handler does', async () => {
    const gate = Promise.withResolvers<void>();
    const made = harness(async () => (await gate.promise, body(1)));
    const { router } = made;
    const call = send(made.open(unaryPath));
    assert.equal(call.stream.answered, false);
    assert.equal(router.runningHandlers, 1);
    const idle = router.idle();
    gate.resolve();
    await idle;
    assertStatus(call, 0);
    assert.equal(router.runningHandlers, 0);
  });

  it('HT-5: takes the message in any pieces', () => {
    const call = harness(({ responseSize }) => body(responseSize)).open(unaryPath);
    for (const byte of request) call.handler.onData(Uint8Array.of(byte));
    call.handler.onEnd(undefined);
    assertStatus(call, 0);
    assert.equal(call.stream.consumedBytes, request.byteLength);
  });

  it('gives the handler a message that nobody else writes to', () => {
    let kept: Uint8Array | undefined;
    const call = harness(({ payload }) => ((kept = payload?.body), {})).open(unaryPath);
    const piece = encoded(SimpleRequestSchema, { payload: { body: Uint8Array.of(1, 2, 3) } });
    call.handler.onData(piece);
    piece.fill(0xff);
    call.handler.onEnd(undefined);
    assert.deepEqual(kept, Uint8Array.of(1, 2, 3));
  });

  it('refuses a message of so many fields that it would fill the memory', () => {
    const call = harness(() => assert.fail('not called')).open(unaryPath);
    const unknownFields = new Uint8Array(1_000_002).fill(0x01).map((byte, index) => (index % 2 === 0 ? 0x78 : byte)); // field 15
    send(call, framed(unknownFields));
    assertStatus(call, 3, /more than 500000 fields/);
  });

  it('passes a large answer on in slices', () => {
    const call = send(harness(() => body(100_000)).open(unaryPath));
    assert.equal(call.stream.pieces[0]?.byteLength, 5);
    assert.equal(decoded(SimpleResponseSchema, call.stream.data)[0]?.payload?.body.byteLength, 100_000);
  });

  it('says INTERNAL for a request without a message, with half of one, or with two', () => {
    const open = () => harness(() => ({})).open(unaryPath);
    assertStatus(send(open(), new Uint8Array(0)), 13, /without a message/);
    assertStatus(send(open(), request.subarray(0, 3)), 13, /middle of a message/);
    assertStatus(send(open(), Buffer.concat([request, request])), 13, /second one/);
    const inPieces = open();
    inPieces.handler.onData(request);
    assertStatus(send(inPieces), 13, /second one/);
  });

  it('says INVALID_ARGUMENT for bytes that are no such message, and logs nothing', () => {
    const made = harness(() => ({}));
    assertStatus(send(made.open(unaryPath), framed(Uint8Array.of(0xff, 0xff))), 3, /cannot be decoded/);
    assert.deepEqual(made.log.errors, []);
  });

  it('HT-1: refuses a message over the limit from its prefix, and drops what still comes', () => {
    const call = harness(() => ({}), { messageBytesMax: 10 }).open(unaryPath);
    call.handler.onData(framed(new Uint8Array(11)).subarray(0, 6));
    assertStatus(call, 8, /11 bytes.*10 bytes/);
    call.handler.onData(new Uint8Array(10));
    assert.equal(call.stream.consumedBytes, 16);
    call.handler.onEnd(undefined);
    assert.equal(call.stream.resetCode, undefined);
  });

  it('BS-14: resets a request that goes on for too long after its answer, without an error', () => {
    const limits = { messageBytesMax: 10, discardBytesMax: 1000, discardMs: 50 };
    const long = harness(() => ({}), limits).open(unaryPath);
    long.handler.onData(framed(new Uint8Array(11)));
    long.handler.onData(new Uint8Array(1000));
    assert.equal(long.stream.resetCode, undefined);
    long.handler.onData(new Uint8Array(1));
    assert.equal(long.stream.resetCode, 0);
    const made = harness(() => ({}), limits);
    const slow = made.open(unaryPath);
    slow.handler.onData(framed(new Uint8Array(11)));
    made.clock.advance(50);
    assert.equal(slow.stream.resetCode, 0);
    assert.equal(made.clock.pendingTimers, 0);
  });
});

describe('errors', () => {
  it('HT-10: are trailers-only when nothing was sent', () => {
    const call = send(harness(() => { throw new CacheError('not_found', 'blob ü is not here'); }).open(unaryPath));
    assertStatus(call, 5, /^blob ü is not here$/);
    assert.equal(call.stream.trailers, undefined);
    assert.equal(call.stream.status(':status'), '200');
  });

  it('ERR-1, ERR-2: carry google.rpc.Status with code, message and typed details', () => {
    const details = [
      { kind: 'missing_blobs', blobs: [{ hash: 'abc', sizeBytes: 12 }] },
      { kind: 'retry_after', delayMs: 1500 },
    ] as const;
    const call = send(harness(() => { throw new CacheError('failed_precondition', 'missing ☺', { details }); }).open(unaryPath));
    assertStatus(call, 9, /^missing ☺$/);
    const status = fromBinary(StatusSchema, Buffer.from(call.stream.status('grpc-status-details-bin') ?? '', 'base64'));
    assert.deepEqual([status.code, status.message], [9, 'missing ☺']);
    const [violations, retry] = status.details;
    assert.ok(violations !== undefined && retry !== undefined);
    const [violation] = anyUnpack(violations, PreconditionFailureSchema)?.violations ?? [];
    assert.deepEqual([violation?.type, violation?.subject], ['MISSING', 'blobs/abc/12']);
    const delay = anyUnpack(retry, RetryInfoSchema)?.retryDelay;
    assert.deepEqual([delay?.seconds, delay?.nanos], [1n, 500_000_000]);
  });

  it('stay below the header limit of clients, with the first violations named', () => {
    const blobs = Array.from({ length: 1000 }, (_, index) => ({ hash: 'a'.repeat(64), sizeBytes: index }));
    const details = [{ kind: 'missing_blobs', blobs }] as const;
    const call = send(harness(() => { throw new CacheError('failed_precondition', '☺'.repeat(5000), { details }); }).open(unaryPath));
    const size = (call.stream.headers ?? []).reduce((sum, [name, value]) => sum + name.length + value.length + 32, 0);
    assert.ok(size < 8192, `${size} bytes of trailers`);
    const status = fromBinary(StatusSchema, Buffer.from(call.stream.status('grpc-status-details-bin') ?? '', 'base64'));
    assert.equal(status.message, percentDecode(call.stream.status('grpc-message') ?? ''));
  });

  it('that nobody classified are INTERNAL and logged with their cause; classified ones are not', async () => {
    const bug = new TypeError('x is not a function');
    const made = harness(() => { throw bug; });
    assertStatus(send(made.open(unaryPath)), 13, /unexpected failure/);
    assert.deepEqual(made.log.errors.map(({ cause }) => cause), [bug]);
    const later = harness(() => Promise.reject(new CacheError('unavailable', 'busy')));
    const call = send(later.open(unaryPath));
    await settle();
    assertStatus(call, 14, /busy/);
    assert.deepEqual(later.log.errors, []);
  });

  it('an answer that cannot be encoded is INTERNAL', () => {
    const made = harness(() => ({ payload: { type: 'nonsense' } }) as never);
    assertStatus(send(made.open(unaryPath)), 13);
    assert.equal(made.log.errors.length, 1);
  });
});

describe('requests that no handler sees', () => {
  const made = () => harness(() => ({}));

  it('ERR-6: an unknown service or method, or no path at all, is UNIMPLEMENTED at once', () => {
    assertStatus(made().open('/grpc.testing.Nothing/Call'), 12, /grpc\.testing\.Nothing/);
    assertStatus(made().open('/grpc.testing.TestService/Nothing'), 12, /Nothing/);
    assertStatus(made().open('/grpc.testing.TestService/EmptyCall'), 12, /EmptyCall/); // declared, not implemented
    for (const path of ['/', '*', '/x', '/a/b/c', 'grpc.testing.TestService/UnaryCall']) assertStatus(made().open(path), 12, /path/);
  });

  it('HT-6: another content type is HTTP 415, in plain text', () => {
    for (const type of ['application/json', 'application/grpc-web', 'application/grpc+json', 'application/grpcx']) {
      const { stream } = made().open(unaryPath, { 'content-type': type });
      assert.equal(stream.status(':status'), '415', type);
      assert.match(Buffer.from(stream.data).toString(), /application\/grpc/);
      assert.ok(stream.answered);
    }
    for (const type of ['application/grpc+proto', 'application/grpc; charset=utf-8', 'application/grpc+proto;x=y']) {
      assertStatus(send(made().open(unaryPath, { 'content-type': type })), 0);
    }
  });

  it('another HTTP method is 405', () => {
    assert.equal(made().open(unaryPath, { ':method': 'GET' }).stream.status(':status'), '405');
  });

  it('HT-9: an unknown encoding is UNIMPLEMENTED and told the known ones', () => {
    const call = made().open(unaryPath, { 'grpc-encoding': 'snappy' });
    assertStatus(call, 12, /snappy.*gzip/);
    assert.equal(call.stream.status('grpc-accept-encoding'), 'identity,gzip');
  });

  it('a malformed grpc-timeout is INVALID_ARGUMENT', () => {
    assertStatus(made().open(unaryPath, { 'grpc-timeout': '5x' }), 3, /5x/);
  });

  it('knows the paths of its services, implemented or not', () => {
    const { router } = made();
    assert.ok(router.serves(unaryPath) && router.serves('/grpc.testing.TestService/Nothing'));
    assert.ok(!router.serves('/grpc.testing.Other/UnaryCall') && !router.serves('/status') && !router.serves('/'));
  });
});

describe('compressed requests', () => {
  const gzip = { 'grpc-encoding': 'gzip' };
  const zipped = (size: number) => framed(gzipSync(encoded(SimpleRequestSchema, { payload: { body: new Uint8Array(size) } }).subarray(5)), 1);
  const sizes = () => harness(({ payload }) => body(payload?.body.byteLength ?? 0), { messageBytesMax: 10_000 });

  const answerOf = async (call: OpenCall): Promise<OpenCall> => {
    while (!call.stream.answered) await settle();
    return call;
  };

  it('HT-9: gzip is read, also beside uncompressed messages', async () => {
    const call = await answerOf(send(sizes().open(unaryPath, gzip), zipped(9000)));
    assert.equal(decoded(SimpleResponseSchema, call.stream.data)[0]?.payload?.body.byteLength, 9000);
    assertStatus(send(sizes().open(unaryPath, gzip)), 0);
  });

  it('HT-9: nothing is inflated beyond the message limit', async () => {
    const call = send(sizes().open(unaryPath, gzip), zipped(5_000_000));
    assertStatus(await answerOf(call), 8, /10000 bytes/);
  });

  it('a compressed message without an encoding, or one that is no gzip, is INTERNAL', async () => {
    const calls = [send(sizes().open(unaryPath), zipped(1)), send(sizes().open(unaryPath, gzip), framed(Uint8Array.of(1, 2), 1))];
    for (const call of calls) assertStatus(await answerOf(call), 13);
  });

  it('ends the call at once, also when its request goes on', async () => {
    const call = sizes().open(unaryPath, gzip);
    call.handler.onData(framed(Uint8Array.of(1, 2), 1));
    assertStatus(await answerOf(call), 13);
  });

  it('HT-9: messages that unfold to a thousand times their size keep no other call waiting', async () => {
    const made = harness(({ payload }) => body(payload?.body.byteLength ?? 0));
    const bombs = Array.from({ length: 50 }, () => send(made.open(unaryPath, gzip), zipped(4_000_000)));
    assertStatus(send(made.open(unaryPath)), 0); // in the same turn
    assert.deepEqual(bombs.map(({ stream }) => stream.answered).filter(Boolean), []);
    for (const bomb of bombs.slice(2)) bomb.stream.lose({ code: 8, byPeer: true }); // while they stand in line
    for (const bomb of bombs.slice(0, 2)) assertStatus(await answerOf(bomb), 0);
    await made.router.idle();
  });

  it('a stream that answers waits for its request as well', async () => {
    const service = implementService(TestService, {
      async *streamingOutputCall({ payload }) {
        yield { payload: { body: new Uint8Array(payload?.body.byteLength ?? 0) } };
      },
    });
    const call = new GrpcHarness(service).open('/grpc.testing.TestService/StreamingOutputCall', gzip);
    call.handler.onData(zipped(700));
    call.handler.onEnd(undefined);
    await answerOf(call);
    assert.equal(decoded(StreamingOutputCallResponseSchema, call.stream.data)[0]?.payload?.body.byteLength, 700);
  });
});

describe('deadlines, cancellation and metadata', () => {
  it('HT-7: at the deadline the client is told and the signal aborted, once, whatever the handler does then', async () => {
    let signal: AbortSignal | undefined;
    const gate = Promise.withResolvers<void>();
    const made = harness(async (_, context) => {
      signal = context.signal;
      await gate.promise;
      return {};
    });
    const call = send(made.open(unaryPath, { 'grpc-timeout': '100m' }));
    await settle();
    made.clock.advance(99);
    assert.equal(call.stream.answered, false);
    assert.equal(signal?.aborted, false);
    made.clock.advance(1);
    assertStatus(call, 4, /100 ms/);
    assert.equal(signal?.aborted, true);
    assert.equal((signal?.reason as CacheError | undefined)?.code, 'deadline_exceeded');
    gate.resolve();
    await made.router.idle();
    assert.equal(call.stream.pieces.length, 0);
  });

  it('HT-7: a request that does not arrive in time is ended too, and its handler never runs', async () => {
    let ran = false;
    const made = harness(() => ((ran = true), {}));
    const call = made.open(unaryPath, { 'grpc-timeout': '100m' });
    await settle();
    made.clock.advance(100);
    assertStatus(call, 4);
    send(call);
    assert.equal(ran, false);
    assertStatus(made.open(unaryPath, { 'grpc-timeout': '0m' }), 4);
  });

  it('HT-7: an answer takes the deadline with it, and one given at once never starts it', async () => {
    const atOnce = harness(() => ({}));
    send(atOnce.open(unaryPath, { 'grpc-timeout': '1S' }));
    await settle();
    assert.equal(atOnce.clock.pendingTimers, 0);
    const gate = Promise.withResolvers<void>();
    const later = harness(async () => (await gate.promise, {}));
    send(later.open(unaryPath, { 'grpc-timeout': '1S' }));
    await settle();
    assert.equal(later.clock.pendingTimers, 1);
    gate.resolve();
    await later.router.idle();
    assert.equal(later.clock.pendingTimers, 0);
  });

  for (const [when, handler] of [['at once', () => body(100)], ['later', async () => (await settle(), body(100))]] as const) {
    it(`HT-7: an answer given ${when} that nobody takes is dropped at the deadline`, async () => {
      const made = harness(handler);
      const stuck = send(made.open(unaryPath, { 'grpc-timeout': '1S' }, 10));
      const taken = send(made.open(unaryPath, { 'grpc-timeout': '1S' }, 10));
      await settle(); // deadlines begin at the end of the turn
      await made.router.idle();
      taken.stream.open(1000);
      assert.equal(made.clock.pendingTimers, 1);
      made.clock.advance(1000);
      assert.equal(stuck.stream.resetCode, 8);
      assert.equal(taken.stream.resetCode, undefined);
    });
  }

  it('ERR-4: a call that is cut off when the server ends may be tried again, and its handler learns it', async () => {
    let reason: unknown;
    const made = harness(async (_, { signal }) => {
      await once(signal, 'abort');
      reason = signal.reason;
      return {};
    });
    const call = send(made.open(unaryPath));
    await settle();
    call.handler.onCutOff?.();
    assertStatus(call, 14, /shutting down/);
    assert.ok(call.stream.status('grpc-status-details-bin'), 'says when');
    await made.router.idle();
    assert.equal((reason as CacheError | undefined)?.code, 'unavailable');
    call.handler.onCutOff?.(); // answered: nothing happens
  });

  it('HT-8: a reset aborts the signal; asked for later, it is aborted already', async () => {
    let context: { readonly signal: AbortSignal } | undefined;
    const gate = Promise.withResolvers<void>();
    const made = harness(async (_, given) => ((context = given), await gate.promise, {}));
    const call = send(made.open(unaryPath));
    call.stream.lose({ code: 8, byPeer: true });
    assert.equal(context?.signal.aborted, true);
    assert.equal((context?.signal.reason as CacheError | undefined)?.code, 'cancelled');
    gate.resolve();
    await made.router.idle();
    assert.equal(call.stream.headers, undefined);
    assert.equal(made.router.runningHandlers, 0);
  });

  it('request and response metadata pass, and headers are not lost when the call fails', () => {
    const made = harness((_, context) => {
      context.setHeader('x-a', context.header('x-in') ?? '');
      context.setTrailer('x-b-bin', 'q80');
      throw new CacheError('aborted', 'no');
    });
    const call = send(made.open(unaryPath, { 'x-in': 'hello' }));
    assert.deepEqual(call.stream.headers?.at(-1), ['x-a', 'hello']);
    assert.deepEqual(call.stream.trailers, [['grpc-status', '10'], ['grpc-message', 'no'], ['x-b-bin', 'q80']]);
  });
});
