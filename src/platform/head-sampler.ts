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

/** Of a random number; as many as a double can tell apart. */
const drawnBytes = 6;
/** Numbers drawn together: code that runs once in a hundred calls finds nothing of its own in the caches. */
const drawnAhead = 256;

/**
 * The decisions of a parent-based sampler with a ratio for requests without a parent (OpenTelemetry, "ParentBased" over
 * "TraceIdRatioBased"), but for the bound: whoever may call may set the flag, and one client that sets it always must
 * not make every request of the server a traced one.
 */
export class HeadSampler {
  readonly #limits: SamplingLimits;
  readonly #clock: MonotonicClock;
  readonly #random: Random;
  /** Undecided requests that are not traced before the next one that is. */
  #skips: number;
  readonly #drawn = new Float64Array(drawnAhead);
  #given = drawnAhead;
  /** Demands that may still be met; grows with time, up to a second's worth. */
  #demandsLeft: number;
  #countedAtMs: number;

  constructor(limits: SamplingLimits, ports: { readonly clock: MonotonicClock; readonly random: Random }) {
    assert(limits.ratio >= 0 && limits.ratio <= 1, 'a share lies between 0 and 1');
    this.#limits = limits;
    this.#clock = ports.clock;
    this.#random = ports.random;
    this.#demandsLeft = limits.demandedPerSecondMax;
    this.#countedAtMs = ports.clock.nowMs();
    this.#skips = this.#drawSkips();
  }

  /** See `Tracer.samples`. */
  samples(traceparent: string | undefined): boolean {
    const parent = traceparent === undefined ? undefined : parseTraceParent(traceparent);
    if (parent === undefined) return this.#draw();
    if (!parent.sampled) return false; // decided by the caller, and traces with holes help nobody
    return this.#meetsDemand() || this.#draw();
  }

  #draw(): boolean {
    if (this.#skips > 0) {
      this.#skips -= 1;
      return false;
    }
    this.#skips = this.#drawSkips();
    return true;
  }

  /** How many independent draws of the ratio fail in a row. */
  #drawSkips(): number {
    if (this.#given === drawnAhead) this.#drawAhead();
    return this.#drawn[this.#given++] ?? 0;
  }

  /** The geometric distribution by inversion (Devroye, Non-Uniform Random Variate Generation, X.2). Infinity for a ratio of 0. */
  #drawAhead(): void {
    const { ratio } = this.#limits;
    const bytes = Buffer.from(this.#random.bytes(drawnAhead * drawnBytes));
    for (let index = 0; index < drawnAhead; index += 1) {
      const uniform = (bytes.readUIntLE(index * drawnBytes, drawnBytes) + 1) / 2 ** (8 * drawnBytes); // above 0, at most 1
      this.#drawn[index] = ratio === 0 ? Infinity : Math.floor(Math.log(uniform) / Math.log1p(-ratio));
    }
    this.#given = 0;
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
