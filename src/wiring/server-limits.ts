// What the configuration says about bounds, as each part takes them: its own defaults, with what may be set replaced.
import type { LimitOptions } from '../config/serve-options.ts';
import { defaultGrpcLimits } from '../grpc/limits.ts';
import type { GrpcLimits } from '../grpc/limits.ts';
import { http2Limits } from '../h2/limits.ts';
import type { Http2Limits } from '../h2/limits.ts';
import { httpLimits } from '../http/routes.ts';
import type { HttpLimits } from '../http/routes.ts';
import type { HandshakeLimits } from '../platform/handshake-line.ts';
import type { ListenerLimits } from '../platform/listener.ts';
import { http1Limits } from '../platform/node-http.ts';
import type { Http1Limits } from '../platform/node-http.ts';
import { defaultServiceLimits } from '../services/limits.ts';
import type { ServiceLimits } from '../services/limits.ts';

export interface ServerLimits {
  readonly listener: ListenerLimits;
  readonly tls: HandshakeLimits;
  readonly http1: Http1Limits;
  readonly http2: Http2Limits;
  readonly grpc: GrpcLimits;
  readonly services: ServiceLimits;
  readonly http: HttpLimits;
}

export function serverLimits(given: LimitOptions): ServerLimits {
  const { connectionsMax, firstBytesTimeoutMs, stallTimeoutMs, busyStallTimeoutMs, stallBytesMin, messageBytesMax, batchBytesMax, heldBodyBytesMax } = given;
  const stall = { stallTimeoutMs, busyStallTimeoutMs, stallBytesMin };
  return {
    listener: { connectionsMax, firstBytesTimeoutMs },
    tls: { handshakesMax: given.tlsHandshakesMax, handshakeTimeoutMs: given.tlsHandshakeTimeoutMs },
    http1: { ...http1Limits, ...given.http1, ...stall },
    http2: { ...http2LimitsOf(given), ...stall, handshakeTimeoutMs: firstBytesTimeoutMs },
    grpc: { ...defaultGrpcLimits, messageBytesMax },
    services: { ...defaultServiceLimits, batchBytesMax },
    http: { ...httpLimits, heldBodyBytesMax },
  };
}

function http2LimitsOf({ http2, streamsMax }: LimitOptions): Http2Limits {
  const { headerListBytesMax } = http2;
  return {
    ...http2Limits,
    ...http2,
    concurrentStreamsMax: streamsMax,
    // Packed, a list is hardly ever longer; and it may come in frames that are all full.
    headerBlockBytesMax: headerListBytesMax,
    continuationFramesMax: Math.max(http2Limits.continuationFramesMax, Math.ceil(headerListBytesMax / http2Limits.frameBytesMax)),
  };
}
