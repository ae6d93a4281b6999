// What telemetry costs: the same Kiln with everything off, with metrics alone, with its defaults, and with traces of one
// call in a hundred sent to a collector, in turns. Two processes of the same program differ by some per cent for as
// long as they live, so all are started anew several times, and what counts is the ratio to "off" within a round.
import { join } from 'node:path';
import { startKiln } from '../contenders/kiln.ts';
import type { BenchContext, Benchmark } from '../harness/context.ts';
import { summed, written } from '../harness/load-benchmark.ts';
import type { Sample } from '../harness/measures.ts';
import { startServer } from '../harness/processes.ts';
import type { ServerProcess } from '../harness/processes.ts';
import { cpuBetween, readCpu } from '../harness/process-usage.ts';
import type { CpuReading } from '../harness/process-usage.ts';
import { runLoad } from '../harness/run-load.ts';
import type { Run } from '../harness/run.ts';
import { median } from '../harness/statistics.ts';
import { checkedAnswer } from '../traffic/fill.ts';
import type { RunOutcome } from '../traffic/traffic.ts';
import { oneMissing, sameCall } from './lookups.ts';

const name = 'telemetry';
const shape = sameCall(4, 32);
const workload = { name, title: 'FindMissingBlobs of one absent digest', protocol: 'cas', fixture: oneMissing, shapes: [shape] } as const;

/** Nothing that watches or reports. */
const quietFlags = [
  ...['--log-level', 'error', '--log-summary-interval', 'off'],
  ...['--diagnostics-loop-stall', 'off', '--diagnostics-store-stall', 'off', '--diagnostics-profile-cpu', 'off'],
];

interface Variant {
  readonly name: string;
  readonly about: string;
  readonly flags: (collector: string) => readonly string[];
}

/** The first is what the others are compared with. */
const variants: readonly Variant[] = [
  { name: 'off', about: 'no metrics, traces, summary or diagnostics; log of errors only', flags: () => [...quietFlags, '--metrics-enabled', 'false'] },
  { name: 'metrics', about: 'off, but with metrics', flags: () => quietFlags },
  { name: 'default', about: 'no flags', flags: () => [] },
  { name: 'traces 1%', about: 'the default and traces of 1 % of the calls', flags: (collector) => ['--traces-endpoint', `${collector}/v1/traces`, '--traces-sample-ratio', '0.01'] },
];

/** A variant that runs, and what its rounds gave so far. */
interface Running {
  readonly variant: Variant;
  readonly server: ServerProcess;
  readonly run: Run;
}

const warmUpCalls = 150_000;
/** Short, so that what else the machine does meets all variants alike; many, so that it averages out. */
const roundCalls = 5_000;
const generationsFull = 3;
const turnsPerRound = 16;
/** Spans are sent in batches some time later; that belongs to the round that made them. */
const settleMs = 2_500;

export const telemetry: Benchmark = {
  name,
  title: 'server CPU with telemetry off, at its default, and with traces at 1 %',
  async run(context) {
    const samples = new Map<string, Sample[]>(variants.map((variant) => [variant.name, []]));
    const generations = context.quick ? 1 : generationsFull;
    for (let generation = 0; generation < generations; generation += 1) await runGeneration(context, samples);
    const results = variants.map((variant) => ({ server: variant.name, operations: callsOf(context, roundCalls), measured: summed(samples.get(variant.name) ?? []) }));
    const ratios = variants.map((variant) => `${variant.name} ${ratiosByStart(samples, variant.name, generations).map((ratio) => ratio.toFixed(3)).join(' ')}`);
    context.report({
      benchmark: name,
      shape: shape.label,
      description: `${workload.title}; ${shape.concurrency.connections} connections x ${shape.concurrency.streams} calls; all variants started ${generations} times, ratios within a round`,
      results,
      notes: [
        ...variants.map((variant) => `${variant.name}: ${variant.about}`),
        'CPU of a round is counted until the next round of the same server, so what it does later counts as well',
        `median CPU against that of off, start by start, which says how far to trust it: ${ratios.join('; ')}`,
      ],
    });
  },
};

/** For each start of all variants the median CPU of that one over that of the first. */
function ratiosByStart(samples: ReadonlyMap<string, readonly Sample[]>, variant: string, starts: number): number[] {
  return Array.from({ length: starts }, (_, start) => {
    const medianOf = (of: string): number => {
      const all = samples.get(of) ?? [];
      const rounds = all.length / starts;
      return median(all.slice(start * rounds, (start + 1) * rounds).map(({ cpuPerOperation = NaN }) => cpuPerOperation));
    };
    return medianOf(variant) / medianOf(variants[0]?.name ?? '');
  });
}

