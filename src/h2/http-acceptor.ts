// Plain HTTP over HTTP/2: every stream is an HttpExchange for one handler.
import { assert } from '../base/assert.ts';
import type { ConnectionCredentials } from '../base/authorizer.ts';
import type { ByteBudget } from '../base/byte-budget.ts';
import type { HttpHandler } from '../base/http-exchange.ts';
import type { Log } from '../base/log.ts';
import { requestHeadOf } from './http-request-head.ts';
import { HttpStreamExchange } from './http-stream-exchange.ts';
import type { HttpExchangeLimits } from './http-stream-exchange.ts';
import type { HeaderBlock, ServerStream, StreamAcceptor, StreamHandler } from './stream.ts';

export interface HttpAcceptorPorts {
  /** The value at this moment of the `date` header that an origin server owes its clients (RFC 9110 §6.6.1). */
  readonly httpDate: () => string;
  readonly log: Log;
  /** Of what bodies keep; without a bound, if left out. */
  readonly budget?: ByteBudget | undefined;
  /** What the connection whose streams are accepted shows of its client. */
  readonly credentials?: ConnectionCredentials | undefined;
}

/**
 * Hands every stream to `handler`. A handler that throws, or returns without an answer, has a bug: it is logged, and
 * the client gets 500, or a reset when the answer has begun already.
 */
export function httpAcceptor(handler: HttpHandler, limits: HttpExchangeLimits, ports: HttpAcceptorPorts): StreamAcceptor {
  return {
    onStream(stream: ServerStream, headers: HeaderBlock): StreamHandler {
      const exchange = new HttpStreamExchange(stream, requestHeadOf(headers), limits, ports);
      void run(handler, exchange, ports.log);
      return exchange;
    },
  };
}

async function run(handler: HttpHandler, exchange: HttpStreamExchange, log: Log): Promise<void> {
  try {
    // There is no proxying here, and a target without a path fits no route.
    if (exchange.method === 'CONNECT') await exchange.respond(501);
    else await handler(exchange);
    assert(exchange.answerStarted || exchange.clientGone, 'an HTTP handler answers');
  } catch (thrown) {
    if (exchange.clientGone) return; // and whatever failed, nobody waits for it any more
    log.error('an HTTP handler failed', thrown, { method: exchange.method, target: exchange.target });
    if (exchange.answerStarted) exchange.breakOff();
    else await exchange.respond(500);
  }
}
