// What is counted of every gRPC call, by method.
import type { Counter, Histogram, Meter, MetricDefinition, MetricLabels } from '../base/metrics.ts';
import type { CallObserver, EndedCall, StartedCall } from './call-observer.ts';
import { unknownPath } from './call-record.ts';
import { statusName } from './status.ts';

const calls: MetricDefinition = { name: 'kiln_grpc_calls_total', help: 'gRPC calls that have ended, by status code.' };
const inFlight: MetricDefinition = { name: 'kiln_grpc_calls_in_flight', help: 'gRPC calls that have begun and not ended.' };
const duration: MetricDefinition = {
  name: 'kiln_grpc_call_duration_seconds',
  help: 'Time from the headers of a gRPC call to its status, uploads and downloads included.',
};
const received: MetricDefinition = { name: 'kiln_grpc_received_bytes_total', help: 'Bytes of the request messages of gRPC calls, as sent.' };
const sent: MetricDefinition = { name: 'kiln_grpc_sent_bytes_total', help: 'Bytes of the response messages of gRPC calls, as sent.' };

/** The counts of one method. */
class MethodMetrics {
  running = 0;
  readonly #meter: Meter;
  readonly #labels: MetricLabels;
  readonly #duration: Histogram;
  readonly #received: Counter;
  readonly #sent: Counter;
  /** By status; made when a call ends with it. */
  readonly #byStatus: Counter[] = [];

  constructor(meter: Meter, path: string) {
    const [service = '', method = ''] = path === unknownPath ? [path, path] : path.slice(1).split('/');
    this.#meter = meter;
    this.#labels = { service, method };
    this.#duration = meter.histogram(duration, this.#labels);
    this.#received = meter.counter(received, this.#labels);
    this.#sent = meter.counter(sent, this.#labels);
    meter.gauge(inFlight, () => this.running, this.#labels);
    this.#counter(0); // so that the first failure is seen as a share of something
  }

  ended(call: EndedCall): void {
    this.running -= 1;
    (this.#byStatus[call.status] ?? this.#counter(call.status)).add();
    this.#duration.record(call.durationMs / 1_000);
    this.#received.add(call.receivedBytes);
    this.#sent.add(call.sentBytes);
  }

  #counter(status: number): Counter {
    const counter = this.#meter.counter(calls, { ...this.#labels, code: statusName(status) });
    this.#byStatus[status] = counter;
    return counter;
  }
}

/** Counts calls. The paths it is told of are those that are served, and one for all others, so their number is bounded. */
export class CallMetrics implements CallObserver {
  readonly #meter: Meter;
  readonly #methods = new Map<string, MethodMetrics>();

  /** `paths` are shown from the beginning, others from their first call on. */
  constructor(meter: Meter, paths: Iterable<string> = []) {
    this.#meter = meter;
    for (const path of paths) this.#of(path);
  }

  started(call: StartedCall): MethodMetrics {
    const metrics = this.#methods.get(call.path) ?? this.#of(call.path);
    metrics.running += 1;
    return metrics;
  }

  ended(call: EndedCall): void {
    (call.observation as MethodMetrics).ended(call);
  }

  #of(path: string): MethodMetrics {
    const metrics = new MethodMetrics(this.#meter, path);
    this.#methods.set(path, metrics);
    return metrics;
  }
}
