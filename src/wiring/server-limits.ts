// What the configuration says about bounds, as each part takes them: its own defaults, with what may be set replaced.
import type { LimitOptions } from '../config/serve-options.ts';
import { defaultGrpcLimits } from '../grpc/limits.ts';
import type { GrpcLimits } from '../grpc/limits.ts';
import { http2Limits } from '../h2/limits.ts';
import type { Http2Limits } from '../h2/limits.ts';
import { httpLimits } from '../http/routes.ts';
import type { HttpLimits } from '../http/routes.ts';
import type { ListenerLimits } from '../platform/listener.ts';
import { http1Limits } from '../platform/node-http.ts';
import type { Http1Limits } from '../platform/node-http.ts';
import { defaultServiceLimits } from '../services/limits.ts';
import type { ServiceLimits } from '../services/limits.ts';

export interface ServerLimits {
  readonly listener: ListenerLimits;
  readonly http1: Http1Limits;
  readonly http2: Http2Limits;
  readonly grpc: GrpcLimits;
  readonly services: ServiceLimits;
  readonly http: HttpLimits;
}

export function serverLimits(given: LimitOptions): ServerLimits {
  const { connectionsMax, firstBytesTimeoutMs, streamsMax, stallTimeoutMs, messageBytesMax, batchBytesMax, heldBodyBytesMax } = given;
  return {
    listener: { connectionsMax, firstBytesTimeoutMs },
    http1: { ...http1Limits, stallTimeoutMs },
    http2: { ...http2Limits, concurrentStreamsMax: streamsMax },
    grpc: { ...defaultGrpcLimits, messageBytesMax, stallMs: stallTimeoutMs },
    services: { ...defaultServiceLimits, batchBytesMax },
    http: { ...httpLimits, heldBodyBytesMax },
  };
}
