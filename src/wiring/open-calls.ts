// The way to another server: its URL and how it is used, as calls over the real network.
import { CacheError } from '../base/cache-error.ts';
import { formatListenAddress } from '../base/listen-address.ts';
import { Semaphore } from '../base/semaphore.ts';
import { parseCacheUrl } from '../client/cache-url.ts';
import type { CacheUrl } from '../client/cache-url.ts';
import { HttpCalls } from '../client/http-calls.ts';
import { parseInstanceName } from '../digest/instance-name.ts';
import type { InstanceName } from '../digest/instance-name.ts';
import { NodeHttpClient } from '../platform/node-http-client.ts';
import type { NodeHttpTls } from '../platform/node-http-client.ts';

export type CacheCredentials = { readonly token: string } | { readonly user: string; readonly password: string };

export interface OpenCallsOptions {
  /** Who calls: a token of `kiln token create`, or name and password. Default: what the URL says, else nobody. */
  readonly credentials?: CacheCredentials | undefined;
  /** The name space of action results. Default: the path of the URL, else the empty name. */
  readonly instance?: string | undefined;
  /** Connections, and with them calls, at a time. A stream that is being read holds one. Default: 16. */
  readonly connectionsMax?: number | undefined;
  /** The longest silence of the server before a try is given up, milliseconds. Default: 30,000. */
  readonly silenceTimeoutMs?: number | undefined;
  /** For https:// URLs; texts in PEM. */
  readonly tls?: NodeHttpTls | undefined;
}

/** Disposing it closes the connections. */
export interface OpenedCalls extends AsyncDisposable {
  readonly calls: HttpCalls;
  readonly instance: InstanceName;
  readonly connectionsMax: number;
  /** Where they go, without a password: `http://127.0.0.1:9092` or `unix:/run/kiln.sock`. */
  readonly url: string;
  /** Whether the calls say who calls. */
  readonly hasCredentials: boolean;
}

/** Calls that wait for a connection. More are told that the cache is busy, and tried again later. */
const waitersMax = 10_000;
/** As long as people wait without wondering, for a server that never gives its consent. */
const continueTimeoutMs = 1_000;

/** Nothing is sent yet. @throws CacheError `invalid_argument` that says what is wrong with the URL or an option. */
export function openCalls(url: string, options: OpenCallsOptions = {}): OpenedCalls {
  const where = parseCacheUrl(url);
  const instance = instanceOf(where, options);
  const connectionsMax = positive('connectionsMax', options.connectionsMax, 16);
  const silenceTimeoutMs = positive('silenceTimeoutMs', options.silenceTimeoutMs, 30_000);
  const credentials = options.credentials ?? where.credentials;
  const authorization = credentials && authorizationOf(credentials);
  const http = new NodeHttpClient(where.server, { connectionsMax, silenceTimeoutMs, continueTimeoutMs }, where.tls ? (options.tls ?? {}) : undefined);
  const lane = new Semaphore('calls to the cache', { permitsMax: connectionsMax, waitersMax });
  const name = formatListenAddress(where.server);
  return {
    calls: new HttpCalls(http, { lane, authorization }),
    instance,
    connectionsMax,
    url: where.server.kind === 'unix' ? name : `${where.tls ? 'https' : 'http'}://${name}`,
    hasCredentials: authorization !== undefined,
    [Symbol.asyncDispose]: () => http[Symbol.asyncDispose](),
  };
}

function instanceOf(where: CacheUrl, { instance }: OpenCallsOptions): InstanceName {
  const asked = instance === undefined ? where.instance : parseInstanceName(instance);
  if (where.instance === undefined || asked === where.instance) return asked ?? parseInstanceName('');
  throw new CacheError('invalid_argument', `the URL names instance ${JSON.stringify(where.instance)} and the options name ${JSON.stringify(asked)}; give one of them`);
}

function authorizationOf(credentials: CacheCredentials): string {
  if ('token' in credentials) {
    // RFC 6750 §2.1. The text is secret: it is not repeated.
    if (!/^[\w.~+/-]+=*$/.test(credentials.token)) throw new CacheError('invalid_argument', 'the token is empty or has characters that no token has; is there a line break or a blank in it?');
    return `Bearer ${credentials.token}`;
  }
  if (credentials.user.includes(':')) throw new CacheError('invalid_argument', `the user name ${JSON.stringify(credentials.user)} has a colon, which Basic authentication cannot carry`);
  return `Basic ${Buffer.from(`${credentials.user}:${credentials.password}`).toString('base64')}`;
}

/** @throws CacheError `invalid_argument` unless it is a whole number above 0. */
export function positive(name: string, given: number | undefined, byDefault: number): number {
  const count = given ?? byDefault;
  if (Number.isSafeInteger(count) && count > 0) return count;
  throw new CacheError('invalid_argument', `${name} is ${count}; it must be a whole number above 0`);
}
