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
  /** Requests a second that are traced because they were drawn. Not for a ratio of 1, which asks for each. */
  readonly drawnPerSecondMax: number;
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
  readonly #random: Random;
  /** Undecided requests that are not traced before the next one that is. */
  #skips: number;
  readonly #drawn = new Float64Array(drawnAhead);
  #given = drawnAhead;
  readonly #demanded: RateBound;
  /** Undefined: each is traced. */
  readonly #drawnRate: RateBound | undefined;

  constructor(limits: SamplingLimits, ports: { readonly clock: MonotonicClock; readonly random: Random }) {
    assert(limits.ratio >= 0 && limits.ratio <= 1, 'a share lies between 0 and 1');
    this.#limits = limits;
    this.#random = ports.random;
    this.#demanded = new RateBound(limits.demandedPerSecondMax, ports.clock);
    this.#drawnRate = limits.ratio < 1 ? new RateBound(limits.drawnPerSecondMax, ports.clock) : undefined;
    this.#skips = this.#drawSkips();
  }

  /** See `Tracer.samples`. */
  samples(traceparent: string | undefined): boolean {
    const parent = traceparent === undefined ? undefined : parseTraceParent(traceparent);
    if (parent === undefined) return this.#draw();
    if (!parent.sampled) return false; // decided by the caller, and traces with holes help nobody
    return this.#demanded.admits() || this.#draw();
  }

  #draw(): boolean {
    if (this.#skips > 0) {
      this.#skips -= 1;
      return false;
    }
    this.#skips = this.#drawSkips();
    return this.#drawnRate?.admits() ?? true;
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
}

/** So many a second, saved up for one second. */
class RateBound {
  readonly #perSecondMax: number;
  readonly #clock: MonotonicClock;
  #left: number;
  #countedAtMs: number;

  constructor(perSecondMax: number, clock: MonotonicClock) {
    this.#perSecondMax = perSecondMax;
    this.#clock = clock;
    this.#left = perSecondMax;
    this.#countedAtMs = clock.nowMs();
  }

  admits(): boolean {
    const nowMs = this.#clock.nowMs();
    this.#left = Math.min(this.#perSecondMax, this.#left + ((nowMs - this.#countedAtMs) / 1_000) * this.#perSecondMax);
    this.#countedAtMs = nowMs;
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }
}
