// How long one waits at a steady rate, percentile by percentile. Calls are due at fixed times and their time runs from
// then, so a server that stalls is charged for all the calls that came due meanwhile.
import { loadBenchmark } from '../harness/load-benchmark.ts';
import { oneMissing } from './lookups.ts';
import { unlimited, wideWindowBits } from './workload.ts';
import type { Shape, Workload } from './workload.ts';

function steady(ratePerSecond: number): Shape {
  return {
    label: `${ratePerSecond}/s`,
    traffic: { kind: 'steady', ratePerSecond },
    concurrency: { connections: 16, streams: 100, windowBits: wideWindowBits },
    operationsMax: unlimited,
    notes: ['"gen lag" is how late the generator was itself (99th percentile): percentiles of that size are its own'],
  };
}

export const latency = loadBenchmark('latency', 'percentiles of FindMissingBlobs at a steady rate', (quick): Workload => ({
  name: 'latency',
  title: 'FindMissingBlobs of one absent digest at a steady rate, latency from when each call was due',
  protocol: 'cas',
  fixture: oneMissing,
  without: ['files'], // a file server sends no grpc-status, which the own generator insists on
  shapes: quick ? [steady(1_000)] : [steady(1_000), steady(4_000)],
}));
