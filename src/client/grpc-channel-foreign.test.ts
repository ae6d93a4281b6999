// Against servers that are not ours: grpc-js, and node:http2 doing what no server should.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import * as http2 from 'node:http2';
import * as net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { DescMethod, MessageInitShape } from '@bufbuild/protobuf';
import { anyPack } from '@bufbuild/protobuf/wkt';
import grpc from '@grpc/grpc-js';
import type { CacheError } from '../base/cache-error.ts';
import { PreconditionFailureSchema } from '../proto/gen/google/rpc/error_details_pb.ts';
import { StatusSchema } from '../proto/gen/google/rpc/status_pb.ts';
import { SimpleResponseSchema } from '../proto/gen/grpc/testing/messages_pb.ts';
import { TestService } from '../proto/gen/grpc/testing/test_pb.ts';
import { makeServerCertificate } from '../testing/certificates.ts';
import { grpcChannelTo } from '../testing/grpc-channel-to.ts';
import { standsStill } from '../testing/stands-still.ts';
import type { GrpcChannel, GrpcChannelOptions } from './grpc-channel.ts';
import type { ReceivedMetadata } from './grpc-metadata.ts';

const { emptyCall, unaryCall, streamingOutputCall, streamingInputCall, fullDuplexCall } = TestService.method;

/** Each wait of the channel is short, so that tests are. */
const quick = { reconnectDelayMs: 1, retryDelayMs: 1 };

function channelTo(t: TestContext, port: number, options: GrpcChannelOptions = {}): GrpcChannel {
  const channel = grpcChannelTo(port, { ...options, limits: { ...quick, ...options.limits } });
  t.after(() => channel[Symbol.asyncDispose]());
  return channel;
}

function payload(bytes: number): { readonly payload: { readonly body: Uint8Array } } {
  return { payload: { body: new Uint8Array(bytes) } };
}

