// Whether and when a failed call is tried again (gRFC A6): few tries per call, spread in time, and none any more once
// too many calls of the channel fail, so that a server in trouble is not pushed further into it.
import type { Random } from '../base/random.ts';
import { grpcStatusOf } from '../grpc/status.ts';
import { fullJitterMs } from './full-jitter.ts';
import type { GrpcError } from './grpc-error.ts';
import type { GrpcChannelLimits } from './grpc-limits.ts';

/** The memory of one channel. */
export class GrpcRetries {
  readonly #random: Random;
  readonly #limits: GrpcChannelLimits;
  #tokens: number;

  constructor(random: Random, limits: GrpcChannelLimits) {
    this.#random = random;
    this.#limits = limits;
    this.#tokens = limits.retryTokensMax;
  }

  /** A call went well, or failed for a reason that is its own. */
  onAnswered(): void {
    this.#tokens = Math.min(this.#limits.retryTokensMax, this.#tokens + this.#limits.retryTokensPerSuccess);
  }

  /** A call failed, and is not tried again whatever the reason. */
  onFailed(failure: GrpcError): void {
    if (failure.status === grpcStatusOf.unavailable) this.#tokens = Math.max(0, this.#tokens - 1);
    else this.onAnswered();
  }

  /**
   * How long to wait before the next try after `tries` of them; undefined when there is none. Counts the failure. Only
   * UNAVAILABLE is worth a try: it says that the server could not, and nothing of the call.
   */
  delayMsAfter(failure: GrpcError, tries: number, attemptsMax: number): number | undefined {
    this.onFailed(failure);
    if (failure.status !== grpcStatusOf.unavailable) return undefined;
    const pushback = failure.trailers.get('grpc-retry-pushback-ms');
    if (tries >= attemptsMax || this.#tokens <= this.#limits.retryTokensMax / 2) return undefined;
    if (pushback !== undefined && !/^\d{1,9}$/.test(pushback)) return undefined; // a server's "not at all"
    const { retryDelayMs, retryDelayMsMax } = this.#limits;
    const askedMs = pushback === undefined ? retryAfterMs(failure) : Number(pushback);
    return Math.min(askedMs, retryDelayMsMax) + fullJitterMs(this.#random, tries, { firstDelayMs: retryDelayMs, delayMsMax: retryDelayMsMax });
  }
}

/** What the server asked for, 0 when it asked for nothing. */
function retryAfterMs({ details }: GrpcError): number {
  for (const detail of details) if (detail.kind === 'retry_after') return detail.delayMs;
  return 0;
}
