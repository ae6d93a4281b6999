// What is counted of every gRPC call, by method.
import type { LoopTurns } from '../base/loop-turns.ts';
import type { Counter, Histogram, Meter, MetricDefinition, MetricLabels } from '../base/metrics.ts';
import type { CallObserver, EndedCall, StartedCall } from './call-observer.ts';
import { unknownPath } from './call-observation.ts';
import { statusName } from './status.ts';

const calls: MetricDefinition = { name: 'kiln_grpc_calls_total', help: 'gRPC calls that have ended, by status code.' };
const inFlight: MetricDefinition = { name: 'kiln_grpc_calls_in_flight', help: 'gRPC calls that have begun and not ended.' };
const duration: MetricDefinition = {
  name: 'kiln_grpc_call_duration_seconds',
  help: 'Time from the headers of a gRPC call to its status, uploads and downloads included.',
};
const received: MetricDefinition = { name: 'kiln_grpc_received_bytes_total', help: 'Bytes of the request messages of gRPC calls, as sent.' };
const sent: MetricDefinition = { name: 'kiln_grpc_sent_bytes_total', help: 'Bytes of the response messages of gRPC calls, as sent.' };

/**
 * The counts of one method. Plain numbers that the meter looks at when somebody asks: this is done for every call, and
 * an instrument each would cost several times as much (bench/telemetry).
 */
class MethodMetrics {
  running = 0;
  /** Calls of this turn of the loop that were answered at once. */
  answeredAtOnce = 0;
  ok = 0;
  receivedBytes = 0;
  sentBytes = 0;
  readonly duration: Histogram;
  readonly #meter: Meter;
  readonly #labels: MetricLabels;
  /** By status; made when a call ends with it. */
  readonly #failed: Counter[] = [];

  constructor(meter: Meter, path: string) {
    const [service = '', method = ''] = path === unknownPath ? [path, path] : path.slice(1).split('/');
    const labels = { service, method };
    this.#meter = meter;
    this.#labels = labels;
    this.duration = meter.histogram(duration, labels);
    meter.observedCounter(received, () => this.receivedBytes, labels);
    meter.observedCounter(sent, () => this.sentBytes, labels);
    meter.gauge(inFlight, () => this.running, labels);
    meter.observedCounter(calls, () => this.ok, { ...labels, code: statusName(0) });
  }

  failed(status: number): void {
    const counter = this.#failed[status] ?? this.#meter.counter(calls, { ...this.#labels, code: statusName(status) });
    this.#failed[status] = counter;
    counter.add();
  }
}

/** Counts calls. The paths it is told of are those that are served, and one for all others, so their number is bounded. */
export class CallMetrics implements CallObserver {
  readonly #meter: Meter;
  readonly #methods = new Map<string, MethodMetrics>();
  /** Those with calls that were answered at once in this turn of the loop: as many as there are methods at most. */
  readonly #atOnce: MethodMetrics[] = [];
  /** Found last: clients make many calls of one kind. */
  #lastPath = '';
  #last: MethodMetrics | undefined;

  constructor(meter: Meter, turns: LoopTurns) {
    this.#meter = meter;
    turns.onEnd((tookMs) => this.#recordAnswered(tookMs / 1_000));
  }

  started({ path }: StartedCall): MethodMetrics {
    const metrics = path === this.#lastPath && this.#last !== undefined ? this.#last : this.#of(path);
    metrics.running += 1;
    return metrics;
  }

  /** A call that is answered at once is timed by the end of its turn: what it waited for the others belongs to it. */
  ended(call: EndedCall): void {
    const metrics = call.observation as MethodMetrics;
    metrics.running -= 1;
    metrics.receivedBytes += call.receivedBytes;
    metrics.sentBytes += call.sentBytes;
    if (call.status === 0) metrics.ok += 1;
    else metrics.failed(call.status);
    if (!call.atOnce) {
      metrics.duration.record(call.durationMs / 1_000);
      return;
    }
    if (metrics.answeredAtOnce === 0) this.#atOnce.push(metrics);
    metrics.answeredAtOnce += 1;
  }

  #recordAnswered(seconds: number): void {
    for (const metrics of this.#atOnce) {
      metrics.duration.record(seconds, metrics.answeredAtOnce);
      metrics.answeredAtOnce = 0;
    }
    this.#atOnce.length = 0;
  }

  #of(path: string): MethodMetrics {
    const metrics = this.#methods.get(path) ?? new MethodMetrics(this.#meter, path);
    this.#methods.set(path, metrics);
    this.#lastPath = path;
    this.#last = metrics;
    return metrics;
  }
}
