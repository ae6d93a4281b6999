// From options to a running server, and back: opens part after part, ends them in reverse.
import { formatListenAddress } from '../base/listen-address.ts';
import type { ListenAddress } from '../base/listen-address.ts';
import type { Log } from '../base/log.ts';
import type { ServeOptions } from '../config/serve-options.ts';
import { AnonymousAuthorizer } from './anonymous-authorizer.ts';
import { Endpoints } from './endpoints.ts';
import { listenTargets } from './listen-targets.ts';
import { openStores } from './open-stores.ts';
import type { OpenStores } from './open-stores.ts';
import type { RunningServer } from './running-server.ts';
import { createServed } from './services.ts';
import { openTelemetry } from './telemetry.ts';

/** What a server needs from the process it runs in. */
export interface ServerSurroundings {
  readonly log: Log;
  readonly version: string;
  readonly pid: number;
  /** ISO 8601. */
  readonly startedAt: string;
}

/**
 * Serves when it resolves.
 * @throws CacheError for what a person can set right: `invalid_argument` (options), `failed_precondition` and
 *   `resource_exhausted` (directory, addresses). The first line of the message is what is wrong, the rest what to do.
 */
export async function startServer(options: ServeOptions, surroundings: ServerSurroundings): Promise<RunningServer> {
  const { log, version, pid, startedAt } = surroundings;
  const { addresses, anonymousRight } = await listenTargets(options.listen, options.allowAnonymous);
  const authorizer = new AnonymousAuthorizer(anonymousRight);
  // Ended in reverse: clients first, then the stores they use, at last what observes both.
  await using opening = new AsyncDisposableStack();
  const telemetry = opening.use(openTelemetry());
  const owner = { pid, startedAt, listen: addresses.map(formatListenAddress).join(', ') };
  const stores = telemetry.observedStores(opening.use(await openStores(options, owner, log)));
  const served = createServed({ blobs: stores.blobs, values: stores.values, authorizer, log, version });
  const endpoints = opening.use(
    new Endpoints({
      served: { ...served, http: telemetry.observedHttp(served.http) },
      calls: telemetry.calls,
      loopbackNamesOnly: options.allowAnonymous === undefined,
      log,
    }),
  );
  for (const address of addresses) await endpoints.listen(address);
  await stores.announce(endpoints.addresses.map(formatListenAddress).join(', '));
  const server = new Server({ options, anonymousRight, stores, endpoints, opened: opening.move() });
  telemetry.watch(server);
  return server;
}

interface ServerParts {
  readonly options: ServeOptions;
  readonly anonymousRight: 'read' | 'write';
  readonly stores: OpenStores;
  readonly endpoints: Endpoints;
  /** Everything that was opened, `endpoints` last. */
  readonly opened: AsyncDisposable;
}

class Server implements RunningServer {
  readonly #parts: ServerParts;
  #stopped: Promise<boolean> | undefined;

  constructor(parts: ServerParts) {
    this.#parts = parts;
  }

  get anonymousRight(): 'read' | 'write' {
    return this.#parts.anonymousRight;
  }

  get addresses(): readonly ListenAddress[] {
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

  stop(): Promise<boolean> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<boolean> {
    await using _opened = this.#parts.opened; // in any case
    return await this.#parts.endpoints.drain(this.#parts.options.drainTimeoutMs);
  }
}
