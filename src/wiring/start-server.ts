// From options to a running server, and back: opens part after part, ends them in reverse.
import { formatListenAddress } from '../base/listen-address.ts';
import type { Supervisor } from '../base/supervisor.ts';
import type { ServeOptions } from '../config/serve-options.ts';
import { BudgetedBlobStore, readBudgetLimits } from '../blob/budgeted-blob-store.ts';
import { monotonicClock, timers, wallClock } from '../platform/clocks.ts';
import type { InheritedSocket } from '../platform/inherited-sockets.ts';
import type { PinoLog } from '../platform/pino-log.ts';
import type { AnonymousRights } from '../rights/rights-definition.ts';
import { createByteBudget } from './byte-budget.ts';
import { openDiagnostics } from './diagnostics.ts';
import type { RunningDiagnostics } from './diagnostics.ts';
import { drain, endedWithin, logOutcome } from './drain.ts';
import type { DrainLimits, DrainProgress, StopOutcome } from './drain.ts';
import { Endpoints } from './endpoints.ts';
import { listenTargets } from './listen-targets.ts';
import { openListeners, takeHandedOver, wishedAddresses } from './listeners.ts';
import { openStores, startSyncs } from './open-stores.ts';
import type { OpenStores } from './open-stores.ts';
import { repeat } from './repeat.ts';
import { openRights } from './rights.ts';
import type { OpenRights } from './rights.ts';
import { meteredRights } from './rights-metrics.ts';
import type { ReloadOptions, RunningServer, ServedAddress } from './running-server.ts';
import { serverLimits } from './server-limits.ts';
import { createServed } from './services.ts';
import { openTelemetry } from './telemetry.ts';
import type { Telemetry } from './telemetry.ts';
import { openTls, unusedWarnings, warnOf } from './tls.ts';
import type { OpenTls } from './tls.ts';

/** What a server needs from the process it runs in. */
export interface ServerSurroundings {
  readonly log: PinoLog;
  readonly version: string;
  readonly pid: number;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly supervisor: Supervisor;
  /** To listen on, instead of what the options say; may be empty. */
  readonly inheritedSockets: readonly InheritedSocket[];
}

/** While a large data directory is taken in, the service manager hears this often that the start goes on. */
const patienceIntervalMs = 10_000;
/** What those that observe get to write and send what they have gathered, once everything else has ended. */
const observersEndMs = 3_000;

/**
 * Serves when it resolves.
 * @throws CacheError for what a person can set right: `invalid_argument` (options), `failed_precondition` and
 *   `resource_exhausted` (directory, addresses). The first line of the message is what is wrong, the rest what to do.
 */