describe('GrpcChannel and grpc-js', () => {
  const definition = (method: DescMethod): grpc.MethodDefinition<never, never> => ({
    path: `/${method.parent.typeName}/${method.name}`,
    requestStream: method.methodKind === 'client_streaming' || method.methodKind === 'bidi_streaming',
    responseStream: method.methodKind === 'server_streaming' || method.methodKind === 'bidi_streaming',
    requestSerialize: (message) => Buffer.from(toBinary(method.input, create(method.input, message))),
    requestDeserialize: (bytes) => fromBinary(method.input, bytes) as never,
    responseSerialize: (message) => Buffer.from(toBinary(method.output, create(method.output, message))),
    responseDeserialize: (bytes) => fromBinary(method.output, bytes) as never,
  });

  async function serve(t: TestContext, handlers: Readonly<Partial<Record<keyof typeof TestService.method, unknown>>>, options: grpc.ServerOptions = {}, port = 0) {
    const server = new grpc.Server({ 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1, ...options });
    const definitions: Record<string, grpc.MethodDefinition<never, never>> = {};
    for (const name of Object.keys(handlers)) definitions[name] = definition(TestService.method[name as keyof typeof TestService.method]);
    server.addService(definitions as never, handlers as never);
    const bound = await new Promise<number>((resolve, reject) => server.bindAsync(`127.0.0.1:${port}`, grpc.ServerCredentials.createInsecure(), (error, taken) => (error === null ? resolve(taken) : reject(error))));
    t.after(() => server.forceShutdown());
    return { server, port: bound };
  }

  type Unary = grpc.handleUnaryCall<{ responseSize: number }, MessageInitShape<typeof SimpleResponseSchema>>;
  const echoSize: Unary = (call, answer) => answer(null, payload(call.request.responseSize));

  it('calls all four kinds of method', async (t) => {
    const { port } = await serve(t, {
      unaryCall: echoSize,
      streamingOutputCall: (call: grpc.ServerWritableStream<{ responseParameters: { size: number }[] }, object>) => {
        for (const { size } of call.request.responseParameters) call.write(payload(size));
        call.end();
      },
      streamingInputCall: (call: grpc.ServerReadableStream<{ payload: { body: Uint8Array } }, object>, answer: grpc.sendUnaryData<object>) => {
        let aggregatedPayloadSize = 0;
        call.on('data', (request: { payload: { body: Uint8Array } }) => (aggregatedPayloadSize += request.payload.body.byteLength));
        call.on('end', () => answer(null, { aggregatedPayloadSize }));
      },
      fullDuplexCall: (call: grpc.ServerDuplexStream<{ responseParameters: { size: number }[] }, object>) => {
        call.on('data', (request: { responseParameters: { size: number }[] }) => call.write(payload(request.responseParameters[0]?.size ?? 0)));
        call.on('end', () => call.end());
      },
    });
    const channel = channelTo(t, port);
    assert.equal((await channel.unary(unaryCall, { responseSize: 3_000_000, ...payload(2_000_000) })).payload?.body.byteLength, 3_000_000);
    const sizes = [31_415, 9, 2_653, 58_979];
    const asked = sizes.map((size) => ({ size }));
    assert.deepEqual((await Array.fromAsync(channel.serverStream(streamingOutputCall, { responseParameters: asked }))).map((one) => one.payload?.body.byteLength), sizes);
    const all = async function* () {
      for (let count = 0; count < 500; count += 1) yield payload(10_000);
    };
    assert.equal((await channel.clientStream(streamingInputCall, all)).aggregatedPayloadSize, 5_000_000);
    const talk = async function* () {
      for (const size of asked) yield { responseParameters: [size] };
    };
    assert.deepEqual((await Array.fromAsync(channel.bidiStream(fullDuplexCall, talk))).map((one) => one.payload?.body.byteLength), sizes);
  });

  it('ERR-1: reads its statuses and their details', async (t) => {
    const violations = [{ type: 'MISSING', subject: `blobs/${'ab'.repeat(32)}/7` }];
    const packed = anyPack(PreconditionFailureSchema, create(PreconditionFailureSchema, { violations }));
    const failed: Unary = (_, answer) => {
      const metadata = new grpc.Metadata();
      metadata.add('grpc-status-details-bin', Buffer.from(toBinary(StatusSchema, create(StatusSchema, { code: 9, message: 'gone', details: [packed] }))));
      metadata.add('x-more-bin', Buffer.from([1, 255]));
      answer({ code: 9, details: 'gone: 100 %', metadata });
    };
    const { port } = await serve(t, { unaryCall: failed });
    await assert.rejects(channelTo(t, port).unary(unaryCall, {}), (error: CacheError & { readonly trailers: ReceivedMetadata }) => {
      assert.deepEqual([error.code, error.message, error.details], ['failed_precondition', 'gone: 100 %', [{ kind: 'missing_blobs', blobs: [{ hash: 'ab'.repeat(32), sizeBytes: 7 }] }]]);
      assert.deepEqual(error.trailers.getBytes('x-more-bin'), Uint8Array.of(1, 255));
      return true;
    });
  });

  it('tells it of deadlines and cancellations', async (t) => {
    const cancelled = Promise.withResolvers<void>();
    const seen: (number | undefined)[] = [];
    const never = (call: grpc.ServerUnaryCall<unknown, unknown>): void => {
      seen.push(Number(call.getDeadline()) - Date.now());
      call.on('cancelled', () => cancelled.resolve());
    };
    const { port } = await serve(t, { unaryCall: never });
    const abort = new AbortController();
    const call = channelTo(t, port).unary(unaryCall, {}, { timeoutMs: 60_000, signal: abort.signal });
    while (seen.length === 0) await new Promise((resolve) => setImmediate(resolve));
    abort.abort();
    await assert.rejects(call, { code: 'cancelled' });
    await cancelled.promise;
    assert.ok((seen[0] ?? 0) > 50_000 && (seen[0] ?? 0) <= 60_100);
  });

  it('keeps within the streams that it allows, over several connections', async (t) => {
    let [running, most] = [0, 0];
    const slow: Unary = (_, answer) => {
      most = Math.max(most, ++running);
      setTimeout(() => {
        running -= 1;
        answer(null, {});
      }, 2);
    };
    const { port } = await serve(t, { unaryCall: slow }, { 'grpc.max_concurrent_streams': 3 });
    const channel = channelTo(t, port, { limits: { connectionsMax: 2 } });
    await Promise.all(Array.from({ length: 200 }, () => channel.unary(unaryCall, {})));
    assert.ok(most <= 6 && most > 3, `${most} at a time`);
    assert.equal(channel.state.connections, 2);
  });

  it('HT-3: loses no call while it shuts down in peace and another one takes its place', async (t) => {
    const slow: Unary = (_, answer) => void setTimeout(() => answer(null, {}), 5);
    let { server, port } = await serve(t, { unaryCall: slow });
    const channel = channelTo(t, port, { waitForReady: true, limits: { attemptsMax: 10 } });
    let answered = 0;
    const caller = async (): Promise<void> => {
      for (let count = 0; count < 40; count += 1, answered += 1) await channel.unary(unaryCall, {}, { timeoutMs: 20_000 });
    };
    const callers = Array.from({ length: 8 }, caller);
    for (let restarts = 0; restarts < 3; restarts += 1) {
      const until = answered + 40;
      while (answered < until) await new Promise((resolve) => setImmediate(resolve));
      await new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
      ({ server, port } = await serve(t, { unaryCall: slow }, {}, port));
    }
    await Promise.all(callers);
    assert.equal(answered, 320);
  });
});

