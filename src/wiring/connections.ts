// The connections of a server, whatever they speak: from being accepted to the end of the last call on them.
import type { MonotonicClock, Timers } from '../base/clock.ts';
import type { HttpHandler } from '../base/http-exchange.ts';
import type { Log } from '../base/log.ts';
import { http2Limits } from '../h2/limits.ts';
import { prefaceRefusal } from '../h2/preface-refusal.ts';
import { serveHttp2 } from '../h2/session.ts';
import type { Http2Session } from '../h2/session.ts';
import type { StreamAcceptor } from '../h2/stream.ts';
import type { AcceptedConnection, ProtocolHandlers } from '../platform/listener.ts';
import { createHttp1Server, http1Limits } from '../platform/node-http.ts';
import type { Http1Server } from '../platform/node-http.ts';
import { nodeSocket } from '../platform/node-socket.ts';

export interface ConnectionParts {
  /** What HTTP/2 streams are handed to. */
  readonly streams: StreamAcceptor;
  /** What HTTP/1.1 exchanges are handed to. */
  readonly exchanges: HttpHandler;
  readonly clock: MonotonicClock;
  readonly timers: Timers;
  readonly log: Log;
}

export class Connections implements ProtocolHandlers {
  readonly #parts: ConnectionParts;
  readonly #http1: Http1Server;
  /** Bounded by the listeners' limit on connections. */
  readonly #http2 = new Set<Http2Session>();
  #draining = false;

  constructor(parts: ConnectionParts) {
    this.#parts = parts;
    this.#http1 = createHttp1Server(parts.exchanges, http1Limits, { log: parts.log, foreignAnswer: prefaceRefusal() });
  }

  http2(socket: AcceptedConnection, head: Uint8Array): void {
    if (this.#draining) {
      socket.destroy();
      return;
    }
    const session = serveHttp2(nodeSocket(socket, head), this.#parts.streams, http2Limits, this.#parts);
    this.#http2.add(session);
    void session.closed.then(() => this.#http2.delete(session));
  }

  other(socket: AcceptedConnection): void {
    this.#http1.adopt(socket);
  }

  /**
   * Takes no new calls and waits for those that run; what is left after `timeoutMs` is cut off.
   * Resolves when every connection has ended: to true when none was cut off.
   */
  async drain(timeoutMs: number): Promise<boolean> {
    this.#draining = true;
    let inTime = true;
    using _cut = this.#parts.timers.after(timeoutMs, () => {
      inTime = false;
      for (const session of this.#http2) session.close();
      this.#http1.close();
    });
    await Promise.all([this.#http1.drain(), ...Array.from(this.#http2, (session) => session.drain())]);
    return inTime;
  }
}
