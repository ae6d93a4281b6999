// Traces, if they are switched on. The SDK is loaded then and not before, so that nobody else waits for it.
import type { Log } from '../base/log.ts';
import type { Meter } from '../base/metrics.ts';
import type { HttpHandler } from '../base/http-exchange.ts';
import type { CallObserver } from '../grpc/call-observer.ts';
import { TracedCalls } from '../grpc/call-traces.ts';
import { tracedHttp } from '../http/http-traces.ts';
import { monotonicClock, timers } from '../platform/clocks.ts';
import { systemRandom } from '../platform/random.ts';

export interface TraceOptions {
  /** Undefined: no traces. */
  readonly endpoint: string | undefined;
  readonly sampleRatio: number;
  readonly headers: Readonly<Record<string, string>>;
}

/** Disposing it sends what was gathered, within seconds; it never fails. */
export interface OpenTraces extends AsyncDisposable {
  /** `inner` if there is one, with traces of the gRPC calls. */
  observedCalls(inner: CallObserver | undefined): CallObserver;
  observedHttp(handler: HttpHandler): HttpHandler;
}

export interface TraceSurroundings {
  readonly log: Log;
  readonly meter: Meter;
  readonly version: string;
}

/** How long the end of the server waits for a collector: the last traces are worth seconds, not more. */
const flushTimeoutMs = 2_500;

/** Undefined when traces are off. */
export async function openTraces({ endpoint, sampleRatio, headers }: TraceOptions, { log, meter, version }: TraceSurroundings): Promise<OpenTraces | undefined> {
  if (endpoint === undefined) return undefined;
  const { OtelTracer } = await import('../platform/otel-tracer.ts');
  const tracer = new OtelTracer(
    { endpoint, headers, sampleRatio, version, flushTimeoutMs },
    { log, meter, clock: monotonicClock, timers, random: systemRandom },
  );
  return {
    observedCalls: (inner) => new TracedCalls(inner, tracer),
    observedHttp: (handler) => tracedHttp(handler, tracer),
    [Symbol.asyncDispose]: () => tracer[Symbol.asyncDispose](),
  };
}
