// The port of HTTP requests that we make, to one server. What a status means is for the caller.
import type { CallOptions } from './call-options.ts';
import type { HttpHeaders } from './http-exchange.ts';

/** Bytes to send. */
export interface HttpRequestBody {
  readonly sizeBytes: number;
  /**
   * Exactly `sizeBytes` bytes. Pulled once the connection stands, and with `expectContinue` once the server wants
   * them; ended early when the answer comes before or the request breaks, neither of which waits for a piece that does
   * not come. When it fails, the request is broken off and `send` fails with the same error.
   */
  readonly bytes: AsyncIterable<Uint8Array>;
  /** Waits for the server's consent (RFC 9110 §10.1.1), so that a refusal costs no upload. */
  readonly expectContinue?: boolean;
}

export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'PUT';
  /** Path and query, percent-encoded. */
  readonly target: string;
  /** Lower-case names. Length and host are added. */
  readonly headers: HttpHeaders;
  readonly body?: HttpRequestBody | undefined;
}

/** The answer, as soon as its head is there. The caller reads the body to its end or disposes it. */
export interface HttpReply extends AsyncDisposable {
  readonly status: number;
  readonly headers: HttpHeaders;
  /** What the server announced; the length the body would have for HEAD. Undefined when it did not. */
  readonly contentLength: number | undefined;
  /**
   * Pulled with backpressure, once.
   * @throws CacheError `unavailable` when the connection breaks before the end, and as `HttpClient.send`.
   */
  readonly body: AsyncIterable<Uint8Array>;
}

/** Requests to one server over kept connections. Disposing it closes them, and breaks off what still runs. */
export interface HttpClient extends AsyncDisposable {
  /** The server in texts: `127.0.0.1:9092` or `unix:/run/kiln.sock`. */
  readonly serverName: string;
  /**
   * Resolves for every status. `signal` also ends the body of the reply.
   * @throws CacheError `unavailable` (no connection, or it broke), `deadline_exceeded` (the server let nothing be
   *   heard for too long), `cancelled` by the signal; what the body throws.
   */
  send(request: HttpRequest, options?: CallOptions): Promise<HttpReply>;
}
