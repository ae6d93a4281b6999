// A cache on another server as one object: the stores of client/ over the real network.
import { EmptyAwareBlobStore } from '../blob/empty-aware-blob-store.ts';
import { StoreCacheClient } from '../client/cache-client.ts';
import type { CacheClient } from '../client/cache-client.ts';
import { HttpActionCache } from '../client/http-action-cache.ts';
import { HttpBlobStore } from '../client/http-blob-store.ts';
import { Retries, retryLimits } from '../client/retries.ts';
import { RetryingActionCache } from '../client/retrying-action-cache.ts';
import { RetryingBlobStore } from '../client/retrying-blob-store.ts';
import { VerifyingBlobStore } from '../client/verifying-blob-store.ts';
import { waitingTimers } from '../platform/clocks.ts';
import { systemRandom } from '../platform/random.ts';
import { openCalls, positive } from './open-calls.ts';
import type { OpenCallsOptions } from './open-calls.ts';

/** How a cache is used. */
export interface OpenCacheOptions extends OpenCallsOptions {
  /** Tries of one call, the first one included. Default: 4. */
  readonly attemptsMax?: number | undefined;
}

/** What a Kiln server takes as an action result at most. */
const resultBytesMax = 4 * 1024 * 1024;

/**
 * A cache at `url` (`http://HOST:PORT[/INSTANCE]` or `unix:PATH`). Nothing is sent before the first call. Dispose it
 * to close its connections; idle ones do not keep the process alive.
 * @throws CacheError `invalid_argument` that says what is wrong with the URL or an option.
 */
export function openCache(url: string, options: OpenCacheOptions = {}): CacheClient {
  const attemptsMax = positive('attemptsMax', options.attemptsMax, retryLimits.attemptsMax);
  const retries = new Retries(waitingTimers, systemRandom, { ...retryLimits, attemptsMax });
  const opened = openCalls(url, options);
  const { calls, instance, connectionsMax } = opened;
  const remote = new RetryingBlobStore(new HttpBlobStore(calls, { instance, requestsMax: connectionsMax }), retries);
  return new StoreCacheClient({
    instance,
    blobs: new EmptyAwareBlobStore(new VerifyingBlobStore(remote)),
    actions: new RetryingActionCache(new HttpActionCache(calls, { resultBytesMax }), retries),
    close: async () => opened[Symbol.asyncDispose](),
  });
}
