// What an attack does to others: the latency that the server itself counts for calls of somebody else, while it is
// attacked, over that with the same connections and no attack on them.
import { fileURLToPath } from 'node:url';
import { parseExposition } from '../../src/testing/exposition-parser.ts';
import { fetchHttp } from '../../src/testing/http-client.ts';
import { attackedBlob, attackKinds, references } from '../attacks/kinds.ts';
import type { AttackKind } from '../attacks/kinds.ts';
import { startKiln } from '../contenders/kiln.ts';
import { runToEnd } from '../harness/children.ts';
import type { BenchContext, Benchmark } from '../harness/context.ts';
import { summed } from '../harness/load-benchmark.ts';
import type { Sample } from '../harness/measures.ts';
import { pinnedTo } from '../harness/pinning.ts';
import { residentBytes } from '../harness/process-usage.ts';
import type { ServerProcess } from '../harness/processes.ts';
import type { Result } from '../harness/report.ts';

const name = 'attacks';
const attacker = fileURLToPath(new URL('../attacks/main.ts', import.meta.url));
const secondsFull = 4;
const secondsQuick = 0.5;
/** Only whether it works counts then: one attack of so many. */
const quickStep = 12;
/** A server that does not answer any more has lost. */
const runTimeoutMs = 120_000;
/** What the issue of it all is: others wait at most so many times as long. */
const ratioMax = 3;

/** Calls by upper bound of their time in seconds, cumulative, in order. */
type Histogram = readonly (readonly [leSeconds: number, calls: number])[];

/** Of the calls of somebody else. */
async function latencies({ port }: ServerProcess): Promise<Histogram> {
  const families = parseExposition((await fetchHttp(port, '/metrics')).text, 'prometheus');
  const samples = families.get('kiln_grpc_call_duration_seconds')?.samples ?? [];
  return samples
    .filter((sample) => sample.name.endsWith('_bucket') && sample.labels.get('method') === 'QueryWriteStatus')
    .map(({ labels, value }) => [Number((labels.get('le') ?? '').replace('+Inf', 'Infinity')), value] as const)
    .toSorted(([a], [b]) => a - b);
}

/** The quantile of what came in between, in microseconds; interpolated within a bucket as Prometheus does it. */
export function quantileBetween(before: Histogram, after: Histogram, quantile: number): number {
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

/** One kind of load on a fresh server. */
async function measured(kind: AttackKind, context: BenchContext): Promise<Sample> {
  await using server = await startKiln({ directory: context.newDirectory(), core: context.pinning.server });
  const blob = attackedBlob();
  await fetchHttp(server.port, `/cas/${blob.hash}`, { method: 'PUT', body: blob.bytes });
  const run = (what: string, seconds: number) => runToEnd(pinnedTo(context.pinning.generator, [process.execPath, attacker, String(server.port), String(seconds), what]), runTimeoutMs);
  await run('ordinary calls', context.quick ? secondsQuick : secondsFull / 2); // what is compiled late is not the attack's doing
  const before = await latencies(server);
  const { status, complaint } = await run(kind.name, context.quick ? secondsQuick : secondsFull);
  if (status !== 0) context.wrong(`${kind.name}: ${complaint}`);
  const after = await latencies(server);
  return { p50: quantileBetween(before, after, 0.5), p99: quantileBetween(before, after, 0.99), residentMegabytes: residentBytes(server.pid) / 1e6 };
}

async function rounds(kind: AttackKind, context: BenchContext): Promise<Sample[]> {
  const samples: Sample[] = [];
  for (let round = 0; round < (context.quick ? 1 : context.rounds); round += 1) samples.push(await measured(kind, context));
  return samples;
}

export const attacks: Benchmark = {
  name,
  title: 'latency of other calls while the server is attacked, over that without the attack',
  async run(context) {
    const results: Result[] = [];
    const notes: string[] = [];
    const kinds = context.quick ? attackKinds.filter((_, index) => index % quickStep === 0) : attackKinds;
    for (const kind of [...references, ...kinds]) {
      const found = summed(await rounds(kind, context));
      results.push({ server: kind.name, measured: found });
      const without = results.find(({ server }) => server === kind.without)?.measured.p99?.median ?? NaN;
      const ratio = (found.p99?.median ?? NaN) / without;
      if (kind.name !== kind.without) notes.push(`${kind.name}: p99 ${ratio.toFixed(2)} times that of ${kind.without}${ratio > ratioMax ? `, which is more than ${ratioMax}` : ''}`);
    }
    context.report({
      benchmark: name,
      shape: '',
      description: 'QueryWriteStatus of somebody else, 4 at a time, beside 4 attackers; from its headers to its status, as the server counts it',
      results,
      notes: [...notes, 'percentiles are interpolated within the buckets of kiln_grpc_call_duration_seconds'],
    });
  },
};
