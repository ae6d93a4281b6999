// The port of one HTTP request and its answer, so that an adapter serves HTTP/1.1 (node:http) and HTTP/2
// (our engine) with the same code.
import type { ConnectionCredentials } from './authorizer.ts';
import type { ByteSource } from './byte-source.ts';
import type { Span } from './tracer.ts';

/** Lower-case names; a repeated header has its values joined by ", " (RFC 9110 §5.3). */
export type HttpHeaders = Readonly<Record<string, string | undefined>>;

/** The request side, and one answer. It may be passed for the options of a call (call-options.ts): it has what they have. */
export interface HttpExchange {
  readonly method: string;
  /** Path and query as sent, percent-encoding kept. */
  readonly target: string;
  readonly headers: HttpHeaders;
  /** From Content-Length; undefined when the length is not known beforehand (chunked, or HTTP/2 without one). */
  readonly contentLength: number | undefined;
  /** Aborted when the client goes away before the answer is complete. */
  readonly signal: AbortSignal;
  /** What its connection shows of the client; undefined when that is nothing. */
  readonly credentials?: ConnectionCredentials | undefined;
  /** Of the exchange, if it is traced. */
  readonly trace?: Span | undefined;
  /**
   * The body, pulled with backpressure; at most one consumer. A chunk belongs to the consumer once delivered.
   * Taking it sends "100 Continue" if the client waits for that (build-tools CT-5), so refuse before.
   * @throws CacheError `cancelled` when the client goes away in mid-body.
   */
  body(): AsyncIterable<Uint8Array>;
  /**
   * Sends the answer; once. A body that is left unread is drained within a bound or the connection closed, so
   * that the client sees the answer. HEAD and 204/304 send headers only, with the Content-Length the body has.
   * Disposes `body`. Resolves when everything was handed to the transport, or the client went away.
   */
  respond(status: number, headers?: HttpHeaders, body?: ByteSource | Uint8Array): Promise<void>;
}

/** Serves one exchange. A throw that reaches the caller is answered by the HTTP status table. */
export type HttpHandler = (exchange: HttpExchange) => Promise<void>;
