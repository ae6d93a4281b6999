// A cache on another server as one object: the stores of client/ over the real network.
import { CacheError } from '../base/cache-error.ts';
import { Semaphore } from '../base/semaphore.ts';
import { EmptyAwareBlobStore } from '../blob/empty-aware-blob-store.ts';
import { StoreCacheClient } from '../client/cache-client.ts';
import type { CacheClient } from '../client/cache-client.ts';
import { parseCacheUrl } from '../client/cache-url.ts';
import type { CacheUrl } from '../client/cache-url.ts';
import { HttpActionCache } from '../client/http-action-cache.ts';
import { HttpBlobStore } from '../client/http-blob-store.ts';
import { HttpCalls } from '../client/http-calls.ts';
import { Retries, retryLimits } from '../client/retries.ts';
import { RetryingActionCache } from '../client/retrying-action-cache.ts';
import { RetryingBlobStore } from '../client/retrying-blob-store.ts';
import { VerifyingBlobStore } from '../client/verifying-blob-store.ts';
import { parseInstanceName } from '../digest/instance-name.ts';
import type { InstanceName } from '../digest/instance-name.ts';
import { waitingTimers } from '../platform/clocks.ts';
import { NodeHttpClient } from '../platform/node-http-client.ts';
import { systemRandom } from '../platform/random.ts';

/** How a cache is used. */
export interface OpenCacheOptions {
  /** Who calls: a token of `kiln token create`, or name and password. Default: what the URL says, else nobody. */
  readonly credentials?: { readonly token: string } | { readonly user: string; readonly password: string } | undefined;
  /** The name space of action results. Default: the path of the URL, else the empty name. */
  readonly instance?: string | undefined;
  /** Connections, and with them calls, at a time. A stream that is being read holds one. Default: 16. */
  readonly connectionsMax?: number | undefined;
  /** The longest silence of the server before a try is given up, milliseconds. Default: 30,000. */
  readonly silenceTimeoutMs?: number | undefined;
  /** Tries of one call, the first one included. Default: 4. */
  readonly attemptsMax?: number | undefined;
}

/** Calls that wait for a connection. More are told that the cache is busy, and tried again later. */
const waitersMax = 10_000;
/** As long as people wait without wondering, for a server that never gives its consent. */
const continueTimeoutMs = 1_000;
/** What a Kiln server takes as an action result at most. */
const resultBytesMax = 4 * 1024 * 1024;

/**
 * A cache at `url` (`http://HOST:PORT[/INSTANCE]` or `unix:PATH`). Nothing is sent before the first call. Dispose it
 * to close its connections; idle ones do not keep the process alive.
 * @throws CacheError `invalid_argument` that says what is wrong with the URL or an option.
 */
export function openCache(url: string, options: OpenCacheOptions = {}): CacheClient {
  const where = parseCacheUrl(url);
  const instance = instanceOf(where, options);
  const connectionsMax = countOf('connectionsMax', options.connectionsMax, 16);
  const silenceTimeoutMs = countOf('silenceTimeoutMs', options.silenceTimeoutMs, 30_000);
  const attemptsMax = countOf('attemptsMax', options.attemptsMax, retryLimits.attemptsMax);
  const http = new NodeHttpClient(where.server, { connectionsMax, silenceTimeoutMs, continueTimeoutMs });
  const lane = new Semaphore('calls to the cache', { permitsMax: connectionsMax, waitersMax });
  const calls = new HttpCalls(http, { lane, authorization: authorizationOf(where, options) });
  const retries = new Retries(waitingTimers, systemRandom, { ...retryLimits, attemptsMax });
  const remote = new RetryingBlobStore(new HttpBlobStore(calls, { instance, requestsMax: connectionsMax }), retries);
  return new StoreCacheClient({
    instance,
    blobs: new EmptyAwareBlobStore(new VerifyingBlobStore(remote)),
    actions: new RetryingActionCache(new HttpActionCache(calls, { resultBytesMax }), retries),
    retries,
    close: () => http[Symbol.asyncDispose](),
  });
}

function instanceOf(where: CacheUrl, { instance }: OpenCacheOptions): InstanceName {
  const asked = instance === undefined ? where.instance : parseInstanceName(instance);
  if (where.instance === undefined || asked === where.instance) return asked ?? parseInstanceName('');
  throw new CacheError('invalid_argument', `the URL names instance ${JSON.stringify(where.instance)} and the options name ${JSON.stringify(asked)}; give one of them`);
}

function authorizationOf(where: CacheUrl, { credentials = where.credentials }: OpenCacheOptions): string | undefined {
  if (credentials === undefined) return undefined;
  if ('token' in credentials) {
    // RFC 6750 §2.1. The text is secret: it is not repeated.
    if (!/^[\w.~+/-]+=*$/.test(credentials.token)) throw new CacheError('invalid_argument', 'the token is empty or has characters that no token has; is there a line break or a blank in it?');
    return `Bearer ${credentials.token}`;
  }
  if (credentials.user.includes(':')) throw new CacheError('invalid_argument', `the user name ${JSON.stringify(credentials.user)} has a colon, which Basic authentication cannot carry`);
  return `Basic ${Buffer.from(`${credentials.user}:${credentials.password}`).toString('base64')}`;
}

function countOf(name: string, given: number | undefined, byDefault: number): number {
  const count = given ?? byDefault;
  if (Number.isSafeInteger(count) && count > 0) return count;
  throw new CacheError('invalid_argument', `${name} is ${count}; it must be a whole number above 0`);
}
