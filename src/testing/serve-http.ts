// Our HTTP handler on a loopback port over HTTP/1.1, with memory stores by default, for tests that need real sockets.
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import { CompletenessCheck, completenessLimits } from '../actions/completeness-check.ts';
import { CompletenessCheckingActionCache } from '../actions/completeness-checking-action-cache.ts';
import { EntryRights } from '../actions/entry-rights.ts';
import { StoredActionCache, storedActionCacheLimits } from '../actions/stored-action-cache.ts';
import type { Authenticator, Authorizer } from '../base/authorizer.ts';
import type { HttpHandler } from '../base/http-exchange.ts';
import type { Log } from '../base/log.ts';
import { noMeter } from '../base/metrics.ts';
import type { Meter } from '../base/metrics.ts';
import type { BlobStore } from '../blob/blob-store.ts';
import { EmptyAwareBlobStore } from '../blob/empty-aware-blob-store.ts';
import { MemoryBlobStore } from '../blob/memory-blob-store.ts';
import { MemoryValueStore } from '../blob/memory-value-store.ts';
import type { ValueStore } from '../blob/value-store.ts';
import { prefaceRefusal } from '../h2/preface-refusal.ts';
import { createHttpHandler, httpLimits, standingPages } from '../http/routes.ts';
import type { Scrape } from '../http/metrics-page.ts';
import type { HttpLimits, PageSources } from '../http/routes.ts';
import { nextTurn } from '../platform/clocks.ts';
import { createHttp1Server, http1Limits } from '../platform/node-http.ts';
import type { Http1Limits, Http1Server } from '../platform/node-http.ts';
import { everythingAllowed, nobodyKnown } from './open-rights.ts';
import { RecordedLog } from './recorded-log.ts';

export interface ServedHttp extends AsyncDisposable {
  readonly port: number;
  readonly url: string;
  readonly server: Http1Server;
  readonly log: RecordedLog;
  /** Why requests were refused that no handler saw; `idle` for unused connections that were closed. */
  readonly refusals: readonly string[];
  readonly blobs: BlobStore;
  readonly values: ValueStore;
}

export interface ServeHttpOptions {
  readonly blobs?: BlobStore;
  readonly values?: ValueStore;
  readonly authenticator?: Authenticator;
  readonly authorizer?: Authorizer;
  readonly limits?: Partial<HttpLimits>;
  readonly meter?: Meter;
  readonly scrape?: Scrape;
  readonly http1Limits?: Partial<Http1Limits>;
  readonly isDraining?: PageSources['isDraining'];
}

/** The production handler with its stores. */
export function createTestHandler(options: ServeHttpOptions, log: Log) {
  const blobs = options.blobs ?? new EmptyAwareBlobStore(new MemoryBlobStore());
  const values = options.values ?? new MemoryValueStore();
  const completeness = new CompletenessCheck(blobs, completenessLimits, nextTurn);
  const handler = createHttpHandler({
    blobs,
    values,
    actions: new CompletenessCheckingActionCache(new StoredActionCache(values, storedActionCacheLimits, log), completeness, log),
    completeness,
    entryRights: new EntryRights(options.authorizer ?? everythingAllowed, options.meter ?? noMeter, log),
    authenticator: options.authenticator ?? nobodyKnown,
    authorizer: options.authorizer ?? everythingAllowed,
    pages: standingPages({ version: '1.2.3', isDraining: options.isDraining ?? (() => false), scrape: options.scrape }),
    log,
    limits: { ...httpLimits, ...options.limits },
    meter: options.meter ?? noMeter,
  });
  return { handler, blobs, values };
}

/** The whole HTTP side of a server, over HTTP/1.1. Disposing closes it with all its connections. */
export async function serveHttp(options: ServeHttpOptions = {}): Promise<ServedHttp> {
  const log = new RecordedLog();
  const { handler, blobs, values } = createTestHandler(options, log);
  return { ...(await serveHandler(handler, options.http1Limits, log)), blobs, values };
}

/** One handler over HTTP/1.1 on a loopback port. */
export async function serveHandler(
  handler: HttpHandler,
  limits: Partial<Http1Limits> = {},
  log: RecordedLog = new RecordedLog(),
  isBusy?: () => boolean,
): Promise<Omit<ServedHttp, 'blobs' | 'values'>> {
  const refusals: string[] = [];
  const server = createHttp1Server(handler, { ...http1Limits, ...limits }, {
    log,
    foreignAnswer: prefaceRefusal(),
    onRefused: (reason) => refusals.push(reason),
    onIdle: () => refusals.push('idle'),
    isBusy,
  });
  const listener = createServer({ allowHalfOpen: true }, (socket: Socket) => server.adopt(socket));
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const address = listener.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    server,
    log,
    refusals,
    async [Symbol.asyncDispose]() {
      server.close();
      listener.close();
      if (listener.listening) await once(listener, 'close');
    },
  };
}
