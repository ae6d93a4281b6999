// Whether calls of gRPC get through to a server: what `grpc.health.v1.Health` answers, if anything does.
import { CacheError } from '../base/cache-error.ts';
import { Health, HealthCheckResponse_ServingStatus as ServingStatus } from '../proto/gen/grpc/health/v1/health_pb.ts';
import type { GrpcCallOptions, GrpcChannel } from './grpc-channel.ts';

/** Of the server as a whole. */
export type GrpcHealth =
  | { readonly state: 'serving' | 'not_serving' }
  /** What answers does not know the service, or nothing answers; `reason` is for people. */
  | { readonly state: 'unknown'; readonly reason: string };

/** Never fails: what keeps the server from being asked is the answer. @throws CacheError `cancelled` by the signal. */
export async function readGrpcHealth(channel: GrpcChannel, options: GrpcCallOptions): Promise<GrpcHealth> {
  try {
    const { status } = await channel.unary(Health.method.check, {}, options);
    return { state: status === ServingStatus.SERVING ? 'serving' : 'not_serving' };
  } catch (thrown) {
    const { code, message } = CacheError.from(thrown);
    if (code === 'cancelled') throw thrown;
    return { state: 'unknown', reason: message };
  }
}
