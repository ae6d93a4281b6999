// What an attack does to others: the latency that the server itself counts for calls of somebody else, while it is
// attacked, over that with the same connections and no attack on them.
import { fileURLToPath } from 'node:url';
import { fetchHttp } from '../../src/testing/http-client.ts';
import { latenciesIn, quantileBetween } from '../../test/attack/server-latency.ts';
import type { Latencies } from '../../test/attack/server-latency.ts';
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
const quickStep = 20;
/** A server that does not answer any more has lost. */
const runTimeoutMs = 120_000;
/** Others are to wait at most so many times as long. */
const ratioMax = 3;

/** Of the calls of somebody else. */
async function latencies({ port, authority }: ServerProcess): Promise<Latencies> {
  return latenciesIn((await fetchHttp(port, '/metrics', { authority })).text);
}

/** One kind of load on a fresh server. */
async function measured(kind: AttackKind, context: BenchContext): Promise<Sample> {
  const tls = kind.overTls === true ? context.tls : undefined;
  await using server = await startKiln({ directory: context.newDirectory(), core: context.pinning.server, tls, flags: kind.flags ?? [] });
  const blob = attackedBlob();
  await fetchHttp(server.port, `/cas/${blob.hash}`, { method: 'PUT', body: blob.bytes, authority: tls?.authority });
  const run = (what: string, seconds: number) => runToEnd(pinnedTo(context.pinning.generator, [process.execPath, attacker, String(server.port), String(seconds), what, ...(tls === undefined ? [] : [tls.authority])]), runTimeoutMs);
  // What is compiled late is not the attack's doing.
  await run(tls === undefined ? 'ordinary calls' : 'open connections over TLS', context.quick ? secondsQuick : secondsFull / 2);
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
