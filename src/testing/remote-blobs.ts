// A client's blob store on a served one, for tests of what stands between them.
import type { ByteSource } from '../base/byte-source.ts';
import type { CallOptions } from '../base/call-options.ts';
import { Semaphore } from '../base/semaphore.ts';
import { HttpBlobStore } from '../client/http-blob-store.ts';
import { HttpCalls } from '../client/http-calls.ts';
import { Retries, retryLimits } from '../client/retries.ts';
import type { RetryLimits } from '../client/retries.ts';
import { parseInstanceName } from '../digest/instance-name.ts';
import { waitingTimers } from '../platform/clocks.ts';
import { NodeHttpClient } from '../platform/node-http-client.ts';
import type { NodeHttpClientLimits } from '../platform/node-http-client.ts';
import { SeededRandom } from './seeded-random.ts';
import { serveHttp } from './serve-http.ts';
import type { ServeHttpOptions, ServedHttp } from './serve-http.ts';

export const clientLimits: NodeHttpClientLimits = { connectionsMax: 8, silenceTimeoutMs: 10_000, continueTimeoutMs: 500 };

export interface RemoteBlobs extends AsyncDisposable {
  readonly store: HttpBlobStore;
  readonly calls: HttpCalls;
  readonly served: ServedHttp;
}

/** Calls to the server on `port`. */
export function callsTo(port: number, limits: Partial<NodeHttpClientLimits> = {}, authorization?: string): { readonly calls: HttpCalls } & AsyncDisposable {
  const all = { ...clientLimits, ...limits };
  const client = new NodeHttpClient({ kind: 'tcp', host: '127.0.0.1', port }, all);
  const lane = new Semaphore('calls', { permitsMax: all.connectionsMax, waitersMax: 1_000 });
  return { calls: new HttpCalls(client, { lane, authorization }), [Symbol.asyncDispose]: () => client[Symbol.asyncDispose]() };
}

/** A fresh server with memory stores, and a client of it. */
export async function openRemoteBlobs(options: ServeHttpOptions = {}): Promise<RemoteBlobs> {
  const served = await serveHttp(options);
  const { calls, ...client } = callsTo(served.port);
  return {
    store: new HttpBlobStore(calls, { instance: parseInstanceName('some/where'), requestsMax: 8 }),
    calls,
    served,
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      await served[Symbol.asyncDispose]();
    },
  };
}

/** Retries that hardly wait. */
export function quickRetries(limits: Partial<RetryLimits> = {}): Retries {
  return new Retries(waitingTimers, new SeededRandom(1), { ...retryLimits, firstDelayMs: 1, ...limits });
}

/** Everything the source gives, and its end. */
export async function readAll(source: ByteSource, _options?: CallOptions): Promise<Buffer> {
  await using owned = source;
  return Buffer.concat(await Array.fromAsync(owned));
}
