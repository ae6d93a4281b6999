// A Meter that a test can look into.
import type { Counter, Histogram, Meter, MetricDefinition, MetricLabels } from '../base/metrics.ts';

/** Remembers everything by `name{label="value"}`, in the order of the labels given. */
export class RecordedMeter implements Meter {
  readonly #counts = new Map<string, number>();
  readonly #records = new Map<string, number[]>();
  readonly #reads = new Map<string, () => number>();

  counter(definition: MetricDefinition, labels?: MetricLabels): Counter {
    const series = seriesOf(definition, labels);
    this.#counts.set(series, this.#counts.get(series) ?? 0);
    return { add: (amount = 1) => void this.#counts.set(series, (this.#counts.get(series) ?? 0) + amount) };
  }

  histogram(definition: MetricDefinition, labels?: MetricLabels): Histogram {
    const series = seriesOf(definition, labels);
    const records = this.#records.get(series) ?? [];
    this.#records.set(series, records);
    return { record: (value, times = 1) => void records.push(...Array.from({ length: times }, () => value)) };
  }

  gauge(definition: MetricDefinition, read: () => number, labels?: MetricLabels): void {
    this.#reads.set(seriesOf(definition, labels), read);
  }

  observedCounter(definition: MetricDefinition, read: () => number, labels?: MetricLabels): void {
    this.gauge(definition, read, labels);
  }

  /** What a counter or gauge stands at; undefined for one that was never made. */
  value(series: string): number | undefined {
    return this.#reads.get(series)?.() ?? this.#counts.get(series);
  }

  /** What a histogram was told, in order. */
  records(series: string): readonly number[] {
    return this.#records.get(series) ?? [];
  }
}

function seriesOf({ name }: MetricDefinition, labels: MetricLabels = {}): string {
  const pairs = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  return pairs.length === 0 ? name : `${name}{${pairs.join(',')}}`;
}
