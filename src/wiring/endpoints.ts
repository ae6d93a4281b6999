// Where clients meet the server: the addresses it listens on, the connections that come, and what answers them. Knows
// how to end them all; what is behind the services is ended by others.
import { assert } from '../base/assert.ts';
import type { Authenticator } from '../base/authorizer.ts';
import type { ByteBudget } from '../base/byte-budget.ts';
import type { HttpHandler } from '../base/http-exchange.ts';
import type { ListenAddress } from '../base/listen-address.ts';
import type { Log } from '../base/log.ts';
import { RunningCount } from '../base/running-count.ts';
import { GrpcRouter } from '../grpc/router.ts';
import type { ConnectionEvents } from '../h2/connection-events.ts';
import { httpAcceptor } from '../h2/http-acceptor.ts';
import { httpExchangeLimits } from '../h2/http-stream-exchange.ts';
import { guardedFromBrowsers } from '../http/browser-guard.ts';
import { monotonicClock, timers, wallClock } from '../platform/clocks.ts';
import { createHttpDate } from '../platform/http-date.ts';
import type { Listener } from '../platform/listener.ts';
import { isLoopbackAddress } from '../platform/resolve-host.ts';
import { meterConnections, meteredConnectionEvents, meteredHttp1Events } from './connection-metrics.ts';
import { ByteBudgetKeeper } from './byte-budget.ts';
import { Connections } from './connections.ts';
import type { DrainedCalls, StreamAcceptors } from './connections.ts';
import { countedHandler } from './counted-handler.ts';
import { DispatchAcceptor, refusingGrpcPaths } from './dispatch-acceptor.ts';
import { endedWithin } from './drain.ts';
import type { DrainLimits, DrainProgress } from './drain.ts';
import type { OpenListener } from './listeners.ts';
import type { ServedAddress } from './running-server.ts';
import type { ServerLimits } from './server-limits.ts';
import type { Served } from './services.ts';
import type { Telemetry } from './telemetry.ts';

/** What handlers of calls that were cut off get at least to notice it, before the stores are closed under them. */
const cancelledHandlersMsMin = 1_000;

export interface EndpointParts {
  readonly served: Served;
  readonly telemetry: Telemetry;
  readonly authenticator: Authenticator;
  /** Names of the server besides those of loopback; see browser-guard.ts. */
  readonly allowedHosts: readonly string[];
  readonly limits: ServerLimits;
  readonly budget: ByteBudget;
  /** Whether calls wait in the stores for others that are not complete. */
  readonly isBusy: () => boolean;
  readonly log: Log;
}

/** What of the limits can change in a running server. */
export type ConnectionLimits = Pick<ServerLimits, 'listener' | 'http1' | 'http2'>;

/** From where clients of an address come. */
type Audience = 'loopback' | 'network' | 'unix';

function audienceOf(address: ListenAddress): Audience {
  if (address.kind === 'unix') return 'unix';
  return isLoopbackAddress(address.host) ? 'loopback' : 'network';
}

/** Who answers the clients of one audience. */
interface AudienceEnd {
  readonly connections: Connections;
  readonly acceptors: (router: GrpcRouter) => StreamAcceptors;
}

/** How the clients of a drain ended; see `StopOutcome`. */
export interface DrainedClients extends DrainedCalls {
  readonly lateHandlers: number;
}

export class Endpoints implements AsyncDisposable {
  readonly #served: Served;
  readonly #telemetry: Telemetry;
  readonly #events: ConnectionEvents;
  readonly #http1Events: ReturnType<typeof meteredHttp1Events>;
  readonly #isBusy: () => boolean;
  readonly #budget: ByteBudget;
  readonly #keeper: ByteBudgetKeeper;
  readonly #log: Log;
  readonly #router: GrpcRouter;
  #limits: ConnectionLimits;
  readonly #audiences: Readonly<Record<Audience, AudienceEnd>>;
  readonly #listeners: Listener[] = [];
  readonly #exchanges = new RunningCount();
  #drained: Promise<DrainedClients> | undefined;