function callsOf({ quick }: BenchContext, calls: number): number {
  return quick ? calls / 50 : calls;
}

/** What one variant did in its turns: CPU at the beginning of each, and at the end of all. */
interface Turns {
  readonly cpu: CpuReading[];
  readonly outcomes: RunOutcome[];
}

/** Starts all variants, lets them take turns, and adds what came of it to `samples`. */
async function runGeneration(context: BenchContext, samples: ReadonlyMap<string, Sample[]>): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const collector = stack.use(await startCollector(context));
  const running: Running[] = [];
  for (const variant of variants) running.push(await start(variant, { context, collector, stack }));
  for (const { run } of running) await runLoad({ ...run, operations: callsOf(context, warmUpCalls) }, context.h2load);
  await settle(context);
  const records = running.map((): Turns => ({ cpu: [], outcomes: [] }));
  const rounds = context.quick ? 1 : context.rounds * turnsPerRound;
  for (let round = 0; round < rounds; round += 1) {
    for (let turn = 0; turn < running.length; turn += 1) {
      // Who comes first changes, so that nobody always runs beside the same work of the machine.
      const at = (round + turn) % running.length;
      const [one, record] = [running[at], records[at]];
      if (one === undefined || record === undefined) continue;
      record.cpu.push(readCpu(one.server.pid));
      record.outcomes.push(await runLoad(one.run, context.h2load));
    }
  }
  await settle(context);
  for (const [at, { server }] of running.entries()) records[at]?.cpu.push(readCpu(server.pid));
  const byVariant = records.map(roundSamples);
  for (const [at, { variant }] of running.entries()) samples.get(variant.name)?.push(...relativeTo(byVariant[0] ?? [], byVariant[at] ?? []));
  await checkCollector(collector, context);
}

function roundSamples({ cpu, outcomes }: Turns): Sample[] {
  return outcomes.map(({ operations, seconds, generatorCores }, round) => {
    const [before, after] = [cpu[round], cpu[round + 1]];
    const nanoseconds = before === undefined || after === undefined ? NaN : cpuBetween(before, after);
    return { operationsPerSecond: operations / seconds, cpuPerOperation: nanoseconds / 1_000 / operations, generatorCores };
  });
}

/** Each sample with its ratios to what `off` did in the same round. */
function relativeTo(off: readonly Sample[], samples: readonly Sample[]): Sample[] {
  return samples.map((sample, round) => ({
    ...sample,
    relativeCpu: (sample.cpuPerOperation ?? NaN) / (off[round]?.cpuPerOperation ?? NaN),
    relativeRate: (sample.operationsPerSecond ?? NaN) / (off[round]?.operationsPerSecond ?? NaN),
  }));
}

async function start(variant: Variant, { context, collector, stack }: { context: BenchContext; collector: ServerProcess; stack: AsyncDisposableStack }): Promise<Running> {
  const directory = context.newDirectory();
  const flags = variant.flags(`http://${collector.host}:${collector.port}`);
  const server = stack.use(await startKiln({ name: `kiln (${variant.name})`, directory, core: context.pinning.server, flags }));
  const answer = await checkedAnswer(server, workload, 'api');
  const { traffic, concurrency } = shape;
  const common = { server, protocol: workload.protocol, path: oneMissing.path, traffic, concurrency, compare: 'bytes', core: context.pinning.generator } as const;
  const run: Run = { ...common, ...written(directory, oneMissing.request, answer), operations: callsOf(context, roundCalls), seed: 0 };
  return { variant, server, run };
}

function settle({ quick }: BenchContext): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, quick ? 0 : settleMs));
}

function startCollector(context: BenchContext): Promise<ServerProcess> {
  const readyFile = join(context.newDirectory(), 'ready.json');
  const program = new URL('../reference/trace-sink.ts', import.meta.url).pathname;
  const words = [process.execPath, program, readyFile, 'sink'];
  return startServer({ name: 'trace collector', words, core: context.pinning.generator, readiness: { kind: 'ready-file', path: readyFile } });
}

/** How long the last batch may be on its way. */
const collectorPatienceMs = 10_000;
const collectorLookMs = 100;

/** Without spans that arrive, the figure for traces means nothing. */
async function checkCollector(collector: ServerProcess, context: BenchContext): Promise<void> {
  const giveUpAtMs = performance.now() + collectorPatienceMs;
  while (performance.now() < giveUpAtMs) {
    const { requests } = (await (await fetch(`http://${collector.host}:${collector.port}/received`)).json()) as { requests: number };
    if (requests > 0) return;
    await new Promise((resolve) => setTimeout(resolve, collectorLookMs));
  }
  context.wrong(`${name}: no spans came to the collector, so traces were not measured`);
}
