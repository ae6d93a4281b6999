// node:http2 set up as well as it can be for a comparison: nothing that a gRPC server does not send, and windows at
// least as large as Kiln's.
import { createSecureServer, createServer } from 'node:http2';
import type { Http2Server, ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import type { ReferenceArguments } from './announce.ts';

/** Kiln's defaults, of a stream and of a connection. */
const streamWindowBytes = 1024 * 1024;
const connectionWindowBytes = 16 * 1024 * 1024;

/** Unless told otherwise node:http2 adds a date to every answer, which no gRPC server sends. */
const withTrailers = { waitForTrailers: true, sendDate: false };
const grpcAnswer = { ':status': 200, 'content-type': 'application/grpc' } as const;

/** A server whose windows are open; over TLS where there is a certificate. */
export function http2Server(tls: ReferenceArguments['tls']): Http2Server {
  const options = { settings: { initialWindowSize: streamWindowBytes } };
  const server = tls === undefined ? createServer(options) : createSecureServer({ ...options, ...tls });
  return server.on('session', (session: ServerHttp2Session) => session.setLocalWindowSize(connectionWindowBytes));
}

/** Sends framed messages and status 0. */
export function answerWith(stream: ServerHttp2Stream, messages: readonly Uint8Array[]): void {
  stream.respond(grpcAnswer, withTrailers);
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  for (const message of messages.slice(0, -1)) stream.write(message);
  stream.end(messages.at(-1));
}

export function refuseWith(stream: ServerHttp2Stream, status: number, text: string): void {
  stream.respond({ ...grpcAnswer, 'grpc-status': String(status), 'grpc-message': encodeURI(text) }, { endStream: true });
}
