// grpc.health.v1.Health, and the object that knows what it answers. Reads memory only, so that a probe tells about
// this process and never waits for a disk (REAPI HC-4).
import { assert } from '../base/assert.ts';
import { CacheError } from '../base/cache-error.ts';
import { implementService } from '../grpc/service.ts';
import type { CallContext, ServiceImplementation } from '../grpc/service.ts';
import { Health, HealthCheckResponse_ServingStatus as ServingStatus } from '../proto/gen/grpc/health/v1/health_pb.ts';
import type { HealthCheckRequest } from '../proto/gen/grpc/health/v1/health_pb.ts';

/** The name under which the state of the whole server is asked for (HC-1). */
export const wholeServer = '';

/** More are not listed: the limit of grpc.health.v1, so that clients may hold the whole answer. */
const listedServicesMax = 100;

/**
 * Whether each service, and the server as a whole, takes calls.
 *   serving ◀──▶ not serving ── drain ──▶ draining: not serving for good
 */
export class HealthStatus {
  readonly #serving = new Map<string, boolean>();
  /** One per Watch in progress that waits; the transport bounds those. */
  readonly #waiters = new Set<() => void>();
  #draining = false;

  /** All serving. `services` are full names (HC-3). */
  constructor(services: readonly string[]) {
    for (const service of [wholeServer, ...services]) this.#serving.set(service, true);
  }

  get draining(): boolean {
    return this.#draining;
  }

  /** Known names, `wholeServer` first. */
  get services(): readonly string[] {
    return [...this.#serving.keys()];
  }

  /** Undefined for a service that is not served here. */
  isServing(service: string): boolean | undefined {
    return this.#serving.get(service);
  }

  setServing(service: string, serving: boolean): void {
    assert(this.#serving.has(service), `"${service}" is a served service`);
    if (this.#draining) return;
    this.#serving.set(service, serving);
    this.#tell();
  }

  /** From now on nothing is serving; to be called before connections are closed (HC-3). */
  drain(): void {
    this.#draining = true;
    for (const service of this.#serving.keys()) this.#serving.set(service, false);
    this.#tell();
  }

  /** Resolves at the next change of anything. @throws the signal's reason. */
  async changed(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { promise, resolve } = Promise.withResolvers<void>();
    const wake = () => resolve();
    this.#waiters.add(wake);
    signal.addEventListener('abort', wake);
    await promise;
    signal.removeEventListener('abort', wake);
    this.#waiters.delete(wake);
    signal.throwIfAborted();
  }

  #tell(): void {
    for (const wake of this.#waiters) wake();
  }
}

/** Needs no rights: a probe has no credentials (HC-4). */
export function createHealthService(health: HealthStatus): ServiceImplementation {
  return implementService(Health, {
    check({ service }: HealthCheckRequest) {
      const status = statusOf(health, service);
      if (status === ServingStatus.SERVICE_UNKNOWN) throw new CacheError('not_found', `service ${service} is not served here`);
      return { status };
    },

    list() {
      const { services } = health;
      if (services.length > listedServicesMax) {
        throw new CacheError('resource_exhausted', `there are ${services.length} services, and List gives at most ${listedServicesMax}; use Check`);
      }
      return { statuses: Object.fromEntries(services.map((service) => [service, { status: statusOf(health, service) }])) };
    },

    /** The state now and after every change; states between two messages may be left out (HC-2). */
    async *watch({ service }: HealthCheckRequest, { signal }: CallContext) {
      let sent: ServingStatus | undefined;
      for (;;) {
        const status = statusOf(health, service);
        if (status !== sent) yield { status };
        sent = status;
        // Or the stream would hold up the end of its connection until the drain is cut short.
        if (health.draining) throw shuttingDown();
        if (status === statusOf(health, service)) await health.changed(signal);
      }
    },
  }, { forEveryone: true });
}

/** How soon a server that is started again may be there. */
const restartRetryMs = 1_000;

function shuttingDown(): CacheError {
  return new CacheError('unavailable', 'the server is shutting down', { details: [{ kind: 'retry_after', delayMs: restartRetryMs }] });
}

function statusOf(health: HealthStatus, service: string): ServingStatus {
  const serving = health.isServing(service);
  if (serving === undefined) return ServingStatus.SERVICE_UNKNOWN;
  return serving ? ServingStatus.SERVING : ServingStatus.NOT_SERVING;
}