  constructor({ served, telemetry, authenticator, allowedHosts, limits, budget, isBusy, log }: EndpointParts) {
    const { calls, meter, turns } = telemetry;
    this.#budget = budget;
    this.#served = served;
    this.#telemetry = telemetry;
    this.#events = meteredConnectionEvents(meter);
    this.#http1Events = meteredHttp1Events(meter);
    this.#isBusy = isBusy;
    this.#log = log;
    this.#limits = limits;
    const current = () => this.#limits;
    const keeperLimits = {
      // Stalled clients of HTTP/1.1 and of HTTP/2 are ended after about the same time.
      get patienceMs() {
        return current().http1.busyStallTimeoutMs / 2;
      },
    };
    this.#keeper = new ByteBudgetKeeper(budget, keeperLimits, { evictors: () => [this], clock: monotonicClock, timers, log, meter });
    this.#router = new GrpcRouter(served.services, { authenticator, timers, log, limits: limits.grpc, budget, observed: calls && { observer: calls, turns } });
    const http = countedHandler(refusingGrpcPaths(served.http, this.#router), this.#exchanges);
    const policy = { allowedHosts, linkablePaths: served.pages.filter(({ linkable }) => linkable).map(({ path }) => path) };
    this.#audiences = {
      loopback: this.#audienceWith(guardedFromBrowsers(http, { ...policy, knownNamesOnly: true, anyAddress: false })),
      // By which names the network knows this machine is only known when somebody has said it.
      network: this.#audienceWith(guardedFromBrowsers(http, { ...policy, knownNamesOnly: allowedHosts.length > 0, anyAddress: true })),
      // No browser can reach a socket file, and what its clients send as a host is arbitrary.
      unix: this.#audienceWith(http),
    };
    meterConnections(meter, {
      listeners: () => this.#listeners,
      connections: this.#connections,
      connectionsMax: () => this.#limits.listener.connectionsMax,
      streamsMax: () => this.#limits.http2.concurrentStreamsMax,
    });
  }

  #audienceWith(handler: HttpHandler): AudienceEnd {
    const log = this.#log;
    const exchanges = this.#telemetry.observedHttp(handler);
    const httpDate = createHttpDate(wallClock);
    return {
      connections: new Connections({ exchanges, clock: monotonicClock, timers, log, budget: this.#budget, events: this.#events, http1Events: this.#http1Events, isBusy: this.#isBusy, limits: this.#limits }),
      acceptors: (router) => (credentials) =>
        new DispatchAcceptor(router.forClient(credentials), httpAcceptor(exchanges, httpExchangeLimits, { httpDate, log, budget: this.#budget, credentials })),
    };
  }

  get #connections(): readonly Connections[] {
    return Object.values(this.#audiences).map(({ connections }) => connections);
  }

  /** See `Evictor`. */
  evictStalled(isEnough: () => boolean): number {
    return sum(this.#connections, (connections) => connections.evictStalled(isEnough));
  }

  /** As bound, in the order they were opened. */
  get addresses(): readonly ServedAddress[] {
    return this.#listeners.map(({ address, speaksTls }) => ({ ...address, tls: speaksTls }));
  }

  /** Handlers at work over gRPC and HTTP that did not answer at once; cancelled ones count until they have noticed. */
  get runningHandlers(): number {
    return this.#router.runningHandlers + this.#exchanges.value;
  }

  /** Bounds new connections, and calls on them, anew; what is open stays as it is, but for requests of HTTP/1.1. */
  limit(limits: ConnectionLimits): void {
    this.#limits = limits;
    for (const connections of this.#connections) connections.limit(limits);
    for (const listener of this.#listeners) listener.limit(limits.listener);
  }

  /** Serves whoever connects to `listener`, and owns it. */
  serve({ listener, messageBytesMax }: OpenListener): void {
    assert(!this.#served.health.draining, 'a server that stops does not begin to listen');
    this.#listeners.push(listener);
    const { connections, acceptors } = this.#audiences[audienceOf(listener.address)];
    listener.serve(connections.handlers(acceptors(this.#router.withMessagesUpTo(messageBytesMax))));
  }

  /** What is going on at the moment. */
  get progress(): DrainProgress {
    const all = this.#connections;
    return { calls: sum(all, ({ runningCalls }) => runningCalls), connections: sum(all, ({ size }) => size), handlers: this.runningHandlers };
  }

  /**
   * Says that nothing is served any more, takes no new work, and waits for what runs; what is left at the limit is cut
   * off. Resolves when all has ended, handlers that do not notice their cancellation excepted. Idempotent: a second
   * call waits for the first, whose limits hold.
   */
  drain(limits: Omit<DrainLimits, 'flushTimeoutMs'>): Promise<DrainedClients> {
    this.#drained ??= this.#drain(limits);
    return this.#drained;
  }

  async #drain({ listenerTimeoutMs, timeoutMs }: Omit<DrainLimits, 'flushTimeoutMs'>): Promise<DrainedClients> {
    const startedMs = monotonicClock.nowMs();
    this.#served.health.drain(); // first of all: whoever asks before it connects goes elsewhere (HC-3)
    for (const listener of this.#listeners) listener.stopAccepting();
    const drained = await Promise.all(this.#connections.map((connections) => connections.drain(Math.min(listenerTimeoutMs, timeoutMs))));
    await Promise.all(this.#listeners.map((listener) => listener[Symbol.asyncDispose]()));
    this.#keeper[Symbol.dispose]();
    await this.#handlersEnded(Math.max(startedMs + timeoutMs - monotonicClock.nowMs(), cancelledHandlersMsMin));
    return {
      finishedCalls: sum(drained, ({ finishedCalls }) => finishedCalls),
      cutOffCalls: sum(drained, ({ cutOffCalls }) => cutOffCalls),
      lateHandlers: this.runningHandlers,
    };
  }

  /** Ends everything at once. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.drain({ listenerTimeoutMs: 0, timeoutMs: 0 });
  }

  async #handlersEnded(timeoutMs: number): Promise<void> {
    await endedWithin(timeoutMs, Promise.all([this.#router.idle(), this.#exchanges.idle()]).then(() => true), timers);
  }
}

function sum<T>(all: readonly T[], of: (one: T) => number): number {
  return all.reduce((total, one) => total + of(one), 0);
}
