// Traces by the OpenTelemetry SDK, sent as OTLP over HTTP. Loaded only where traces are switched on: see wiring/traces.ts.
import { ROOT_CONTEXT, SpanKind, TraceFlags, createTraceState, trace } from '@opentelemetry/api';
import type { Context, Tracer as ApiTracer } from '@opentelemetry/api';
import { detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources';
import { AlwaysOnSampler, BasicTracerProvider } from '@opentelemetry/sdk-trace-base';
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { Timers } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import { parseTraceParent } from '../base/trace-context.ts';
import type { IncomingTrace, Span, SpanAttributes, Tracer } from '../base/tracer.ts';
import { HeadSampler } from './head-sampler.ts';
import { SpanExport } from './otel-export.ts';
import type { ExportPorts } from './otel-export.ts';
import { OtelSpan, defined } from './otel-span.ts';

export interface OtelTracerOptions {
  /** Of a collector: `http://host:4318`, or the whole URL of its receiver. */
  readonly endpoint: string;
  /** Sent with every batch. Secret. */
  readonly headers: Readonly<Record<string, string>>;
  /** Share of the requests that are traced when their callers do not say, 0 to 1. */
  readonly sampleRatio: number;
  readonly version: string;
  /** How long disposing may take to send what is left. */
  readonly flushTimeoutMs: number;
}

export interface OtelTracerPorts extends ExportPorts {
  readonly timers: Timers;
  readonly random: Random;
}

/** What traced callers may demand: enough for one who debugs a build, a fraction of a core of work. */
const demandedPerSecondMax = 200;
/** A share of many requests shows as much of them as a share of some: a server under full load is not slowed down for more. */
const drawnPerSecondMax = 200;
/** Texts come from clients. A span of so many attributes and events takes some KiB. */
const spanLimits = { attributeValueLengthLimit: 512, attributeCountLimit: 64, eventCountLimit: 64 };
/** What a flush gets when the batch before did not arrive: one more try. */
const failingFlushTimeoutMs = 500;
/** Where OTLP receivers listen on a collector (OTLP specification, "OTLP/HTTP Request"). */
const receiverPath = '/v1/traces';

export class OtelTracer implements Tracer, AsyncDisposable {
  readonly #sampler: HeadSampler;
  readonly #export: SpanExport;
  readonly #provider: BasicTracerProvider;
  readonly #tracer: ApiTracer;
  readonly #options: OtelTracerOptions;
  readonly #ports: OtelTracerPorts;

  constructor(options: OtelTracerOptions, ports: OtelTracerPorts) {
    this.#options = options;
    this.#ports = ports;
    this.#sampler = new HeadSampler({ ratio: options.sampleRatio, demandedPerSecondMax, drawnPerSecondMax }, ports);
    this.#export = new SpanExport({ url: receiverOf(options.endpoint), headers: options.headers }, ports);
    const own = resourceFromAttributes({
      'service.name': 'kiln',
      'service.version': options.version,
      'service.instance.id': randomUUID(),
      'host.name': hostname(),
    });
    this.#provider = new BasicTracerProvider({
      // What the environment says by OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES, such as the name of the pod, counts more.
      resource: own.merge(detectResources({ detectors: [envDetector] })),
      sampler: new AlwaysOnSampler(), // the decision was made before, without a span
      spanLimits,
      spanProcessors: [this.#export],
    });
    this.#tracer = this.#provider.getTracer('kiln', options.version);
  }

  samples(traceparent: string | undefined): boolean {
    return this.#sampler.samples(traceparent);
  }

  start(name: string, incoming: IncomingTrace, attributes: SpanAttributes = {}): Span {
    const span = this.#tracer.startSpan(name, { kind: SpanKind.SERVER, attributes: defined(attributes) }, contextOf(incoming));
    return new OtelSpan(span, this.#tracer);
  }

  /** Sends what is left, within the time given for it. Never throws. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { promise: late, resolve } = Promise.withResolvers<'late'>();
    const timeoutMs = this.#export.failing ? Math.min(failingFlushTimeoutMs, this.#options.flushTimeoutMs) : this.#options.flushTimeoutMs;
    using _limit = this.#ports.timers.after(timeoutMs, () => resolve('late'));
    const sent = this.#provider.shutdown().catch(() => undefined); // failures were reported where they were counted
    if ((await Promise.race([sent, late])) === 'late') {
      this.#ports.log.warn('the last traces could not be sent in time', { lostSpans: this.#export.unsent, timeoutMs });
    }
  }
}

/** An endpoint without a path is a collector, of which the receiver's path is known. */
function receiverOf(endpoint: string): URL {
  const url = new URL(endpoint);
  if (url.pathname === '/' || url.pathname === '') url.pathname = receiverPath;
  return url;
}

function contextOf({ traceparent, tracestate }: IncomingTrace): Context {
  const parent = traceparent === undefined ? undefined : parseTraceParent(traceparent);
  if (parent === undefined) return ROOT_CONTEXT;
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId: parent.traceId,
    spanId: parent.spanId,
    traceFlags: parent.sampled ? TraceFlags.SAMPLED : TraceFlags.NONE,
    isRemote: true,
    ...(tracestate === undefined ? {} : { traceState: createTraceState(tracestate) }),
  });
}
