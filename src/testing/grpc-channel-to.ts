// Channels to servers of tests, over real sockets unless told otherwise.
import type { ConnectTarget } from '../base/connector.ts';
import { GrpcChannel } from '../client/grpc-channel.ts';
import type { GrpcChannelOptions, GrpcChannelPorts } from '../client/grpc-channel.ts';
import { monotonicClock, waitingTimers } from '../platform/clocks.ts';
import { NodeConnector } from '../platform/node-connector.ts';
import { systemRandom } from '../platform/random.ts';
import { RecordedLog } from './recorded-log.ts';

/** A port of 127.0.0.1, or whatever a channel connects to. */
export function grpcChannelTo(server: number | ConnectTarget, options: GrpcChannelOptions = {}, ports: Partial<GrpcChannelPorts> = {}): GrpcChannel {
  const target: ConnectTarget = typeof server === 'number' ? { address: { kind: 'tcp', host: '127.0.0.1', port: server } } : server;
  return new GrpcChannel(target, { connector: new NodeConnector(), clock: monotonicClock, timers: waitingTimers, random: systemRandom, log: new RecordedLog(), ...ports }, options);
}
