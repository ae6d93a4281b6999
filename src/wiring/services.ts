// What is served over gRPC and HTTP, made from stores and rights.
import type { SharedActionCache } from '../actions/action-cache.ts';
import { CompletenessCheck, completenessLimits } from '../actions/completeness-check.ts';
import { CompletenessCheckingActionCache } from '../actions/completeness-checking-action-cache.ts';
import { EntryRights } from '../actions/entry-rights.ts';
import { LoggedActionCache } from '../actions/logged-action-cache.ts';
import { StoredActionCache, storedActionCacheLimits } from '../actions/stored-action-cache.ts';
import { walkLimits } from '../actions/walk-directories.ts';
import type { Authenticator, Authorizer } from '../base/authorizer.ts';
import type { ByteBudget } from '../base/byte-budget.ts';
import type { CacheUsage } from '../base/cache-usage.ts';
import type { HttpHandler } from '../base/http-exchange.ts';
import type { Log } from '../base/log.ts';
import type { Meter } from '../base/metrics.ts';
import type { BlobStore } from '../blob/blob-store.ts';
import type { ValueStore } from '../blob/value-store.ts';
import type { ServiceImplementation } from '../grpc/service.ts';
import type { Scrape } from '../http/metrics-page.ts';
import type { Page } from '../http/page.ts';
import { createHttpHandler, standingPages } from '../http/routes.ts';
import { nextTurn } from '../platform/clocks.ts';
import { Health } from '../proto/gen/grpc/health/v1/health_pb.ts';
import { createActionCacheService } from '../services/action-cache.ts';
import { createByteStreamService } from '../services/byte-stream.ts';
import { createCapabilitiesService } from '../services/capabilities.ts';
import { createContentAddressableStorageService } from '../services/content-addressable-storage.ts';
import { HealthStatus, createHealthService } from '../services/health.ts';
import type { ServerLimits } from './server-limits.ts';
import { createReflectionServices, reflectionDescriptors } from '../services/reflection.ts';

export interface ServedParts {
  readonly blobs: BlobStore;
  readonly values: ValueStore;
  readonly authenticator: Authenticator;
  readonly authorizer: Authorizer;
  readonly limits: Pick<ServerLimits, 'services' | 'http'>;
  readonly log: Log;
  readonly version: string;
  /** Of what waits in memory; without a bound, if left out. */
  readonly budget?: ByteBudget;
  readonly meter: Meter;
  readonly usage: CacheUsage;
  /** What /metrics shows; undefined where metrics are switched off. */
  readonly scrape: Scrape | undefined;
  /** Of HTTP, beside those that every server has. */
  readonly pages: readonly Page[];
}

export interface Served {
  readonly services: readonly ServiceImplementation[];
  readonly http: HttpHandler;
  /** Every path of HTTP beside the build cache. */
  readonly pages: readonly Page[];
  /** What health checks, over gRPC and HTTP, are answered from. */
  readonly health: HealthStatus;
}

export function createServed(parts: ServedParts): Served {
  const { blobs, values, authenticator, authorizer, log, version, meter, usage, scrape } = parts;
  const limits = parts.limits.services;
  const stored = new StoredActionCache(values, storedActionCacheLimits, log);
  const completeness = new CompletenessCheck(blobs, completenessLimits, nextTurn);
  const actions: SharedActionCache = new LoggedActionCache(new CompletenessCheckingActionCache(stored, completeness, log), log);
  const entryRights = new EntryRights(authorizer, meter, log);
  const cache = [
    createCapabilitiesService({ blobs, authorizer, limits }),
    createContentAddressableStorageService({ blobs, authorizer, limits, walkLimits, nextTurn, budget: parts.budget, usage, log }),
    createByteStreamService({ blobs, authorizer, limits, usage }),
    createActionCacheService({ blobs, actions, entryRights, authorizer, limits, usage }),
  ];
  const health = new HealthStatus([...cache.map(({ descriptor }) => descriptor), Health, ...reflectionDescriptors].map(({ typeName }) => typeName));
  const services = [...cache, createHealthService(health)];
  const pages = [...standingPages({ version, isDraining: () => health.draining, scrape }), ...parts.pages];
  return {
    services: [...services, ...createReflectionServices(services, authorizer)],
    health,
    pages,
    // `actions` checks results itself; HTTP needs the check for results that were put as JSON.
    http: createHttpHandler({ actions, entryRights, values, blobs, completeness, authenticator, authorizer, pages, log, limits: parts.limits.http, budget: parts.budget, meter }),
  };
}
