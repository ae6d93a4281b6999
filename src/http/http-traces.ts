// A span per traced HTTP exchange, with the names that OpenTelemetry's conventions give to an HTTP server's.
// docs/traces.md has the list.
import type { ByteSource } from '../base/byte-source.ts';
import type { HttpExchange, HttpHandler, HttpHeaders } from '../base/http-exchange.ts';
import type { Span, Tracer } from '../base/tracer.ts';
import { pathOf, routeOf } from './route-name.ts';
import type { RouteName } from './route-name.ts';

/** Other methods are one, since clients make them up. */
const methods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'OPTIONS']);
const otherMethod = '_OTHER';

const templates: Readonly<Record<RouteName, string | undefined>> = {
  ac: '/{instance}/ac/{hash}',
  cas: '/{instance}/cas/{hash}',
  index: '/',
  status: '/status',
  healthz: '/healthz',
  readyz: '/readyz',
  livez: '/livez',
  metrics: '/metrics',
  admin: '/admin/{page}',
  other: undefined,
};

/** `handler`, with the exchanges traced that `tracer` chooses. All others reach it as they are. */
export function tracedHttp(handler: HttpHandler, tracer: Tracer): HttpHandler {
  return (exchange) => {
    const { traceparent, tracestate } = exchange.headers;
    if (!tracer.samples(traceparent)) return handler(exchange);
    const { route, instance } = routeOf(exchange.target);
    const method = methods.has(exchange.method) ? exchange.method : otherMethod;
    const template = templates[route];
    const span = tracer.start(template === undefined ? method : `${method} ${template}`, { traceparent, tracestate }, {
      'http.request.method': method,
      'http.request.method_original': method === exchange.method ? undefined : exchange.method,
      'http.route': template,
      'url.path': pathOf(exchange.target),
      'reapi.instance': template?.includes('{instance}') === true ? instance : undefined,
      'http.request.body.size': exchange.contentLength,
      'user_agent.original': exchange.headers['user-agent'],
    });
    return run(handler, new TracedExchange(exchange, span), span);
  };
}

async function run(handler: HttpHandler, exchange: TracedExchange, span: Span): Promise<void> {
  try {
    await handler(exchange);
    const { status } = exchange;
    span.set({ 'http.response.status_code': status, 'http.response.body.size': exchange.answerBytes });
    if (status === undefined) span.end('the client went away before it was answered');
    else span.end(status >= 500 ? `HTTP ${status}` : undefined);
  } catch (thrown) {
    span.end(String(thrown));
    throw thrown;
  }
}

/** An exchange as it is, with its span, noting what it was answered. */
class TracedExchange implements HttpExchange {
  readonly trace: Span;
  status: number | undefined;
  answerBytes: number | undefined;
  readonly #inner: HttpExchange;

  constructor(inner: HttpExchange, trace: Span) {
    this.#inner = inner;
    this.trace = trace;
  }

  get method(): string {
    return this.#inner.method;
  }

  get target(): string {
    return this.#inner.target;
  }

  get headers(): HttpHeaders {
    return this.#inner.headers;
  }

  get contentLength(): number | undefined {
    return this.#inner.contentLength;
  }

  get signal(): AbortSignal {
    return this.#inner.signal;
  }

  body(): AsyncIterable<Uint8Array> {
    return this.#inner.body();
  }

  respond(status: number, headers?: HttpHeaders, body?: ByteSource | Uint8Array): Promise<void> {
    this.status = status;
    this.answerBytes = body instanceof Uint8Array ? body.byteLength : body?.sizeBytes;
    return this.#inner.respond(status, headers, body);
  }
}