export async function startServer(options: ServeOptions, surroundings: ServerSurroundings): Promise<RunningServer> {
  const { log, version, pid, startedAt, supervisor, inheritedSockets } = surroundings;
  using _patience = repeat(patienceIntervalMs, () => supervisor.extendTimeout(3 * patienceIntervalMs), timers);
  const limits = serverLimits(options.limits);
  // Ended in reverse: clients first, then the stores they use, at last what observes both.
  await using opening = new AsyncDisposableStack();
  const syncs = opening.use(startSyncs());
  const tls = options.tls === undefined ? undefined : opening.use(await openTls(options.tls, limits.tls, { log, wallClock, timers }));
  const listenerParts = { limits: limits.listener, log, tls: tls?.listener };
  const handedOver = opening.use(await takeHandedOver(inheritedSockets, options, listenerParts));
  const addresses = await listenTargets(wishedAddresses(options, handedOver, log), options);
  if (options.tls !== undefined) warnOf(unusedWarnings(options.tls, addresses), log);
  const telemetry = opening.use(await openTelemetry(options, { log, version }));
  const { meter, usage, scrape, turns } = telemetry;
  tls?.meter(meter);
  const openedRights = opening.use(await openRights(options, { log, meter }));
  const rights = meteredRights(openedRights.rights, meter);
  const owner = { pid, startedAt, listen: addresses.map(({ address }) => formatListenAddress(address)).join(', ') };
  const budget = createByteBudget(options.limits.bufferedBytesMax, Math.max(...addresses.map(({ messageBytesMax }) => messageBytesMax)));
  const stores = telemetry.observedStores(opening.use(await openStores(options, owner, { log, meter, turns, budget, syncs })));
  const diagnostics = opening.use(await openDiagnostics(options, { log, meter }));
  const blobs = new BudgetedBlobStore(stores.blobs, budget, readBudgetLimits);
  const served = createServed({ blobs, values: stores.values, authenticator: rights, authorizer: rights, limits, budget, log, version, meter, usage, scrape, pages: diagnostics.pages });
  const endpoints = opening.use(
    new Endpoints({
      served,
      telemetry,
      authenticator: rights,
      allowedHosts: options.allowedHosts,
      limits,
      budget,
      isBusy: () => budget.isPressed || stores.usage.waitingReads + stores.usage.waitingWrites > 0,
      log,
    }),
  );
  const listening = opening.use(await openListeners(addresses, handedOver, listenerParts));
  await stores.announce(listening.listeners.map(({ listener }) => formatListenAddress(listener.address)).join(', '));
  const server = new Server({ options, surroundings, tls, rights: openedRights, telemetry, stores, diagnostics, endpoints });
  telemetry.watch(server);
  diagnostics.watch();
  // Last, and in the turn in which the caller gets the server: nobody is served by one that cannot be stopped politely.
  for (const one of listening.listeners) endpoints.serve(one);
  opening.move(); // from here on `stop` ends them
  return server;
}

interface ServerParts {
  readonly options: ServeOptions;
  readonly surroundings: ServerSurroundings;
  /** Undefined: no TLS. */
  readonly tls: OpenTls | undefined;
  readonly rights: OpenRights;
  readonly telemetry: Telemetry;
  readonly stores: OpenStores;
  readonly diagnostics: RunningDiagnostics;
  readonly endpoints: Endpoints;
}

class Server implements RunningServer {
  readonly #parts: ServerParts;
  #drainLimits: DrainLimits;
  #stopped: Promise<StopOutcome> | undefined;

  constructor(parts: ServerParts) {
    this.#parts = parts;
    this.#drainLimits = parts.options.drain;
  }

  get anonymousRight(): AnonymousRights {
    return this.#parts.rights.anonymous;
  }

  async reload(options: ReloadOptions): Promise<void> {
    const { rights, tls } = this.#parts;
    // What can fail comes first, and changes nothing before all of it has not.
    const takeTls = options.tls === undefined ? undefined : await tls?.prepare(options.tls);
    await rights.reload(options);
    takeTls?.();
    const limits = serverLimits(options.limits);
    tls?.limit(limits.tls);
    this.#parts.endpoints.limit(limits);
    this.#drainLimits = options.drain;
  }

  get addresses(): readonly ServedAddress[] {
    return this.#parts.endpoints.addresses;
  }

  get dataDirectory(): string {
    return this.#parts.options.dataDirectory;
  }

  get maxBytes(): number {
    return this.#parts.stores.maxBytes;
  }

  get usedBytes(): number {
    return this.#parts.stores.usedBytes;
  }

  get progress(): DrainProgress {
    return this.#parts.endpoints.progress;
  }

  stop(): Promise<StopOutcome> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<StopOutcome> {
    const { surroundings, rights, tls, telemetry, stores, diagnostics, endpoints } = this.#parts;
    const { log, supervisor } = surroundings;
    const outcome = await drain({ clients: endpoints, stores }, this.#drainLimits, { clock: monotonicClock, timers, log, supervisor });
    rights[Symbol.dispose]();
    tls?.[Symbol.dispose]();
    const observersEnded = Promise.all([diagnostics[Symbol.asyncDispose](), telemetry[Symbol.asyncDispose]()]);
    await endedWithin(observersEndMs, observersEnded.then(() => true), timers);
    logOutcome(outcome, log);
    return outcome;
  }
}
