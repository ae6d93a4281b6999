// What a registry has counted, for those who report it in their own words: sums over labels, and quantiles.
import type { CellHistogram } from './cells.ts';
import type { MetricRegistry, Series } from './registry.ts';

/** Label values that a series must have; labels that are left out may have any. */
export type LabelFilter = Readonly<Record<string, string>>;

/** Reads what was counted since the start. Whoever wants what happened lately subtracts what was read before. */
export class MetricReadOut {
  readonly #registry: MetricRegistry;

  constructor(registry: MetricRegistry) {
    this.#registry = registry;
  }

  /** The values of a counter or gauge, or how often a histogram was told, added up. 0 for a name that nobody declared. */
  sum(name: string, filter: LabelFilter = {}): number {
    let sum = 0;
    for (const { source } of this.#matching(name, filter)) sum += 'read' in source ? source.read() : source.histogram.count;
    return sum;
  }

  /** As `sum`, apart for each value of one label that occurs. */
  sumBy(name: string, label: string, filter: LabelFilter = {}): ReadonlyMap<string, number> {
    const sums = new Map<string, number>();
    for (const { labels, source } of this.#matching(name, filter)) {
      const value = labels.find(([of]) => of === label)?.[1] ?? '';
      sums.set(value, (sums.get(value) ?? 0) + ('read' in source ? source.read() : source.histogram.count));
    }
    return sums;
  }

  /** How the values of a histogram are spread, in all or since `earlier`. */
  distribution(name: string, filter: LabelFilter = {}, earlier?: Distribution): Distribution {
    const histograms: CellHistogram[] = [];
    for (const { source } of this.#matching(name, filter)) if ('histogram' in source) histograms.push(source.histogram);
    return Distribution.of(histograms).since(earlier);
  }

  *#matching(name: string, filter: LabelFilter): Generator<Series, void, undefined> {
    const wanted = Object.entries(filter);
    for (const family of this.#registry.families()) {
      if (family.name !== name) continue;
      for (const series of family.series) {
        if (wanted.every(([label, value]) => series.labels.some(([of, is]) => of === label && is === value))) yield series;
      }
    }
  }
}

/** Counts per bucket at one moment, or between two. */
export class Distribution {
  readonly #counts: readonly number[];
  readonly #bounds: readonly number[];

  private constructor(counts: readonly number[], bounds: readonly number[]) {
    this.#counts = counts;
    this.#bounds = bounds;
  }

  /** Of several histograms over the same buckets. Empty for none. */
  static of(histograms: readonly CellHistogram[]): Distribution {
    const buckets = histograms[0]?.buckets;
    if (buckets === undefined) return new Distribution([], []);
    const indexes = Array.from({ length: buckets.count }, (_, index) => index);
    const counts = indexes.map((index) => histograms.reduce((sum, histogram) => sum + histogram.countIn(index), 0));
    return new Distribution(counts, indexes.map((index) => buckets.upperBound(index)));
  }

  get count(): number {
    return this.#counts.reduce((sum, count) => sum + count, 0);
  }

  /** What has come since `earlier`, a distribution of the same histograms. */
  since(earlier: Distribution | undefined): Distribution {
    if (earlier === undefined) return this;
    return new Distribution(this.#counts.map((count, index) => count - (earlier.#counts[index] ?? 0)), this.#bounds);
  }

  /**
   * The value below which the share `quantile` (0 to 1) of all values lies, to within 7 %; undefined when there are
   * none. Values below the first bound or above the last are given as that bound.
   */
  quantile(quantile: number): number | undefined {
    const rank = quantile * this.count;
    if (rank === 0) return undefined;
    let below = 0;
    for (const [index, count] of this.#counts.entries()) {
      if (below + count >= rank && count > 0) {
        const upper = this.#bounds[index] ?? Infinity;
        const lower = this.#bounds[index - 1] ?? upper;
        return upper === Infinity ? lower : lower + ((upper - lower) * (rank - below)) / count;
      }
      below += count;
    }
    return this.#bounds.at(-2);
  }
}
