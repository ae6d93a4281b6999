// Where clients meet the server: the addresses it listens on, the connections that come, and what answers them. Knows
// how to end them all; what is behind the services is ended by others.
import { assert } from '../base/assert.ts';
import type { HttpHandler } from '../base/http-exchange.ts';
import type { ListenAddress } from '../base/listen-address.ts';
import type { Log } from '../base/log.ts';
import { RunningCount } from '../base/running-count.ts';
import type { CallObserver } from '../grpc/call-observer.ts';
import { GrpcRouter } from '../grpc/router.ts';
import { httpAcceptor } from '../h2/http-acceptor.ts';
import { httpExchangeLimits } from '../h2/http-stream-exchange.ts';
import { guardedFromBrowsers } from '../http/browser-guard.ts';
import { monotonicClock, timers, wallClock } from '../platform/clocks.ts';
import { createHttpDate } from '../platform/http-date.ts';
import { Listener } from '../platform/listener.ts';
import type { ListenerLimits } from '../platform/listener.ts';
import { Connections } from './connections.ts';
import { countedHandler } from './counted-handler.ts';
import { DispatchAcceptor, refusingGrpcPaths } from './dispatch-acceptor.ts';
import type { Served } from './services.ts';

export const listenerLimits: ListenerLimits = {
  // A build tool opens a handful; this is a thousand of them at once, and leaves file descriptors for the stores.
  connectionsMax: 4_096,
  // A client sends its first bytes at once; ten seconds are for lost packets.
  firstBytesTimeoutMs: 10_000,
};

/** How long handlers of calls that were cut off may take to notice, before the stores are closed under them. */
const cancelledHandlersMs = 5_000;

export interface EndpointParts {
  readonly served: Served;
  /** Of gRPC calls. */
  readonly calls: CallObserver | undefined;
  /** See `guardedFromBrowsers`. */
  readonly loopbackNamesOnly: boolean;
  readonly log: Log;
}

export class Endpoints implements AsyncDisposable {
  readonly #served: Served;
  readonly #log: Log;
  readonly #router: GrpcRouter;
  readonly #connections: Readonly<Record<ListenAddress['kind'], Connections>>;
  readonly #listeners: Listener[] = [];
  readonly #exchanges = new RunningCount();

  constructor({ served, calls, loopbackNamesOnly, log }: EndpointParts) {
    this.#served = served;
    this.#log = log;
    this.#router = new GrpcRouter(served.services, { timers, log, ...(calls === undefined ? {} : { observer: calls }) });
    const http = countedHandler(refusingGrpcPaths(served.http, this.#router), this.#exchanges);
    this.#connections = {
      // Until somebody decides otherwise, the server is for its own machine, and for nothing a browser brings along.
      tcp: this.#connectionsWith(guardedFromBrowsers(http, { loopbackNamesOnly })),
      // No browser can reach a socket file, and what its clients send as a host is arbitrary.
      unix: this.#connectionsWith(http),
    };
  }

  #connectionsWith(exchanges: HttpHandler): Connections {
    const log = this.#log;
    const http = httpAcceptor(exchanges, httpExchangeLimits, { httpDate: createHttpDate(wallClock), log });
    return new Connections({ streams: new DispatchAcceptor(this.#router, http), exchanges, clock: monotonicClock, timers, log });
  }

  /** As bound, in the order they were opened. */
  get addresses(): readonly ListenAddress[] {
    return this.#listeners.map(({ address }) => address);
  }

  /** Handlers at work over gRPC and HTTP that did not answer at once; cancelled ones count until they have noticed. */
  get runningHandlers(): number {
    return this.#router.runningHandlers + this.#exchanges.value;
  }

  /** @throws CacheError `failed_precondition` that says what to do. */
  async listen(address: ListenAddress): Promise<void> {
    assert(!this.#served.health.draining, 'a server that stops does not begin to listen');
    this.#listeners.push(await Listener.open(address, this.#connections[address.kind], listenerLimits, this.#log));
  }

  /**
   * Says that nothing is served any more, takes no new work, and waits for what runs; what is left after `timeoutMs`
   * is cut off. Resolves when all has ended: to true when nothing was cut off.
   */
  async drain(timeoutMs: number): Promise<boolean> {
    this.#served.health.drain();
    for (const listener of this.#listeners) listener.stopAccepting();
    const finished = await Promise.all(Object.values(this.#connections).map((connections) => connections.drain(timeoutMs)));
    await Promise.all(this.#listeners.map((listener) => listener[Symbol.asyncDispose]()));
    await this.#handlersEnded();
    return finished.every(Boolean);
  }

  /** Ends everything at once. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.drain(0);
  }

  async #handlersEnded(): Promise<void> {
    const { promise: late, resolve } = Promise.withResolvers<true>();
    using _limit = timers.after(cancelledHandlersMs, () => resolve(true));
    const ended = Promise.all([this.#router.idle(), this.#exchanges.idle()]);
    const isLate = await Promise.race([ended.then(() => false), late]);
    if (isLate) this.#log.warn('calls go on although they were cancelled', { handlers: this.runningHandlers });
  }
}
