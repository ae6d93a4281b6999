// Which requests are traced, decided before anything is made for them: a share of all, and what callers ask for.
import { assert } from '../base/assert.ts';
import type { MonotonicClock } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import { parseTraceParent } from '../base/trace-context.ts';

export interface SamplingLimits {
  /** Share of the requests that nobody has decided about yet, 0 to 1. */
  readonly ratio: number;
  /** Requests a second that are traced because their caller says so; those above it are drawn like all others. */
  readonly demandedPerSecondMax: number;
}

/** Random numbers drawn ahead: a call per number would cost more than all the rest of the decision. */
const drawnAhead = 1024;

/**
 * The decisions of a parent-based sampler with a ratio for requests without a parent (OpenTelemetry, "ParentBased" over
 * "TraceIdRatioBased"), but for the bound: whoever may call may set the flag, and one client that sets it always must
 * not make every request of the server a traced one.
 */
export class HeadSampler {
  readonly #limits: SamplingLimits;
  readonly #clock: MonotonicClock;
  readonly #random: Random;
  readonly #threshold: number;
  #drawn = new Uint32Array(0);
  #next = 0;
  /** Demands that may still be met; grows with time, up to a second's worth. */
  #demandsLeft: number;
  #countedAtMs: number;

  constructor(limits: SamplingLimits, ports: { readonly clock: MonotonicClock; readonly random: Random }) {
    assert(limits.ratio >= 0 && limits.ratio <= 1, 'a share lies between 0 and 1');
    this.#limits = limits;
    this.#clock = ports.clock;
    this.#random = ports.random;
    this.#threshold = limits.ratio * 2 ** 32;
    this.#demandsLeft = limits.demandedPerSecondMax;
    this.#countedAtMs = ports.clock.nowMs();
  }

  /** See `Tracer.samples`. */
  samples(traceparent: string | undefined): boolean {
    const parent = traceparent === undefined ? undefined : parseTraceParent(traceparent);
    if (parent === undefined) return this.#draw();
    if (!parent.sampled) return false; // decided by the caller, and traces with holes help nobody
    return this.#meetsDemand() || this.#draw();
  }

  #draw(): boolean {
    if (this.#next === this.#drawn.length) {
      this.#drawn = new Uint32Array(drawnAhead);
      new Uint8Array(this.#drawn.buffer).set(this.#random.bytes(this.#drawn.byteLength));
      this.#next = 0;
    }
    const drawn = this.#drawn[this.#next] ?? 0;
    this.#next += 1;
    return drawn < this.#threshold;
  }

  #meetsDemand(): boolean {
    const { demandedPerSecondMax } = this.#limits;
    const nowMs = this.#clock.nowMs();
    this.#demandsLeft = Math.min(demandedPerSecondMax, this.#demandsLeft + ((nowMs - this.#countedAtMs) / 1000) * demandedPerSecondMax);
    this.#countedAtMs = nowMs;
    if (this.#demandsLeft < 1) return false;
    this.#demandsLeft -= 1;
    return true;
  }
}
