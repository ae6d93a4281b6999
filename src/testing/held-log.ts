// A stream of the log whose records are settled when a test says so. Keeps them in memory, and in order.
import type { CallOptions } from '../base/call-options.ts';
import { CacheError } from '../base/cache-error.ts';
import type { SyncOutcome } from '../engine/group-sync.ts';
import type { Appended, AppendRequest } from '../engine/append-request.ts';
import type { LogWriter } from '../engine/log-writer.ts';
import { recordBytes } from '../engine/record-codec.ts';
import { segmentHeaderBytes } from '../engine/segment-format.ts';

type Claim = Awaited<ReturnType<LogWriter['claim']>>;
type Settled = Parameters<LogWriter['append']>[2];

interface Held {
  readonly request: AppendRequest;
  readonly settled: Settled;
}

interface Waiting {
  readonly bytes: number;
  readonly claim: PromiseWithResolvers<Claim>;
}

/** All records go to one segment. */
export class HeldLog implements Pick<LogWriter, 'claim' | 'append' | 'appendNow'> {
  readonly segment: number;
  /** Everything that was appended. */
  readonly appended: AppendRequest[] = [];
  /** Whether claims have to wait for `giveRoom`. */
  isFull = false;
  /** What claims fail with that would have to wait. */
  refusal: CacheError | undefined;
  #offset = segmentHeaderBytes;
  #sequence = 1;
  #held: Held[] = [];
  #waiting: Waiting[] = [];
  #claims = 0;

  constructor(segment: number) {
    this.segment = segment;
  }

  /** Claims that were given and not disposed. */
  get claims(): number {
    return this.#claims;
  }

  /** Records that are not settled. */
  get unsettled(): number {
    return this.#held.length;
  }

  claim(bytes: number, _who: 'external' | 'internal', options?: CallOptions): Claim | Promise<Claim> {
    if (!this.isFull) return this.#claimOf(bytes);
    if (this.refusal !== undefined) throw this.refusal;
    const claim = Promise.withResolvers<Claim>();
    const waiting = { bytes, claim };
    this.#waiting.push(waiting);
    options?.signal?.addEventListener('abort', () => {
      this.#waiting = this.#waiting.filter((one) => one !== waiting);
      claim.reject(new CacheError('cancelled', 'the call was cancelled while it waited for room'));
    });
    return claim.promise;
  }

  append(_claim: Claim, request: AppendRequest, settled?: Settled): Appended {
    return this.#append(request, settled);
  }

  appendNow(request: AppendRequest, settled?: Settled): Appended | undefined {
    return this.isFull ? undefined : this.#append(request, settled);
  }

  giveRoom(): void {
    this.isFull = false;
    for (const { bytes, claim } of this.#waiting.splice(0)) claim.resolve(this.#claimOf(bytes));
  }

  /** Settles everything that was appended so far, in order. */
  settle(outcome: SyncOutcome = { kind: 'durable' }): void {
    for (const { settled } of this.#held.splice(0)) settled?.(outcome);
  }

  #append(request: AppendRequest, settled: Settled | undefined): Appended {
    const { hash, instance, payload } = request;
    const bytes = recordBytes(hash.byteLength, Buffer.byteLength(instance), payload.byteLength);
    const offset = this.#offset;
    this.#offset += bytes;
    const sequence = request.copyOf?.sequence ?? request.sequence ?? this.#sequence;
    this.#sequence += 1;
    this.appended.push(request);
    this.#held.push({ request, settled });
    return { segment: this.segment, offset, bytes, sequence };
  }

  #claimOf(bytes: number): Claim {
    this.#claims += 1;
    let isHeld = true;
    return {
      bytes,
      [Symbol.dispose]: () => {
        if (isHeld) this.#claims -= 1;
        isHeld = false;
      },
    };
  }
}

/** What is known of a segment of that log, for a SegmentTable. */
export const heldSegment = {
  nonce: new Uint8Array(8),
  segmentBytes: 2 ** 26,
  begunS: 0,
  state: 'open',
  endOffset: segmentHeaderBytes,
  records: 0,
  sealSequence: undefined,
} as const;
