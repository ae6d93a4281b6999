// The port of metrics. Whoever counts asks for an instrument once, when it is made, and uses it without a look-up.

/** What a metric is. Names and units by the Prometheus convention: `kiln_<what>_<unit>`, counters end in `_total`. */
export interface MetricDefinition {
  readonly name: `kiln_${string}` | `process_${string}`;
  /** One sentence, for `# HELP`. */
  readonly help: string;
}

/** Label values by label name. Few values each; never a digest, a path or anything else that a client makes up freely. */
export type MetricLabels = Readonly<Record<string, string>>;

/** Only rises. */
export interface Counter {
  /** By 1, or by an amount that is not negative. */
  add(amount?: number): void;
}

/** The distribution of a value that is not negative, in the unit of the metric's name. */
export interface Histogram {
  /** `times`: as often as that, for values that are told together; default once. */
  record(value: number, times?: number): void;
}

/**
 * Makes instruments. Asking again for the same name and labels gives the same instrument; all instruments of one
 * name have the same kind, text and label names.
 */
export interface Meter {
  counter(definition: MetricDefinition, labels?: MetricLabels): Counter;
  histogram(definition: MetricDefinition, labels?: MetricLabels): Histogram;
  /** A value that goes up and down; `read` is called when metrics are collected, and must be cheap. */
  gauge(definition: MetricDefinition, read: () => number, labels?: MetricLabels): void;
  /** As `gauge`, for a count that somebody else keeps and that only rises. */
  observedCounter(definition: MetricDefinition, read: () => number, labels?: MetricLabels): void;
}

const nothing = { add() {}, record() {} };

/** Counts nothing: for tests, and to measure what counting costs. */
export const noMeter: Meter = {
  counter: () => nothing,
  histogram: () => nothing,
  gauge() {},
  observedCounter() {},
};
