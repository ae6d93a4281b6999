// @grpc/grpc-js at both ends of the interoperability cases: a client, and a server of grpc.testing.TestService.
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { DescMessage, DescMethod, MessageInitShape, MessageShape } from '@bufbuild/protobuf';
import grpc from '@grpc/grpc-js';
import { setTimeout as delay } from 'node:timers/promises';
import type { StreamingInputCallRequest, StreamingOutputCallRequest } from '../../src/proto/gen/grpc/testing/messages_pb.ts';
import { TestService } from '../../src/proto/gen/grpc/testing/test_pb.ts';
import { CallFailure } from './interop-client.ts';
import type { InteropClient, InteropOptions, MetadataReader } from './interop-client.ts';

/** Over TLS when it is given who signed the server's certificate (PEM). */
export function grpcJsInteropClient(address: string, authority?: string): InteropClient {
  const credentials = authority === undefined ? grpc.credentials.createInsecure() : grpc.credentials.createSsl(Buffer.from(authority));
  const make = (compressed: boolean) =>
    new grpc.Client(address, credentials, {
      'grpc.use_local_subchannel_pool': 1,
      'grpc.default_compression_algorithm': compressed ? 2 : 0,
      // Node takes no IP address as the name to ask for; whom the certificate is for is checked all the same.
      ...(authority === undefined ? {} : { 'grpc.ssl_target_name_override': 'localhost' }),
    });
  const [plain, gzip] = [make(false), make(true)];
  const clientOf = ({ compressed = false }: InteropOptions): grpc.Client => (compressed ? gzip : plain);
  return {
    unary: (method, request, options = {}) => {
      const { promise, resolve, reject } = Promise.withResolvers<MessageShape<typeof method.output>>();
      const call = clientOf(options).makeUnaryRequest(pathOf(method), encoder(method.input), decoder(method.output), request, metadataOf(options), callOptions(options), (error, answer) => {
        if (error === null && answer !== undefined) resolve(answer);
        else reject(asFailure(error));
      });
      watch(call, options);
      return promise;
    },
    serverStream: (method, request, options = {}) => {
      const call = clientOf(options).makeServerStreamRequest(pathOf(method), encoder(method.input), decoder(method.output), request, metadataOf(options), callOptions(options));
      watch(call, options);
      return answersOf(call);
    },
    clientStream: (method, requests, options = {}) => {
      const { promise, resolve, reject } = Promise.withResolvers<MessageShape<typeof method.output>>();
      const call = clientOf(options).makeClientStreamRequest(pathOf(method), encoder(method.input), decoder(method.output), metadataOf(options), callOptions(options), (error, answer) => {
        if (error === null && answer !== undefined) resolve(answer);
        else reject(asFailure(error));
      });
      watch(call, options);
      void sendAll(call, requests);
      return promise;
    },
    bidiStream: (method, requests, options = {}) => {
      const call = clientOf(options).makeBidiStreamRequest(pathOf(method), encoder(method.input), decoder(method.output), metadataOf(options), callOptions(options));
      watch(call, options);
      void sendAll(call, requests);
      return answersOf(call);
    },
    async [Symbol.asyncDispose]() {
      plain.close();
      gzip.close();
    },
  };
}

function watch(call: Pick<grpc.ClientUnaryCall, 'cancel' | 'on'>, { signal, onHeaders, onTrailers }: InteropOptions): void {
  signal?.addEventListener('abort', () => call.cancel());
  call.on('metadata', (headers) => onHeaders?.(readerOf(headers)));
  call.on('status', ({ metadata }) => onTrailers?.(readerOf(metadata)));
}

/** Writes as the other end takes it; a call that has ended ends this too. */
async function sendAll<T>(call: { write(message: T): boolean; end(): void; once(event: string, listener: () => void): unknown }, requests: AsyncIterable<T>): Promise<void> {
  for await (const request of requests) {
    if (!call.write(request)) await new Promise<void>((resolve) => call.once('drain', resolve));
  }
  call.end();
}

async function* answersOf<T>(call: AsyncIterable<unknown>): AsyncGenerator<T, void, undefined> {
  try {
    for await (const answer of call) yield answer as T;
  } catch (error) {
    throw asFailure(error);
  }
}

function asFailure(error: unknown): CallFailure {
  const { code, details } = error as grpc.ServiceError;
  return new CallFailure(code, details, error);
}

function metadataOf({ metadata = {} }: InteropOptions): grpc.Metadata {
  const sent = new grpc.Metadata();
  for (const [name, value] of Object.entries(metadata)) sent.add(name, typeof value === 'string' ? value : Buffer.from(value));
  return sent;
}

function readerOf(metadata: grpc.Metadata): MetadataReader {
  return (name) => metadata.get(name);
}

function callOptions({ timeoutMs }: InteropOptions): grpc.CallOptions {
  return timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs };
}

function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

function encoder<D extends DescMessage>(descriptor: D): (message: MessageInitShape<D>) => Buffer {
  return (message) => Buffer.from(toBinary(descriptor, create(descriptor, message)));
}

