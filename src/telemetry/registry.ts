// Every metric of one server: made here, counted in typed arrays, read out by whoever writes them down.
import { assert } from '../base/assert.ts';
import type { Counter, Histogram, Meter, MetricDefinition, MetricLabels } from '../base/metrics.ts';
import { CellAllocator, CellCounter, CellHistogram } from './cells.ts';
import { bytesRange, LogBuckets, secondsRange } from './log-buckets.ts';

export type MetricKind = 'counter' | 'gauge' | 'histogram';

/** One line of a metric, or of a histogram many. */
export interface Series {
  readonly labels: readonly (readonly [name: string, value: string])[];
  readonly source: { readonly read: () => number } | { readonly histogram: CellHistogram };
}

/** All that has one name. */
export interface MetricFamily {
  readonly name: string;
  readonly help: string;
  readonly kind: MetricKind;
  /** In the order in which they were made. */
  readonly series: Iterable<Series>;
}

export interface RegistryLimits {
  /**
   * Series of one metric. Label values are bounded where they are made, so that this is never reached; should it be,
   * more instruments of that name count, but are not shown, and `unshownCount` says how many.
   */
  readonly seriesPerMetricMax: number;
}

/** A scrape of this many lines is below a megabyte even for the widest labels there are. */
export const registryLimits: RegistryLimits = { seriesPerMetricMax: 2_000 };

interface Family {
  readonly name: string;
  readonly help: string;
  readonly kind: MetricKind;
  readonly labelNames: string;
  readonly instruments: Map<string, Instrument>;
}

interface Instrument extends Series {
  /** What `counter` or `histogram` gives for these labels. */
  readonly handle: Counter | Histogram | undefined;
}

const metricName = /^(?:kiln|process)_[a-z][a-z0-9_]*$/;
const labelName = /^[a-z][a-z0-9_]*$/;

export class MetricRegistry implements Meter {
  readonly #limits: RegistryLimits;
  readonly #families = new Map<string, Family>();
  readonly #cells = new CellAllocator();
  readonly #seconds = new LogBuckets(secondsRange);
  readonly #bytes = new LogBuckets(bytesRange);
  #unshown = 0;

  constructor(limits: RegistryLimits = registryLimits) {
    this.#limits = limits;
  }

  counter(definition: MetricDefinition, labels: MetricLabels = {}): Counter {
    return this.#instrument(this.#family(definition, 'counter', labels), labels, () => {
      const counter = new CellCounter(this.#cells.take(1));
      return { labels: pairs(labels), source: { read: () => counter.value }, handle: counter };
    }).handle as Counter;
  }

  histogram(definition: MetricDefinition, labels: MetricLabels = {}): Histogram {
    return this.#instrument(this.#family(definition, 'histogram', labels), labels, () => {
      const buckets = definition.name.endsWith('_bytes') ? this.#bytes : this.#seconds;
      const histogram = new CellHistogram(buckets, this.#cells.take(CellHistogram.cellsFor(buckets)));
      return { labels: pairs(labels), source: { histogram }, handle: histogram };
    }).handle as Histogram;
  }

  gauge(definition: MetricDefinition, read: () => number, labels: MetricLabels = {}): void {
    this.#observe(this.#family(definition, 'gauge', labels), read, labels);
  }

  observedCounter(definition: MetricDefinition, read: () => number, labels: MetricLabels = {}): void {
    this.#observe(this.#family(definition, 'counter', labels), read, labels);
  }

  /** In the order of their names. */
  *families(): Generator<MetricFamily, void, undefined> {
    const names = [...this.#families.keys()].sort();
    for (const name of names) {
      const family = this.#families.get(name);
      if (family !== undefined) yield { name, help: family.help, kind: family.kind, series: family.instruments.values() };
    }
  }

  /** Instruments that count but are not shown: see `seriesPerMetricMax`. */
  get unshownCount(): number {
    return this.#unshown;
  }

  #observe(family: Family, read: () => number, labels: MetricLabels): void {
    assert(!family.instruments.has(keyOf(labels)), `${family.name} is read by one function for each set of labels`);
    this.#instrument(family, labels, () => ({ labels: pairs(labels), source: { read }, handle: undefined }));
  }

  #family({ name, help }: MetricDefinition, kind: MetricKind, labels: MetricLabels): Family {
    const labelNames = Object.keys(labels).join();
    const known = this.#families.get(name);
    if (known !== undefined) {
      assert(known.kind === kind && known.help === help, `${name} is declared once: as a ${known.kind}, "${known.help}"`);
      assert(known.labelNames === labelNames, `${name} has the labels (${known.labelNames}), and always in this order`);
      return known;
    }
    assert(metricName.test(name), `"${name}" is a metric name: kiln_ or process_, lower case, words joined by _`);
    assert((kind === 'counter') === name.endsWith('_total'), `${name}: counters, and nothing else, end in _total`);
    assert(!/_(?:seconds|bytes)_(?!total$)/.test(name), `${name}: the unit stands last, before _total if that follows`);
    assert(kind !== 'histogram' || /_(?:seconds|bytes)$/.test(name), `${name}: a histogram ends in its unit, _seconds or _bytes`);
    for (const label of Object.keys(labels)) assert(labelName.test(label) && label !== 'le', `${name}: "${label}" is a label name`);
    const family: Family = { name, help, kind, labelNames, instruments: new Map() };
    this.#families.set(name, family);
    return family;
  }

  #instrument(family: Family, labels: MetricLabels, make: () => Instrument): Instrument {
    const key = keyOf(labels);
    const known = family.instruments.get(key);
    if (known !== undefined) {
      assert(known.handle !== undefined, `${family.name} is counted by somebody else for these labels`);
      return known;
    }
    const made = make();
    if (family.instruments.size < this.#limits.seriesPerMetricMax) family.instruments.set(key, made);
    else this.#unshown += 1;
    return made;
  }
}

function pairs(labels: MetricLabels): readonly (readonly [string, string])[] {
  return Object.entries(labels);
}

/** Values are free text, so lengths keep `a,b` and `c` apart from `a` and `b,c`. */
function keyOf(labels: MetricLabels): string {
  let key = '';
  for (const value of Object.values(labels)) key += `${value.length}:${value}`;
  return key;
}
