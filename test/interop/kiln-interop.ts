// Our own gRPC client, and our own server, at the ends of the interoperability cases.
import type { ClientTls } from '../../src/base/connector.ts';
import { GrpcError } from '../../src/client/grpc-error.ts';
import type { GrpcCallOptions } from '../../src/client/grpc-channel.ts';
import type { ReceivedMetadata } from '../../src/client/grpc-metadata.ts';
import { grpcChannelTo } from '../../src/testing/grpc-channel-to.ts';
import { CallFailure } from './interop-client.ts';
import type { InteropClient, InteropOptions, MetadataReader } from './interop-client.ts';

/** A server on 127.0.0.1. */
export function kilnInteropClient(port: number, tls?: ClientTls): InteropClient {
  const channel = grpcChannelTo({ address: { kind: 'tcp', host: '127.0.0.1', port }, tls });
  return {
    unary: (method, request, options) => failing(channel.unary(method, request, callOptions(options))),
    serverStream: (method, request, options) => failingStream(channel.serverStream(method, request, callOptions(options))),
    clientStream: (method, requests, options) => failing(channel.clientStream(method, requests, callOptions(options))),
    bidiStream: (method, requests, options) => failingStream(channel.bidiStream(method, requests, callOptions(options))),
    [Symbol.asyncDispose]: () => channel[Symbol.asyncDispose](),
  };
}

function callOptions({ timeoutMs, signal, metadata, onHeaders, onTrailers }: InteropOptions = {}): GrpcCallOptions {
  return {
    timeoutMs,
    metadata,
    onHeaders: (headers) => onHeaders?.(readerOf(headers)),
    onTrailers: (trailers) => onTrailers?.(readerOf(trailers)),
    ...(signal === undefined ? {} : { signal }),
  };
}

function readerOf(metadata: ReceivedMetadata): MetadataReader {
  return (name) => {
    if (!name.endsWith('-bin')) return metadata.getAll(name);
    const bytes = metadata.getBytes(name);
    return bytes === undefined ? [] : [bytes];
  };
}

async function failing<T>(outcome: Promise<T>): Promise<T> {
  try {
    return await outcome;
  } catch (thrown) {
    throw asFailure(thrown);
  }
}

async function* failingStream<T>(answers: AsyncIterable<T>): AsyncGenerator<T, void, undefined> {
  try {
    yield* answers;
  } catch (thrown) {
    throw asFailure(thrown);
  }
}

function asFailure(thrown: unknown): unknown {
  return thrown instanceof GrpcError ? new CallFailure(thrown.status, thrown.statusMessage, thrown) : thrown;
}
