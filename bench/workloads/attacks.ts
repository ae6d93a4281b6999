// What an attack does to others: how long calls of somebody else take while the server is attacked, over how long they
// take under the same load without the attack's content. A control of its own follows each attack at once, on the same
// server, so that what else the machine does meets both alike.
import { fileURLToPath } from 'node:url';
import { fetchHttp } from '../../src/testing/http-client.ts';
import { quantileBetween } from '../../test/attack/server-latency.ts';
import type { Latencies } from '../../test/attack/server-latency.ts';
import { attackedBlob, attackKinds, controls } from '../attacks/kinds.ts';
import type { AttackKind } from '../attacks/kinds.ts';
import type { AttackReport } from '../attacks/main.ts';
import type { OthersReport } from '../attacks/others.ts';
import { startKiln } from '../contenders/kiln.ts';
import { runToEnd } from '../harness/children.ts';
import type { BenchContext, Benchmark } from '../harness/context.ts';
import { summed } from '../harness/load-benchmark.ts';
import type { Measured } from '../harness/measures.ts';
import { pinnedTo } from '../harness/pinning.ts';
import { residentBytes } from '../harness/process-usage.ts';
import type { ServerProcess } from '../harness/processes.ts';
import type { Result } from '../harness/report.ts';
import { spread } from '../harness/statistics.ts';

const name = 'attacks';
const attacker = fileURLToPath(new URL('../attacks/main.ts', import.meta.url));
/** Of each attack and of each control: 1,500 calls of somebody else, so that fifteen are slower than a 99th percentile. */
const secondsFull = 1.5;
const secondsQuick = 0.3;
/** Only whether it works counts then: one attack of so many. */
const quickStep = 20;
/** A server that does not answer any more has lost. */
const runTimeoutMs = 120_000;
/** Others are to wait at most so many times as long. */
const ratioMax = 3;

/** What came of one kind of attack. */
async function measured(kind: AttackKind, server: ServerProcess, context: BenchContext): Promise<AttackReport> {
  const words = [String(server.port), String(context.rounds), String(context.quick ? secondsQuick : secondsFull), kind.name, ...(server.authority === undefined ? [] : [server.authority])];
  const { status, output, complaint } = await runToEnd(pinnedTo(context.pinning.generator, [process.execPath, attacker, ...words]), runTimeoutMs + context.rounds * 4_000 * secondsFull);
  if (status !== 0) throw new Error(complaint);
  return JSON.parse(output, (_, value: unknown) => value ?? Infinity) as AttackReport; // JSON has none, and writes the last bound as null
}

/** The counts of several phases as if they were one. */
function together(reports: readonly OthersReport[], which: 'before' | 'after'): Latencies {
  const sums = new Map<number, number>();
  for (const report of reports) for (const [le, calls] of report[which]) sums.set(le, (sums.get(le) ?? 0) + calls);
  return [...sums].toSorted(([a], [b]) => a - b);
}

/** 99th percentile of all phases together, in microseconds. */
function p99Of(reports: readonly OthersReport[]): number {
  return quantileBetween(together(reports, 'before'), together(reports, 'after'), 0.99);
}

function figures({ rounds }: AttackReport): Measured {
  const [attack, control] = [rounds.map((round) => round.attack), rounds.map((round) => round.control)];
  const each = summed(
    rounds.map((round) => ({
      callP99: p99Of([round.attack]),
      controlCallP99: p99Of([round.control]),
      waitedP99: round.attack.waitedP99,
      controlWaitedP99: round.control.waitedP99,
    })),
  );
  const waitedRatio = (each.waitedP99?.median ?? NaN) / (each.controlWaitedP99?.median ?? NaN);
  return { ...each, callRatio: spread([p99Of(attack) / p99Of(control)]), waitedRatio: spread([waitedRatio]) };
}

function milliseconds(microseconds: number | undefined): string {
  return `${((microseconds ?? NaN) / 1_000).toFixed(2)} ms`;
}

