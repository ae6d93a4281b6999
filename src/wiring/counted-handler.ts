// Lets a shutdown wait for HTTP handlers: one whose client has left may still be writing to the stores.
import type { HttpHandler } from '../base/http-exchange.ts';
import type { RunningCount } from '../base/running-count.ts';

/** `handler`, counted in `running` from its start until it is done, however it ends and whoever has left. */
export function countedHandler(handler: HttpHandler, running: RunningCount): HttpHandler {
  return async (exchange) => {
    running.started();
    try {
      await handler(exchange);
    } finally {
      running.ended();
    }
  };
}
