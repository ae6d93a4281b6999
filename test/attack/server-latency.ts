// How long the calls of somebody else take, as the server itself counts it: from their headers to their status.
import { parseExposition } from '../../src/testing/exposition-parser.ts';

/** Calls by upper bound of their time in seconds, cumulative, in order. */
export type Latencies = readonly (readonly [leSeconds: number, calls: number])[];

/** Those of the method that only the bystander calls, from what /metrics says. */
export function latenciesIn(exposition: string): Latencies {
  const samples = parseExposition(exposition, 'prometheus').get('kiln_grpc_call_duration_seconds')?.samples ?? [];
  return samples
    .filter((sample) => sample.name.endsWith('_bucket') && sample.labels.get('method') === 'QueryWriteStatus')
    .map(({ labels, value }) => [Number((labels.get('le') ?? '').replace('+Inf', 'Infinity')), value] as const)
    .toSorted(([a], [b]) => a - b);
}

/** The quantile of what came in between, in microseconds; interpolated within a bucket as Prometheus does it. NaN when nothing came. */
export function quantileBetween(before: Latencies, after: Latencies, quantile: number): number {
  const known = new Map(before);
  const counts = after.map(([le, calls]) => [le, calls - (known.get(le) ?? 0)] as const);
  const wanted = (counts.at(-1)?.[1] ?? 0) * quantile;
  let [fromSeconds, below] = [0, 0];
  for (const [le, calls] of counts) {
    if (calls >= wanted && calls > below) {
      const untilSeconds = le === Infinity ? fromSeconds : le;
      return (fromSeconds + ((untilSeconds - fromSeconds) * (wanted - below)) / (calls - below)) * 1e6;
    }
    [fromSeconds, below] = [le, calls];
  }
  return NaN;
}
