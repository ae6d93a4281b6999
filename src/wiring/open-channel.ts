// A gRPC channel to another server over the real network.
import { silentLog } from '../base/log.ts';
import { parseCacheUrl } from '../client/cache-url.ts';
import { GrpcChannel } from '../client/grpc-channel.ts';
import type { GrpcChannelOptions } from '../client/grpc-channel.ts';
import { monotonicClock, waitingTimers } from '../platform/clocks.ts';
import { NodeConnector } from '../platform/node-connector.ts';
import { systemRandom } from '../platform/random.ts';

/** Nothing is sent yet, and no credentials are taken from the URL. @throws CacheError `invalid_argument` that says what is wrong with the URL. */
export function openChannel(url: string, options?: GrpcChannelOptions): GrpcChannel {
  const { server: address } = parseCacheUrl(url);
  return new GrpcChannel({ address }, { connector: new NodeConnector(), clock: monotonicClock, timers: waitingTimers, random: systemRandom, log: silentLog }, options);
}
