// What is counted of every HTTP request, by route and method; and hits and misses of the build cache.
import type { ByteSource } from '../base/byte-source.ts';
import type { CacheUsage } from '../base/cache-usage.ts';
import type { MonotonicClock } from '../base/clock.ts';
import type { HttpExchange, HttpHandler, HttpHeaders } from '../base/http-exchange.ts';
import type { Counter, Histogram, Meter, MetricDefinition, MetricLabels } from '../base/metrics.ts';
import { toolOfUserAgent } from '../base/tool-name.ts';
import { AnsweredExchange } from './answered-exchange.ts';
import { isNamedMethod, routeOf } from './route-name.ts';
import type { RouteName } from './route-name.ts';

const requests: MetricDefinition = { name: 'kiln_http_requests_total', help: 'HTTP requests that have ended, by status code; 499 is a client that left.' };
const inFlight: MetricDefinition = { name: 'kiln_http_requests_in_flight', help: 'HTTP requests that have begun and not ended.' };
const duration: MetricDefinition = {
  name: 'kiln_http_request_duration_seconds',
  help: 'Time from the headers of an HTTP request to the end of its answer, uploads and downloads included.',
};
const received: MetricDefinition = { name: 'kiln_http_received_bytes_total', help: 'Bytes of the bodies of HTTP requests.' };
const sent: MetricDefinition = { name: 'kiln_http_sent_bytes_total', help: 'Bytes of the bodies of HTTP answers.' };

export interface HttpMetricsParts {
  readonly meter: Meter;
  readonly usage: CacheUsage;
  readonly clock: MonotonicClock;
}

/** What a request counts as whose client left before it was answered. */
const clientLeft = 499;
const handlerFailed = 500;

/** Counts exchanges. Both routes and methods are few, so the number of series is bounded. */
export class HttpMetrics {
  readonly #parts: HttpMetricsParts;
  readonly #routes = new Map<string, RouteMetrics>();

  constructor(parts: HttpMetricsParts) {
    this.#parts = parts;
  }

  /** `handler`, with every exchange counted. Several handlers are counted together. */
  counted(handler: HttpHandler): HttpHandler {
    const { usage, clock } = this.#parts;
    return async (exchange) => {
      const startedAtMs = clock.nowMs();
      const { route, instance } = routeOf(exchange.target);
      const of = this.#of(route, isNamedMethod(exchange.method) ? exchange.method : 'other');
      const metered = new MeteredExchange(exchange, of);
      of.running += 1;
      let status = handlerFailed;
      try {
        await handler(metered);
        status = metered.status ?? clientLeft;
      } finally {
        of.ended(status, (clock.nowMs() - startedAtMs) / 1_000);
        countLookup(usage, { exchange, route, instance, status });
      }
    };
  }

  #of(route: RouteName, method: string): RouteMetrics {
    const key = `${route} ${method}`;
    const known = this.#routes.get(key);
    if (known !== undefined) return known;
    const made = new RouteMetrics(this.#parts.meter, { route, method });
    this.#routes.set(key, made);
    return made;
  }
}

/** A GET or HEAD of the build cache that was answered from what is, or is not, there. */
function countLookup(usage: CacheUsage, ended: { exchange: HttpExchange; route: RouteName; instance: string; status: number }): void {
  const { exchange, route, instance, status } = ended;
  if ((route !== 'ac' && route !== 'cas') || (exchange.method !== 'GET' && exchange.method !== 'HEAD')) return;
  const isHit = status === 200 || status === 206; // 206: the part that was asked for
  if (!isHit && status !== 404) return;
  const { actions, finds, reads } = usage.of(toolOfUserAgent(exchange.headers['user-agent']), instance);
  const lookups = route === 'ac' ? actions : exchange.method === 'HEAD' ? finds : reads;
  lookups.add(isHit ? 1 : 0, isHit ? 0 : 1);
}

class RouteMetrics {
  running = 0;
  readonly received: Counter;
  readonly sent: Counter;
  readonly #meter: Meter;
  readonly #labels: MetricLabels;
  readonly #duration: Histogram;
  readonly #byStatus = new Map<number, Counter>();

  constructor(meter: Meter, labels: MetricLabels) {
    this.#meter = meter;
    this.#labels = labels;
    this.#duration = meter.histogram(duration, labels);
    this.received = meter.counter(received, labels);
    this.sent = meter.counter(sent, labels);
    meter.gauge(inFlight, () => this.running, labels);
  }

  ended(status: number, seconds: number): void {
    this.running -= 1;
    this.#duration.record(seconds);
    const known = this.#byStatus.get(status);
    const counter = known ?? this.#meter.counter(requests, { ...this.#labels, code: String(status) });
    if (known === undefined) this.#byStatus.set(status, counter); // statuses are those of our own answers
    counter.add();
  }
}

/** The exchange, with what passes counted. */
class MeteredExchange extends AnsweredExchange {
  readonly #metrics: RouteMetrics;

  constructor(inner: HttpExchange, metrics: RouteMetrics) {
    super(inner);
    this.#metrics = metrics;
  }

  override async *body(): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const chunk of super.body()) {
      this.#metrics.received.add(chunk.byteLength);
      yield chunk;
    }
  }

  override async respond(status: number, headers?: HttpHeaders, body?: ByteSource | Uint8Array): Promise<void> {
    const { signal } = this; // from before: a client that leaves after all of its answer has not left
    try {
      await super.respond(status, headers, body && this.#counted(body));
    } catch (thrown) {
      this.status = handlerFailed; // the answer broke off
      throw thrown;
    } finally {
      if (signal.aborted) this.status = clientLeft;
    }
  }

  #counted(body: ByteSource | Uint8Array): ByteSource | Uint8Array {
    if (this.method === 'HEAD') return body;
    const { sent } = this.#metrics;
    const bytes = body instanceof Uint8Array ? body : body.inMemory;
    if (bytes === undefined) return new CountedSource(body as ByteSource, sent);
    sent.add(bytes.byteLength);
    return body;
  }
}

/** A source that is not in memory; its bytes are counted as they are taken. */
class CountedSource implements ByteSource {
  readonly sizeBytes: number;
  readonly #inner: ByteSource;
  readonly #sent: Counter;

  constructor(inner: ByteSource, sent: Counter) {
    this.sizeBytes = inner.sizeBytes;
    this.#inner = inner;
    this.#sent = sent;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const chunk of this.#inner) {
      this.#sent.add(chunk.byteLength);
      yield chunk;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#inner[Symbol.asyncDispose]();
  }
}
