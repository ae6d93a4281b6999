// A gRPC channel to another server over the real network.
import { silentLog } from '../base/log.ts';
import type { ClientTls } from '../base/connector.ts';
import { parseCacheUrl } from '../client/cache-url.ts';
import { GrpcChannel } from '../client/grpc-channel.ts';
import type { GrpcChannelOptions } from '../client/grpc-channel.ts';
import { monotonicClock, waitingTimers } from '../platform/clocks.ts';
import { NodeConnector } from '../platform/node-connector.ts';
import { systemRandom } from '../platform/random.ts';

/** With `tls` for https:// URLs. Nothing is sent yet, and no credentials are taken from the URL. @throws CacheError `invalid_argument` that says what is wrong with the URL. */
export function openChannel(url: string, options?: GrpcChannelOptions, tls: ClientTls = {}): GrpcChannel {
  const where = parseCacheUrl(url);
  return new GrpcChannel({ address: where.server, ...(where.tls ? { tls } : {}) }, { connector: new NodeConnector(), clock: monotonicClock, timers: waitingTimers, random: systemRandom, log: silentLog }, options);
}
