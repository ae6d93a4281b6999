// What happens to spans once they have ended: a bounded queue, batches, and a collector that may be away. Every span is
// counted, sent or not, and what goes wrong is said once a minute instead of once a batch.
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';
import type { ReadableSpan, SpanExporter, SpanProcessor } from '@opentelemetry/sdk-trace-base';
import type { MonotonicClock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Counter, Meter, MetricDefinition } from '../base/metrics.ts';
import { ReportLimit } from '../base/report-limit.ts';

export interface ExportOptions {
  /** Where spans go, a whole URL. */
  readonly url: URL;
  /** Secret. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface ExportPorts {
  readonly log: Log;
  readonly meter: Meter;
  readonly clock: MonotonicClock;
}

/** Spans that wait to be sent, some 2 KiB each; more are dropped. */
const queuedSpansMax = 4096;
/**
 * Spans in one request, and how long the first of them waits for others. A quarter of the SDK's default: spans that wait
 * are copied by the garbage collector again and again, which cost as much as all other work on them (bench of unary
 * calls at 1 % sampling: 10 % more CPU with 512, 5 % with 128).
 */
const batchSpansMax = 128;
const batchDelayMs = 2_000;
/** A flush sends all that waits at once, beside the batch that is on its way. */
const requestsMax = queuedSpansMax / batchSpansMax + 1;
/** Of one request, repetitions included: a collector that is restarted is back within seconds. */
const requestTimeoutMs = 10_000;
const reportPeriodMs = 60_000;
/** Of what a collector answers; it may be a whole page. */
const answerCharsMax = 200;
/** Where OTLP over gRPC is usually spoken, which is not what is spoken here. */
const grpcPort = '4317';

const spansMetric: MetricDefinition = { name: 'kiln_trace_spans_total', help: 'Spans of traced requests, by what became of them.' };

type ExportDone = Parameters<SpanExporter['export']>[1];
type ExportOutcome = Parameters<ExportDone>[0];

/** The way of spans from their end to the collector. */
export class SpanExport implements SpanProcessor {
  readonly #exporter: SpanExporter;
  readonly #batches: BatchSpanProcessor;
  readonly #ports: ExportPorts;
  readonly #collector: string;
  readonly #failures: ReportLimit;
  readonly #counts: Readonly<Record<'exported' | 'failed' | 'dropped', Counter>>;
  #queued = 0;
  #sending = 0;
  #lost = 0;
  #failing = false;

  constructor(options: ExportOptions, ports: ExportPorts) {
    this.#ports = ports;
    this.#collector = options.url.origin + options.url.pathname; // without a password that may stand in the URL
    this.#failures = new ReportLimit(ports.clock, reportPeriodMs);
    const count = (outcome: string): Counter => ports.meter.counter(spansMetric, { outcome });
    this.#counts = { exported: count('exported'), failed: count('failed'), dropped: count('dropped') };
    ports.meter.gauge({ name: 'kiln_trace_queued_spans', help: 'Spans that wait to be sent to the collector.' }, () => this.unsent);
    this.#exporter = new OTLPTraceExporter({ url: options.url.href, headers: { ...options.headers }, timeoutMillis: requestTimeoutMs, concurrencyLimit: requestsMax });
    this.#batches = new BatchSpanProcessor(
      {
        export: (spans, done) => this.#export(spans, done),
        forceFlush: async () => this.#exporter.forceFlush?.(),
        shutdown: () => this.#exporter.shutdown(),
      },
      { maxQueueSize: queuedSpansMax, maxExportBatchSize: batchSpansMax, scheduledDelayMillis: batchDelayMs, exportTimeoutMillis: 2 * requestTimeoutMs },
    );
  }

  /** Spans that have ended and are not known to have arrived. */
  get unsent(): number {
    return this.#queued + this.#sending;
  }

  /** The last batch did not arrive. */
  get failing(): boolean {
    return this.#failing;
  }

  onStart(): void {}

  onEnd(span: ReadableSpan): void {
    // Its own bound drops as well, but tells nobody.
    if (this.#queued >= queuedSpansMax) {
      this.#counts.dropped.add();
      this.#lost += 1;
      return;
    }
    this.#queued += 1;
    this.#batches.onEnd(span);
  }

  forceFlush(): Promise<void> {
    return this.#batches.forceFlush();
  }

  shutdown(): Promise<void> {
    return this.#batches.shutdown();
  }

  #export(spans: ReadableSpan[], done: ExportDone): void {
    this.#queued -= spans.length;
    this.#sending += spans.length;
    this.#exporter.export(spans, (outcome) => {
      this.#sending -= spans.length;
      if (outcome.code === 0) this.#arrived(spans.length);
      else this.#failed(spans.length, outcome.error);
      done({ code: 0 }); // reported here; the SDK would report again, to a logger of the whole process
    });
  }

  #arrived(spans: number): void {
    this.#counts.exported.add(spans);
    if (!this.#failing) return;
    this.#failing = false;
    this.#ports.log.info('traces are sent again', { collector: this.#collector, lostSpans: this.#lost });
    this.#lost = 0;
  }

  #failed(spans: number, error: ExportOutcome['error']): void {
    this.#counts.failed.add(spans);
    this.#failing = true;
    this.#lost += spans;
    if (this.#failures.next() === undefined) return;
    this.#ports.log.warn('traces cannot be sent; requests are not affected', {
      collector: this.#collector,
      why: this.#reasonOf(error),
      lostSpans: this.#lost,
    });
  }

  #reasonOf(error: ExportOutcome['error']): string {
    const answer = answerOf(error);
    const hint = new URL(this.#collector).port === grpcPort ? `; port ${grpcPort} is usually OTLP over gRPC, and Kiln speaks OTLP over HTTP, which is usually on port 4318` : '';
    return `${error?.message || error?.name || 'no reason given'}${answer}${hint}`;
  }
}

/** Status and text of an answer that was no success. */
function answerOf(error: (Error & { readonly code?: unknown; readonly data?: unknown }) | undefined): string {
  const status = typeof error?.code === 'number' ? ` (HTTP ${error.code})` : '';
  const text = typeof error?.data === 'string' ? error.data.replace(/[^\x20-\x7e]+/g, ' ').trim().slice(0, answerCharsMax) : '';
  return text === '' ? status : `${status}: ${text}`;
}
