// What is served over gRPC and HTTP, made from stores and rights.
import type { ActionCache } from '../actions/action-cache.ts';
import { CompletenessCheck, completenessLimits } from '../actions/completeness-check.ts';
import { CompletenessCheckingActionCache } from '../actions/completeness-checking-action-cache.ts';
import { StoredActionCache, storedActionCacheLimits } from '../actions/stored-action-cache.ts';
import { walkLimits } from '../actions/walk-directories.ts';
import type { Authorizer } from '../base/authorizer.ts';
import type { HttpHandler } from '../base/http-exchange.ts';
import type { Log } from '../base/log.ts';
import type { BlobStore } from '../blob/blob-store.ts';
import type { ValueStore } from '../blob/value-store.ts';
import type { ServiceImplementation } from '../grpc/service.ts';
import { createHttpHandler, httpLimits } from '../http/routes.ts';
import { Health } from '../proto/gen/grpc/health/v1/health_pb.ts';
import { createActionCacheService } from '../services/action-cache.ts';
import { createByteStreamService } from '../services/byte-stream.ts';
import { createCapabilitiesService } from '../services/capabilities.ts';
import { createContentAddressableStorageService } from '../services/content-addressable-storage.ts';
import { HealthStatus, createHealthService } from '../services/health.ts';
import { defaultServiceLimits } from '../services/limits.ts';
import { createReflectionServices, reflectionDescriptors } from '../services/reflection.ts';

export interface ServedParts {
  readonly blobs: BlobStore;
  readonly values: ValueStore;
  readonly authorizer: Authorizer;
  readonly log: Log;
  readonly version: string;
}

export interface Served {
  readonly services: readonly ServiceImplementation[];
  readonly http: HttpHandler;
  /** What health checks, over gRPC and HTTP, are answered from. */
  readonly health: HealthStatus;
}

export function createServed(parts: ServedParts): Served {
  const { blobs, values, authorizer, log, version } = parts;
  const limits = defaultServiceLimits;
  const stored = new StoredActionCache(values, storedActionCacheLimits, log);
  const actions: ActionCache = new CompletenessCheckingActionCache(stored, blobs, completenessLimits, log);
  const completeness = new CompletenessCheck(blobs, completenessLimits);
  const cache = [
    createCapabilitiesService({ blobs, authorizer, limits }),
    createContentAddressableStorageService({ blobs, authorizer, limits, walkLimits, log }),
    createByteStreamService({ blobs, authorizer, limits }),
    createActionCacheService({ blobs, actions, authorizer, limits }),
  ];
  const health = new HealthStatus([...cache.map(({ descriptor }) => descriptor), Health, ...reflectionDescriptors].map(({ typeName }) => typeName));
  const services = [...cache, createHealthService(health)];
  const server = { version, isDraining: () => health.draining };
  return {
    services: [...services, ...createReflectionServices(services)],
    health,
    // `actions` checks results itself; HTTP needs the check for results that were put as JSON.
    http: createHttpHandler({ actions, values, blobs, completeness, authorizer, log, limits: httpLimits, server }),
  };
}
