// A line per HTTP request, at debug; at other levels one look at a boolean.
import type { MonotonicClock } from '../base/clock.ts';
import type { ByteSource } from '../base/byte-source.ts';
import type { HttpExchange, HttpHandler, HttpHeaders } from '../base/http-exchange.ts';
import type { Log } from '../base/log.ts';

/** Of the target that is shown. */
const targetCharsMax = 300;

export function loggedHttp(handler: HttpHandler, log: Log, clock: MonotonicClock): HttpHandler {
  return (exchange) => (log.debugEnabled ? told(handler, exchange, log, clock) : handler(exchange));
}

async function told(handler: HttpHandler, exchange: HttpExchange, log: Log, clock: MonotonicClock): Promise<void> {
  const startedMs = clock.nowMs();
  const seen = new SeenExchange(exchange);
  try {
    await handler(seen);
  } finally {
    const { method, target, headers } = exchange;
    // Without a status nothing was answered: the client has left, or the handler broke.
    log.debug('request', { method, target: target.slice(0, targetCharsMax), status: seen.status, durationMs: Math.round((clock.nowMs() - startedMs) * 1_000) / 1_000, client: headers['user-agent']?.slice(0, 100) });
  }
}

/** The exchange as it is, and what it was answered with. */
class SeenExchange implements HttpExchange {
  status: number | undefined;
  readonly method: string;
  readonly target: string;
  readonly headers: HttpHeaders;
  readonly contentLength: number | undefined;
  readonly #inner: HttpExchange;

  constructor(inner: HttpExchange) {
    this.method = inner.method;
    this.target = inner.target;
    this.headers = inner.headers;
    this.contentLength = inner.contentLength;
    this.#inner = inner;
  }

  get signal(): AbortSignal {
    return this.#inner.signal;
  }

  body(): AsyncIterable<Uint8Array> {
    return this.#inner.body();
  }

  respond(status: number, headers?: HttpHeaders, body?: ByteSource | Uint8Array): Promise<void> {
    this.status = status;
    return this.#inner.respond(status, headers, body);
  }
}