describe('GrpcChannel over TLS and unix sockets', () => {
  const answerAll = (stream: http2.ServerHttp2Stream): void => {
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.end(Buffer.from([0, 0, 0, 0, 0]));
  };

  it('says https and the name it asked for, and fails at once with what is wrong with a certificate, waiting or not', async (t) => {
    const directory = await mkdtemp(join(tmpdir(), 'kiln-channel-'));
    t.after(() => rm(directory, { recursive: true }));
    const caFile = join(directory, 'ca.pem');
    const { authority, server: own } = makeServerCertificate({ dnsNames: ['cache.example'] });
    await writeFile(caFile, authority.certificate);
    const seen: unknown[] = [];
    const server = http2.createSecureServer({ cert: own.certificate, key: own.key });
    server.on('stream', (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => {
      seen.push(headers[':scheme'], headers[':authority']);
      answerAll(stream);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    const { port } = server.address() as net.AddressInfo;
    const address = { kind: 'tcp', host: '127.0.0.1', port } as const;
    await using channel = grpcChannelTo({ address, tls: { caFile, serverName: 'cache.example' } });
    await channel.unary(emptyCall, {});
    assert.deepEqual(seen, ['https', `cache.example:${port}`]);
    await using distrustful = grpcChannelTo({ address, tls: {} });
    await assert.rejects(distrustful.unary(emptyCall, {}, { waitForReady: true }), { code: 'failed_precondition', message: /signed by nobody who is trusted here/ });
  });

  it('says what is wrong when one side speaks TLS and the other does not', async (t) => {
    const plain = http2.createServer();
    const { server: own } = makeServerCertificate();
    const secure = http2.createSecureServer({ cert: own.certificate, key: own.key });
    secure.on('tlsClientError', () => {}).on('sessionError', () => {});
    for (const server of [plain, secure]) {
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      t.after(() => server.close());
    }
    const port = (server: net.Server): number => (server.address() as net.AddressInfo).port;
    await using toPlain = grpcChannelTo({ address: { kind: 'tcp', host: '127.0.0.1', port: port(plain) }, tls: {} });
    await assert.rejects(toPlain.unary(emptyCall, {}), { code: 'failed_precondition', message: /does not speak TLS/ });
    await using toSecure = channelTo(t, port(secure));
    await assert.rejects(toSecure.unary(emptyCall, {}), { code: 'unavailable', message: /^cannot connect to 127\.0\.0\.1:\d+: / });
  });

  it('calls over a unix socket', async (t) => {
    const directory = await mkdtemp(join(tmpdir(), 'kiln-channel-'));
    t.after(() => rm(directory, { recursive: true }));
    const path = join(directory, 's');
    const server = http2.createServer();
    server.on('stream', answerAll);
    server.listen(path);
    await once(server, 'listening');
    t.after(() => server.close());
    await using channel = grpcChannelTo({ address: { kind: 'unix', path } });
    await channel.unary(emptyCall, {});
    assert.equal(channel.serverName, `unix:${path}`);
  });
});

describe('GrpcChannel and hostile servers', () => {
  type OnStream = (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders, session: http2.ServerHttp2Session) => void;

  interface Served {
    readonly port: number;
    streams: number;
    sessions: number;
  }

  async function serve(t: TestContext, onStream: OnStream, settings: http2.Settings = {}): Promise<Served> {
    const server = http2.createServer({ settings });
    const served = { port: 0, streams: 0, sessions: 0 };
    const sessions = new Set<http2.ServerHttp2Session>();
    server.on('session', (session) => {
      served.sessions += 1;
      sessions.add(session);
    });
    server.on('stream', (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => {
      served.streams += 1;
      stream.on('error', () => {});
      const session = [...sessions].find((one) => one === stream.session);
      if (session !== undefined) onStream(stream, headers, session);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => {
      for (const session of sessions) session.destroy();
      server.close();
    });
    served.port = (server.address() as net.AddressInfo).port;
    return served;
  }

  const grpcHeaders = { ':status': 200, 'content-type': 'application/grpc' };
  const emptyMessage = Buffer.from([0, 0, 0, 0, 0]);

  /** A whole answer, OK. */
  function answer(stream: http2.ServerHttp2Stream, message = emptyMessage, status = '0'): void {
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': status }));
    stream.respond(grpcHeaders, { waitForTrailers: true });
    stream.end(message);
  }

  async function failure(channel: GrpcChannel, options = {}): Promise<{ readonly code: string; readonly status: number; readonly message: string }> {
    const failed = await channel.unary(emptyCall, {}, { timeoutMs: 10_000, ...options }).then(
      () => undefined,
      (error: CacheError & { readonly status: number }) => error,
    );
    assert.ok(failed !== undefined, 'the call went well');
    return failed;
  }

  it('HT-9: takes answers that are compressed, within the limit of what comes out', async (t) => {
    const plain = toBinary(SimpleResponseSchema, create(SimpleResponseSchema, payload(100_000)));
    const packed = gzipSync(plain);
    const prefix = Buffer.from([1, 0, 0, packed.byteLength >> 8, packed.byteLength & 255]);
    const served = await serve(t, (stream, headers) => {
      assert.deepEqual([headers['grpc-accept-encoding'], headers['grpc-encoding']], ['identity,gzip', undefined]);
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.respond({ ...grpcHeaders, 'grpc-encoding': 'gzip' }, { waitForTrailers: true });
      stream.end(Buffer.concat([prefix, packed]));
    });
    assert.equal((await channelTo(t, served.port).unary(unaryCall, {})).payload?.body.byteLength, 100_000);
    const small = channelTo(t, served.port, { limits: { messageBytesMax: 50_000 } });
    await assert.rejects(small.unary(unaryCall, {}), { code: 'resource_exhausted', message: /^the answer has a message of more than 50000 inflated bytes/ });
  });

  it('sends a call again that was refused, and gives up on a server that refuses all', async (t) => {
    const served = await serve(t, (stream) => (served.streams <= 1 ? stream.close(http2.constants.NGHTTP2_REFUSED_STREAM) : answer(stream)));
    await channelTo(t, served.port).unary(emptyCall, {});
    assert.equal(served.streams, 2);
    const all = await serve(t, (stream) => stream.close(http2.constants.NGHTTP2_REFUSED_STREAM));
    const { code, message } = await failure(channelTo(t, all.port));
    assert.deepEqual([code, message.includes('did not begin with the call')], ['unavailable', true]);
    assert.ok(all.streams >= 3 && all.streams <= 7, `${all.streams} tries`);
  });

  it('goes on after a GOAWAY in the middle of calls: what is below comes to its end, what is above is sent again', async (t) => {
    const first: http2.ServerHttp2Stream[] = [];
    const served = await serve(t, (stream, _, session) => {
      if (served.sessions > 1) return answer(stream);
      first.push(stream);
      if (first.length < 2) return;
      session.goaway(http2.constants.NGHTTP2_NO_ERROR, 1);
      for (const lower of first.slice(0, 1)) answer(lower);
    });
    const channel = channelTo(t, served.port);
    await Promise.all([channel.unary(emptyCall, {}), channel.unary(emptyCall, {})]);
    assert.equal(served.sessions, 2);
  });

  it('tells how an answer was broken off, and tries again only before it began', async (t) => {
    const served = await serve(t, (stream) => {
      stream.respond(grpcHeaders, { waitForTrailers: true }); // or node:http2 ends the answer before it breaks it off
      stream.write(emptyMessage, () => stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR));
    });
    const channel = channelTo(t, served.port);
    const broken = await failure(channel);
    assert.deepEqual([broken.status, broken.message], [13, 'the server broke the call off (INTERNAL_ERROR)']);
    assert.equal(served.streams, 1);

    const cut = await serve(t, (stream, _, session) => {
      stream.respond(grpcHeaders);
      stream.write(emptyMessage, () => session.destroy());
    });
    const lost = await failure(channelTo(t, cut.port));
    assert.deepEqual([lost.code, /^lost the connection to 127\.0\.0\.1:\d+: /.test(lost.message), cut.streams], ['unavailable', true, 1]);

    const early = await serve(t, (stream, _, session) => (early.sessions < 3 ? session.destroy() : answer(stream)));
    await channelTo(t, early.port, { waitForReady: true }).unary(emptyCall, {});
    assert.equal(early.sessions, 3);
  });

  it('says what is wrong with an answer that is not gRPC, or not all of it', async (t) => {
    const cases: readonly (readonly [onStream: (stream: http2.ServerHttp2Stream) => void, status: number, message: RegExp])[] = [
      [(stream) => (stream.respond({ ':status': 404, 'content-type': 'text/html' }), stream.end('<html>')), 12, /HTTP status 404 and content-type "text\/html"/],
      [(stream) => (stream.respond({ ':status': 401 }), stream.end()), 16, /HTTP status 401/],
      [(stream) => (stream.respond({ ':status': 200, 'content-type': 'application/json' }), stream.end('{}')), 2, /content-type "application\/json"/],
      [(stream) => (stream.respond(grpcHeaders), stream.end(emptyMessage)), 2, /ended without a grpc-status/],
      [(stream) => answer(stream, Buffer.alloc(0)), 12, /is OK and has no message/],
      [(stream) => answer(stream, Buffer.concat([emptyMessage, emptyMessage])), 12, /more than one message/],
      [(stream) => answer(stream, Buffer.from([0, 0, 0, 0, 9, 1])), 13, /in the middle of a message/],
      [(stream) => answer(stream, Buffer.from([7, 0, 0, 0, 0])), 13, /unknown flag 7/],
      [(stream) => answer(stream, Buffer.from([1, 0, 0, 0, 1, 0])), 13, /compressed message but its grpc-encoding is identity/],
      [(stream) => answer(stream, Buffer.from([0, 255, 255, 255, 255])), 8, /4294967295 bytes, and the limit of this client is 16777216/],
      [(stream) => answer(stream, Buffer.from([0, 0, 0, 0, 1, 255])), 13, /is not the message that it should be/],
      [(stream) => (stream.respond({ ...grpcHeaders, 'grpc-encoding': 'snappy' }), stream.end()), 13, /compresses its answer with "snappy"/],
      [(stream) => answer(stream, emptyMessage, 'ok'), 2, /grpc-status "ok", which is no number/],
      [(stream) => (stream.respond({ ...grpcHeaders, 'grpc-status': '5', 'grpc-message': 'n%C3%B6' }), stream.end()), 5, /^nö$/],
      // Neither of these ever ends by itself.
      [(stream) => (stream.respond({ ...grpcHeaders, 'grpc-status': '5' }), stream.write('more')), 5, /answered NOT_FOUND without a reason/],
      [(stream) => (stream.respond({ ':status': 200, 'content-type': 'text/plain' }), stream.write('more')), 2, /content-type "text\/plain"/],
      [(stream) => (stream.additionalHeaders({ ':status': 103 }), stream.respond({ ...grpcHeaders, 'grpc-status': '7' }), stream.end()), 7, /answered PERMISSION_DENIED without a reason/],
    ];
    const served = await serve(t, (stream, headers) => cases[Number(headers['x-case'])]?.[0](stream));
    const channel = channelTo(t, served.port, { limits: { attemptsMax: 1, connectionsMax: 1 } });
    for (const [index, [, status, message]] of cases.entries()) {
      const failed = await failure(channel, { metadata: { 'x-case': String(index) } });
      assert.deepEqual([failed.status, message.test(failed.message)], [status, true], `case ${index}: ${failed.status} ${failed.message}`);
    }
    assert.deepEqual([served.sessions, channel.state.callsInProgress], [1, 0]);
  });

  it('takes no more than a window of an answer that nobody wants', async (t) => {
    let sent = 0;
    const served = await serve(t, (stream) => {
      stream.respond(grpcHeaders);
      const more = (): void => {
        while (!stream.destroyed && stream.write(Buffer.alloc(16_384))) sent += 16_384; // 3,276 empty messages and a bit
        stream.once('drain', more);
      };
      more();
    });
    const channel = channelTo(t, served.port);
    const answers = channel.serverStream(streamingOutputCall, {});
    await answers.next();
    await standsStill(() => sent);
    assert.ok(sent < 4_000_000, `${sent} bytes were taken while nobody read`);
    await answers.return();
    assert.equal(channel.state.callsInProgress, 0);
  });

  it('names what answers when it is no HTTP/2 server, and does not wait for one that says nothing', async (t) => {
    const listen = async (onSocket: (socket: net.Socket) => void): Promise<number> => {
      const server = net.createServer((socket) => {
        socket.on('error', () => {});
        t.after(() => socket.destroy());
        onSocket(socket);
      });
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      t.after(() => server.close());
      return (server.address() as net.AddressInfo).port;
    };
    const http1 = await listen((socket) => void socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')));
    assert.match((await failure(channelTo(t, http1))).message, /^cannot connect to 127\.0\.0\.1:\d+: .*HTTP\/1/);
    const mute = await listen(() => {});
    const notHeard = async (connectTimeoutMs: number): Promise<string> => (await failure(channelTo(t, mute, { limits: { connectTimeoutMs, attemptsMax: 1 } }))).message;
    let message = await notHeard(100);
    if (message.includes('nothing came of it')) message = await notHeard(5_000); // a machine so slow that not even the connection stood
    assert.match(message, /the connection stands, and no HTTP\/2 came back within \d+ ms$/);
    const closing = await listen((socket) => socket.destroy());
    assert.match((await failure(channelTo(t, closing))).message, /^cannot connect to 127\.0\.0\.1:\d+: .* before any HTTP\/2 came back; does it want TLS\?$/);
  });

  it('waits with a queue for a server that allows no streams at the moment', async (t) => {
    const served = await serve(t, (stream) => answer(stream), { maxConcurrentStreams: 0 });
    const channel = channelTo(t, served.port, { limits: { connectionsMax: 1, waitingCallsMax: 2 } });
    const waiting = [failure(channel, { timeoutMs: 100 }), failure(channel, { timeoutMs: 100 })];
    assert.equal((await failure(channel)).code, 'unavailable');
    assert.deepEqual((await Promise.all(waiting)).map(({ code }) => code), ['deadline_exceeded', 'deadline_exceeded']);
  });

  // How soon is proven with time advanced by hand, in grpc-pool.test.ts.
  it('K12-05: knows that a peer went silent, and reconnects', { timeout: 20_000 }, async (t) => {
    const served = await serve(t, (stream, headers) => (headers['x-wait'] === undefined ? answer(stream) : undefined));
    // Between them a proxy that at some moment stops passing anything on, and closes nothing.
    let isDead = false;
    const proxy = net.createServer((inner) => {
      const outer = net.connect(served.port, '127.0.0.1');
      inner.on('data', (bytes) => isDead || outer.write(bytes)).on('error', () => {});
      outer.on('data', (bytes) => isDead || inner.write(bytes)).on('error', () => {});
      t.after(() => (inner.destroy(), outer.destroy()));
    });
    proxy.listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    t.after(() => proxy.close());
    const channel = grpcChannelTo((proxy.address() as net.AddressInfo).port);
    t.after(() => channel[Symbol.asyncDispose]());
    await channel.unary(emptyCall, {});
    const waiting = failure(channel, { metadata: { 'x-wait': '1' }, attemptsMax: 1, timeoutMs: 120_000 });
    while (served.streams < 2) await new Promise((resolve) => setTimeout(resolve, 1));
    isDead = true;
    const { code, message } = await waiting;
    assert.deepEqual([code, /gave no sign of life/.test(message)], ['unavailable', true]);
    isDead = false;
    await channel.unary(emptyCall, {});
    assert.equal(served.sessions, 2);
  });
});
