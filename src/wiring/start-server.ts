// From options to a running server, and back: starts in order, drains in reverse.

import { assert } from '../base/assert.ts';
import { formatListenAddress } from '../base/listen-address.ts';
import type { HttpHandler } from '../base/http-exchange.ts';
import type { ListenAddress } from '../base/listen-address.ts';
import type { Log } from '../base/log.ts';
import { RunningCount } from '../base/running-count.ts';
import type { ServeOptions } from '../config/serve-options.ts';
import { GrpcRouter } from '../grpc/router.ts';
import { httpAcceptor } from '../h2/http-acceptor.ts';
import { httpExchangeLimits } from '../h2/http-stream-exchange.ts';
import { guardedFromBrowsers } from '../http/browser-guard.ts';
import { monotonicClock, timers, wallClock } from '../platform/clocks.ts';
import { createHttpDate } from '../platform/http-date.ts';
import { Listener } from '../platform/listener.ts';
import type { ListenerLimits } from '../platform/listener.ts';
import type { HealthStatus } from '../services/health.ts';
import { AnonymousAuthorizer } from './anonymous-authorizer.ts';
import { Connections } from './connections.ts';
import { countedHandler } from './counted-handler.ts';
import { DispatchAcceptor, refusingGrpcPaths } from './dispatch-acceptor.ts';
import { listenTargets } from './listen-targets.ts';
import { openStores } from './open-stores.ts';
import type { OpenStores } from './open-stores.ts';
import { createServed } from './services.ts';

const listenerLimits: ListenerLimits = {
  // A build tool opens a handful; this is a thousand of them at once, and leaves file descriptors for the stores.
  connectionsMax: 4_096,
  // A client sends its first bytes at once; ten seconds are for lost packets.
  firstBytesTimeoutMs: 10_000,
};

/** How long handlers of calls that were cut off may take to notice, before the stores are closed under them. */
const cancelledHandlersMs = 5_000;

/** What a server needs from the process it runs in. */
export interface ServerSurroundings {
  readonly log: Log;
  readonly version: string;
  readonly pid: number;
  /** ISO 8601. */
  readonly startedAt: string;
}

export interface RunningServer {
  /** As bound, in the order asked for; at least one. */
  readonly addresses: readonly ListenAddress[];
  readonly dataDirectory: string;
  readonly maxBytes: number;
  readonly usedBytes: number;
  readonly anonymousRight: 'read' | 'write';
  /**
   * Takes no new work, lets running calls finish, closes the stores. Resolves to true when every call finished,
   * to false when some were cut off at the limit. A second call gives the outcome of the first.
   */
  stop(): Promise<boolean>;
}

/**
 * Serves when it resolves.
 * @throws CacheError for what a person can set right: `invalid_argument` (options), `failed_precondition` and
 *   `resource_exhausted` (directory, addresses). The first line of the message is what is wrong, the rest what to do.
 */
export async function startServer(options: ServeOptions, surroundings: ServerSurroundings): Promise<RunningServer> {
  const { addresses, anonymousRight } = await listenTargets(options.listen, options.allowAnonymous);
  await using opening = new AsyncDisposableStack();
  const { log, pid, startedAt } = surroundings;
  const owner = { pid, startedAt, listen: addresses.map(formatListenAddress).join(', ') };
  const stores = opening.use(await openStores(options, owner, log));
  const server = new Server(stores, { options, anonymousRight, ...surroundings });
  opening.defer(async () => void (await server.endConnections(0)));
  for (const address of addresses) await server.listen(address);
  await stores.announce(server.addresses.map(formatListenAddress).join(', '));
  opening.move();
  return server;
}

interface ServerParts extends ServerSurroundings {
  readonly options: ServeOptions;
  readonly anonymousRight: 'read' | 'write';
}

class Server implements RunningServer {
  readonly anonymousRight: 'read' | 'write';
  readonly #stores: OpenStores;
  readonly #options: ServeOptions;
  readonly #log: Log;
  readonly #router: GrpcRouter;
  readonly #connections: Readonly<Record<ListenAddress['kind'], Connections>>;
  readonly #listeners: Listener[] = [];
  readonly #health: HealthStatus;
  readonly #exchanges = new RunningCount();
  #stopped: Promise<boolean> | undefined;

  constructor(stores: OpenStores, parts: ServerParts) {
    const { log, version } = parts;
    this.#stores = stores;
    this.#options = parts.options;
    this.#log = log;
    this.anonymousRight = parts.anonymousRight;
    const served = createServed({
      blobs: stores.blobs,
      values: stores.values,
      authorizer: new AnonymousAuthorizer(parts.anonymousRight),
      log,
      version,
    });
    this.#health = served.health;
    this.#router = new GrpcRouter(served.services, { timers, log });
    const http = countedHandler(refusingGrpcPaths(served.http, this.#router), this.#exchanges);
    this.#connections = {
      // Until somebody decides otherwise, the server is for its own machine, and for nothing a browser brings along.
      tcp: this.#connectionsWith(guardedFromBrowsers(http, { loopbackNamesOnly: parts.options.allowAnonymous === undefined })),
      // No browser can reach a socket file, and what its clients send as a host is arbitrary.
      unix: this.#connectionsWith(http),
    };
  }

  #connectionsWith(exchanges: HttpHandler): Connections {
    const log = this.#log;
    const http = httpAcceptor(exchanges, httpExchangeLimits, { httpDate: createHttpDate(wallClock), log });
    return new Connections({ streams: new DispatchAcceptor(this.#router, http), exchanges, clock: monotonicClock, timers, log });
  }

  get addresses(): readonly ListenAddress[] {
    return this.#listeners.map(({ address }) => address);
  }

  get dataDirectory(): string {
    return this.#options.dataDirectory;
  }

  get maxBytes(): number {
    return this.#stores.maxBytes;
  }

  get usedBytes(): number {
    return this.#stores.usedBytes;
  }

  async listen(address: ListenAddress): Promise<void> {
    assert(!this.#health.draining, 'a server that stops does not begin to listen');
    this.#listeners.push(await Listener.open(address, this.#connections[address.kind], listenerLimits, this.#log));
  }

  stop(): Promise<boolean> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<boolean> {
    await using _stores = this.#stores; // closed last, and in any case
    return this.endConnections(this.#options.drainTimeoutMs);
  }

  /** See `stop`, which closes the stores afterwards. */
  async endConnections(timeoutMs: number): Promise<boolean> {
    this.#health.drain();
    for (const listener of this.#listeners) listener.stopAccepting();
    const finished = await Promise.all(Object.values(this.#connections).map((connections) => connections.drain(timeoutMs)));
    await Promise.all(this.#listeners.map((listener) => listener[Symbol.asyncDispose]()));
    await this.#handlersEnded();
    return finished.every(Boolean);
  }

  async #handlersEnded(): Promise<void> {
    const { promise: late, resolve } = Promise.withResolvers<true>();
    using _limit = timers.after(cancelledHandlersMs, () => resolve(true));
    const ended = Promise.all([this.#router.idle(), this.#exchanges.idle()]);
    const isLate = await Promise.race([ended.then(() => false), late]);
    if (isLate) this.#log.warn('calls go on although they were cancelled', { handlers: this.#router.runningHandlers + this.#exchanges.value });
  }
}
