// One HTTP/2 connection carries gRPC calls and plain HTTP requests; the content type tells which.
import type { HttpExchange, HttpHandler } from '../base/http-exchange.ts';
import type { HeaderBlock, ServerStream, StreamAcceptor, StreamHandler } from '../h2/stream.ts';

/** An acceptor that can tell whether a request is in its protocol. */
export interface ChoosyAcceptor extends StreamAcceptor {
  accepts(headers: HeaderBlock): boolean;
}

export class DispatchAcceptor implements StreamAcceptor {
  readonly #grpc: ChoosyAcceptor;
  readonly #http: StreamAcceptor;

  constructor(grpc: ChoosyAcceptor, http: StreamAcceptor) {
    this.#grpc = grpc;
    this.#http = http;
  }

  onStream(stream: ServerStream, headers: HeaderBlock, endStream: boolean): StreamHandler {
    const acceptor = this.#grpc.accepts(headers) ? this.#grpc : this.#http;
    return acceptor.onStream(stream, headers, endStream);
  }
}

const explanation = Buffer.from('this path is a gRPC method: it takes content-type application/grpc over HTTP/2\n');

/**
 * `handler`, except that a path of a gRPC service is answered with 415 (REAPI HT-6, HT-11): whoever comes here
 * with such a path speaks another protocol to it, a proxy that knows only HTTP/1.1 for instance.
 */
export function refusingGrpcPaths(handler: HttpHandler, grpc: { serves(path: string): boolean }): HttpHandler {
  return async (exchange: HttpExchange) => {
    if (!grpc.serves(exchange.target)) return handler(exchange);
    await exchange.respond(415, { 'content-type': 'text/plain; charset=utf-8' }, explanation);
  };
}
