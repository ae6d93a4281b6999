// A span per traced HTTP exchange, with the names that OpenTelemetry's conventions give to an HTTP server's.
// docs/traces.md has the list.
import type { HttpHandler } from '../base/http-exchange.ts';
import type { Span, Tracer } from '../base/tracer.ts';
import { AnsweredExchange } from './answered-exchange.ts';
import { isNamedMethod, pathOf, routeOf } from './route-name.ts';
import type { RouteName } from './route-name.ts';

/** For methods that clients make up. */
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
    const method = isNamedMethod(exchange.method) ? exchange.method : otherMethod;
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
    return run(handler, new AnsweredExchange(exchange, span), span);
  };
}

async function run(handler: HttpHandler, exchange: AnsweredExchange, span: Span): Promise<void> {
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