/** One line: what was found, of how many calls, and what the load was. */
function lineOf(kind: AttackKind, found: Measured, { rounds }: AttackReport): string {
  const count = (which: 'attack' | 'control') => rounds.reduce((sum, round) => sum + round[which].calls, 0).toLocaleString('en-US');
  const [{ connections, bytesPerSecond } = { connections: 0, bytesPerSecond: 0 }] = rounds.map(({ load }) => load).slice(-1);
  const load = kind.holds !== undefined ? `${connections.toFixed(0)} connections held` : `${connections.toFixed(0)} connections/s, ${(bytesPerSecond / 1e6).toFixed(1)} MB/s`;
  const ratio = found.callRatio?.median ?? NaN;
  const verdict = ratio > ratioMax ? `, MORE THAN ${ratioMax}` : '';
  return [
    `  ${kind.name}: ${ratio.toFixed(2)} times${verdict}`,
    `p99 ${milliseconds(found.callP99?.median)}, control ${milliseconds(found.controlCallP99?.median)}`,
    `waited ${milliseconds(found.waitedP99?.median)}, control ${milliseconds(found.controlWaitedP99?.median)}`,
    `${count('attack')} and ${count('control')} calls`,
    load,
  ].join('; ');
}

/** Those that can share a server. */
function byServer(kinds: readonly AttackKind[]): (readonly AttackKind[])[] {
  return [...Map.groupBy(kinds, ({ overTls = false, flags = [] }) => [overTls, ...flags].join(' ')).values()];
}

async function startAttacked(kind: AttackKind, context: BenchContext): Promise<ServerProcess> {
  const tls = kind.overTls === true ? context.tls : undefined;
  const server = await startKiln({ directory: context.newDirectory(), core: context.pinning.server, tls, flags: kind.flags ?? [] });
  const { hash, bytes } = attackedBlob();
  await fetchHttp(server.port, `/cas/${hash}`, { method: 'PUT', body: bytes, authority: tls?.authority });
  return server;
}

/** Attacks one server with all that `kinds` names, and gives a line of the table for each. */
async function measureGroup(kinds: readonly AttackKind[], context: BenchContext, results: Result[]): Promise<void> {
  const [first] = kinds;
  if (first === undefined) return;
  await using server = await startAttacked(first, context);
  if (!context.quick) await measured(first, server, context); // what is compiled late is not the attack's doing
  for (const kind of kinds) {
    try {
      const report = await measured(kind, server, context);
      const found = { ...figures(report), residentMegabytes: spread([residentBytes(server.pid) / 1e6]) };
      results.push({ server: kind.name, operations: report.rounds[0]?.attack.calls ?? 0, measured: found });
      context.progress(lineOf(kind, found, report));
    } catch (thrown) {
      context.wrong(`${name}: ${kind.name}: ${String(thrown)}`);
    }
  }
}

function chosenKinds({ attacks: named, quick }: BenchContext): readonly AttackKind[] {
  if (named.length > 0) return attackKinds.filter((kind) => named.includes(kind.name));
  return quick ? attackKinds.filter((_, index) => index % quickStep === 0) : attackKinds;
}

export const attacks: Benchmark = {
  name,
  title: 'latency of other calls while the server is attacked, over that under the same load without the attack',
  async run(context) {
    const results: Result[] = [];
    const chosen = chosenKinds(context);
    context.progress(`\n${name}: 99th percentile of the calls of somebody else, each attack when it is measured`);
    for (const kinds of byServer([...controls, ...chosen])) await measureGroup(kinds, context, results);
    const slow = results.flatMap(({ server, measured: { callRatio } }) => ((callRatio?.median ?? 0) > ratioMax ? [`${server} (${callRatio?.median.toFixed(2)})`] : []));
    context.report({
      benchmark: name,
      shape: '',
      description: 'QueryWriteStatus of somebody else, 1,000 a second, beside 4 attackers, and beside as many connections and bytes without the attack',
      results,
      notes: [
        `more than ${ratioMax} times the control: ${slow.length === 0 ? 'none' : slow.join(', ')}`,
        'each call comes as headers and, a millisecond later, its message: the server counts from the headers, so that millisecond is in p99 and in its control, and in nothing that is waited',
        'percentiles are interpolated within the buckets of kiln_grpc_call_duration_seconds; ratios are of all rounds together',
        'RSS MB: after the attack and its control, on a server that has had all attacks above it',
      ],
    });
  },
};