function decoder<D extends DescMessage>(descriptor: D): (bytes: Buffer) => MessageShape<D> {
  return (bytes) => fromBinary(descriptor, bytes);
}

export interface InteropServer extends AsyncDisposable {
  readonly port: number;
}

/** Over TLS when it is given a certificate and its key (PEM). */
export async function grpcJsInteropServer(tls?: { readonly certificate: string; readonly key: string }): Promise<InteropServer> {
  const server = new grpc.Server();
  server.addService(definition(), handlers);
  const credentials = tls === undefined ? grpc.ServerCredentials.createInsecure() : grpc.ServerCredentials.createSsl(null, [{ cert_chain: Buffer.from(tls.certificate), private_key: Buffer.from(tls.key) }]);
  const port = await new Promise<number>((resolve, reject) => server.bindAsync('127.0.0.1:0', credentials, (error, bound) => (error === null ? resolve(bound) : reject(error))));
  return {
    port,
    async [Symbol.asyncDispose]() {
      server.forceShutdown();
    },
  };
}

/** All methods but the one that is not to be there. */
function definition(): grpc.ServiceDefinition {
  const methods = TestService.methods.filter(({ name }) => name !== 'UnimplementedCall');
  return Object.fromEntries(
    methods.map((method) => [
      method.localName,
      {
        path: pathOf(method),
        requestStream: method.methodKind === 'client_streaming' || method.methodKind === 'bidi_streaming',
        responseStream: method.methodKind === 'server_streaming' || method.methodKind === 'bidi_streaming',
        requestSerialize: encoder(method.input),
        requestDeserialize: decoder(method.input),
        responseSerialize: encoder(method.output),
        responseDeserialize: decoder(method.output),
      },
    ]),
  );
}

const bodyOf = (size: number) => ({ payload: { body: new Uint8Array(size) } });

const handlers: grpc.UntypedServiceImplementation = {
  emptyCall: ((_call, answer) => answer(null, {})) satisfies grpc.handleUnaryCall<unknown, unknown>,
  unaryCall: ((call, answer) => {
    const trailers = echo(call);
    const { responseStatus, responseSize } = call.request;
    if (responseStatus !== undefined && responseStatus.code !== 0) answer({ code: responseStatus.code, details: responseStatus.message });
    else answer(null, bodyOf(responseSize), trailers);
  }) satisfies grpc.handleUnaryCall<{ readonly responseStatus?: { readonly code: number; readonly message: string }; readonly responseSize: number }, unknown>,
  streamingInputCall: ((call, answer) => {
    let aggregatedPayloadSize = 0;
    call.on('data', ({ payload }: StreamingInputCallRequest) => (aggregatedPayloadSize += payload?.body.byteLength ?? 0));
    call.on('end', () => answer(null, { aggregatedPayloadSize }));
  }) satisfies grpc.handleClientStreamingCall<StreamingInputCallRequest, unknown>,
  streamingOutputCall: ((call) => void answerAll(call, call.request).then(() => call.end())) satisfies grpc.handleServerStreamingCall<StreamingOutputCallRequest, unknown>,
  fullDuplexCall: ((call) => void converse(call).catch(ifCancelled(call))) satisfies grpc.handleBidiStreamingCall<StreamingOutputCallRequest, unknown>,
  halfDuplexCall: ((call) => void converse(call).catch(ifCancelled(call))) satisfies grpc.handleBidiStreamingCall<StreamingOutputCallRequest, unknown>,
};

async function converse(call: grpc.ServerDuplexStream<StreamingOutputCallRequest, unknown>): Promise<void> {
  const trailers = echo(call);
  // Ended with the loop, the stream would be destroyed before it has answered.
  for await (const message of call.iterator({ destroyOnReturn: false })) {
    const request = message as StreamingOutputCallRequest;
    const { responseStatus } = request;
    if (responseStatus !== undefined && responseStatus.code !== 0) {
      call.emit('error', { code: responseStatus.code, details: responseStatus.message });
      return;
    }
    await answerAll(call, request);
  }
  call.end(trailers);
}

/** What fails once the client has gone is of no interest to anybody. */
function ifCancelled(call: { readonly cancelled: boolean }): (error: unknown) => void {
  return (error) => {
    if (!call.cancelled) throw error;
  };
}

async function answerAll(call: { write(message: unknown): boolean }, { responseParameters }: StreamingOutputCallRequest): Promise<void> {
  for (const { size, intervalUs } of responseParameters) {
    if (intervalUs > 0) await delay(intervalUs / 1_000);
    call.write(bodyOf(size));
  }
}

/** Sends the headers that were asked for, and returns the trailers to send. */
function echo(call: { readonly metadata: grpc.Metadata; sendMetadata(metadata: grpc.Metadata): void }): grpc.Metadata {
  const [headers, trailers] = [new grpc.Metadata(), new grpc.Metadata()];
  for (const value of call.metadata.get('x-grpc-test-echo-initial')) headers.add('x-grpc-test-echo-initial', value);
  for (const value of call.metadata.get('x-grpc-test-echo-trailing-bin')) trailers.add('x-grpc-test-echo-trailing-bin', value);
  call.sendMetadata(headers);
  return trailers;
}
