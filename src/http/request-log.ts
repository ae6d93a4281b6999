// A line per HTTP request, at debug; at other levels one look at a boolean.
import type { MonotonicClock } from '../base/clock.ts';
import type { HttpExchange, HttpHandler } from '../base/http-exchange.ts';
import type { Log } from '../base/log.ts';
import { AnsweredExchange } from './answered-exchange.ts';

/** Of the target that is shown. */
const targetCharsMax = 300;

export function loggedHttp(handler: HttpHandler, log: Log, clock: MonotonicClock): HttpHandler {
  return (exchange) => (log.debugEnabled ? told(handler, exchange, log, clock) : handler(exchange));
}

async function told(handler: HttpHandler, exchange: HttpExchange, log: Log, clock: MonotonicClock): Promise<void> {
  const startedMs = clock.nowMs();
  const seen = new AnsweredExchange(exchange);
  try {
    await handler(seen);
  } finally {
    const { method, target, headers } = exchange;
    // Without a status nothing was answered: the client has left, or the handler broke.
    log.debug('request', { method, target: target.slice(0, targetCharsMax), status: seen.status, durationMs: Math.round((clock.nowMs() - startedMs) * 1_000) / 1_000, client: headers['user-agent']?.slice(0, 100) });
  }
}
