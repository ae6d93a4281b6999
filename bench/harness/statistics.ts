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

/** Student's t for 95 %, both sides, by degrees of freedom from 1 on; beyond the list it is 2 and a little. */
const studentT: readonly number[] = [12.71, 4.3, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.2, 2.18, 2.16, 2.14, 2.13, 2.12, 2.11, 2.1, 2.09, 2.09];

/** The mean, and how far from it the true one is at most, with 95 %: independent values, about normally distributed. NaN for fewer than two. */
export function meanWithin(values: readonly number[]): { readonly mean: number; readonly within: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1);
  return { mean, within: (studentT[values.length - 2] ?? 2.08) * Math.sqrt(variance / values.length) };
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
