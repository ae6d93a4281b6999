// The little statistics that benchmarks need. Nothing here knows what is measured.

/** Several measurements of one thing. `samples` are in the order of the rounds. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly samples: readonly number[];
}

/** @throws RangeError for no samples at all: an empty measurement is a fault of the benchmark. */
export function spread(samples: readonly number[]): Spread {
  if (samples.length === 0) throw new RangeError('nothing was measured');
  return { median: median(samples), min: Math.min(...samples), max: Math.max(...samples), samples };
}

/** The middle value; the mean of the two middle ones for an even count; NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? NaN)) / 2;
}

/**
 * The smallest value that at least `share` of all values do not exceed (nearest rank), `share` between 0 and 1.
 * `ascending` is sorted; NaN of nothing.
 */
export function percentile(ascending: ArrayLike<number>, share: number): number {
  const rank = Math.max(1, Math.ceil(share * ascending.length));
  return ascending[rank - 1] ?? NaN;
}

/** Slope of the least-squares line through the points. */
export function slope(points: readonly { readonly x: number; readonly y: number }[]): number {
  const meanX = points.reduce((sum, point) => sum + point.x, 0) / points.length;
  const meanY = points.reduce((sum, point) => sum + point.y, 0) / points.length;
  let covariance = 0;
  let variance = 0;
  for (const { x, y } of points) {
    covariance += (x - meanX) * (y - meanY);
    variance += (x - meanX) ** 2;
  }
  return covariance / variance;
}
