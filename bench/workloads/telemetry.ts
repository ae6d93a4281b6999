// What telemetry costs: the same Kiln with everything off, with metrics alone, with its defaults, and with traces of one
// call in a hundred sent to a collector, in turns. Two processes of the same program differ by up to a tenth for as long as
// they live, by what the compiler happened to do first. So all are started anew many times, each start gives one ratio, and
// two servers that are both off show what such a ratio is worth.
import { join } from 'node:path';
import { startKiln } from '../contenders/kiln.ts';
import type { BenchContext, Benchmark } from '../harness/context.ts';
import { summed, written } from '../harness/load-benchmark.ts';
import type { Sample } from '../harness/measures.ts';
import { startServer } from '../harness/processes.ts';
import type { ServerProcess } from '../harness/processes.ts';
import { cpuBetween, readCpu } from '../harness/process-usage.ts';
import { runLoad } from '../harness/run-load.ts';
import type { Result } from '../harness/report.ts';
import type { Run } from '../harness/run.ts';
import { meanWithin, median, spread } from '../harness/statistics.ts';
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
  /** Default: `warmUpCalls`. */
  readonly warmUpCalls?: number;
}

const warmUpCalls = 150_000;
/**
 * Half a minute, in which some 6,000 calls are traced: what makes and sends spans is seldom run, so it takes that long until
 * it is compiled; before, a span costs five times as much.
 */
const tracedWarmUpCalls = 4_000_000;

/** The first two are the same, and what all are compared with. */
const variants: readonly Variant[] = [
  { name: 'off', about: 'no metrics, traces, summary or diagnostics; log of errors only', flags: () => [...quietFlags, '--metrics-enabled', 'false'] },
  { name: 'off again', about: 'the same once more, as a control', flags: () => [...quietFlags, '--metrics-enabled', 'false'] },
  { name: 'metrics', about: 'off, but with metrics', flags: () => quietFlags },
  { name: 'default', about: 'no flags', flags: () => [] },
  { name: 'traces 1%', about: 'the default and traces of 1 % of the calls', flags: (collector) => ['--traces-endpoint', `${collector}/v1/traces`, '--traces-sample-ratio', '0.01'], warmUpCalls: tracedWarmUpCalls },
];
const controls = 2;

/** A variant that runs, and what its rounds gave so far. */
interface Running {
  readonly variant: Variant;
  readonly server: ServerProcess;
  readonly run: Run;
}

/** Some three seconds: what a server does by the clock, whether it is asked or not, must be little of it. */
const roundCalls = 400_000;
const roundsPerStart = 3;
/** For each round that was asked for: how alike two starts are limits what can be told, not how long each is measured. */
const startsPerRound = 2;
/** Spans are sent in batches up to two seconds later; that belongs to the round that made them. */
const settleMs = 2_500;

/** By variant, for each start its rounds. */
type Starts = ReadonlyMap<string, Sample[][]>;

export const telemetry: Benchmark = {
  name,
  title: 'server CPU with telemetry off, at its default, and with traces at 1 %',
  async run(context) {
    const starts: Starts = new Map(variants.map((variant) => [variant.name, []]));
    const count = context.quick ? 1 : context.rounds * startsPerRound;
    for (let start = 0; start < count; start += 1) await runStart(context, starts);
    context.report({
      benchmark: name,
      shape: shape.label,
      description: `${workload.title}; ${shape.concurrency.connections} connections x ${shape.concurrency.streams} calls; all variants started ${count} times, ${roundsOf(context)} rounds each in turns`,
      results: variants.map((variant) => resultOf(variant.name, starts, context)),
      notes: [
        ...variants.map((variant) => `${variant.name}: ${variant.about}`),
        `CPU of a round is counted until ${settleMs} ms after it, so what is done a little later counts as well`,
        'CPU against off: one figure for each start, the median of its rounds over that of both servers that are off',
        ...conclusions(starts),
      ],
    });
  },
};

function resultOf(variant: string, starts: Starts, context: BenchContext): Result {
  const samples = (starts.get(variant) ?? []).flat();
  return { server: variant, operations: callsOf(context, roundCalls), measured: { ...summed(samples), relativeCpu: spread(ratios(starts, variant)) } };
}

/** What the telemetry of each variant costs, and how far that can be trusted. */
function conclusions(starts: Starts): string[] {
  const [off = '', again = '', ...others] = variants.map((variant) => variant.name);
  const control = meanWithin(startCpus(starts, again).map((cpu, start) => cpu / (startCpus(starts, off)[start] ?? NaN)));
  const told = ({ mean, within }: { readonly mean: number; readonly within: number }): string =>
    `${percent(mean - 1)} (${Number.isNaN(within) ? 'of a single start, which says nothing' : `within ${(within * 100).toFixed(1)} % with a confidence of 95 %`})`;
  return [
    ...others.map((variant) => `CPU of ${variant} against off, mean of the starts: ${told(meanWithin(ratios(starts, variant)))}`),
    `control, off again against off: ${told(control)}; differences of that size are none`,
  ];
}

function percent(share: number): string {
  return `${share < 0 ? '' : '+'}${(share * 100).toFixed(1)} %`;
}

/** For each start the median over its rounds of the CPU for a call. */
function startCpus(starts: Starts, variant: string): number[] {
  return (starts.get(variant) ?? []).map((rounds) => median(rounds.map(({ cpuPerOperation = NaN }) => cpuPerOperation)));
}

/** For each start the CPU of that variant over the mean of those that are off. */
function ratios(starts: Starts, variant: string): number[] {
  const controlCpus = variants.slice(0, controls).map((control) => startCpus(starts, control.name));
  return startCpus(starts, variant).map((cpu, start) => cpu / (controlCpus.reduce((sum, cpus) => sum + (cpus[start] ?? NaN), 0) / controls));
}

function roundsOf({ quick }: BenchContext): number {
  return quick ? 1 : roundsPerStart;
}

function callsOf({ quick }: BenchContext, calls: number): number {
  return quick ? calls / 50 : calls;
}

/** What one variant did in its turns. */
interface Turns {
  /** Nanoseconds. */
  readonly cpu: number[];
  readonly outcomes: RunOutcome[];
}

/** Starts all variants, lets them take turns, and adds what came of it to `starts`. */
async function runStart(context: BenchContext, starts: Starts): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const collector = stack.use(await startCollector(context));
  const running: Running[] = [];
  for (const variant of variants) running.push(await start(variant, { context, collector, stack }));
  for (const { run, variant } of running) await runLoad({ ...run, operations: callsOf(context, variant.warmUpCalls ?? warmUpCalls) }, context.h2load);
  await settle(context);
  const records = running.map((): Turns => ({ cpu: [], outcomes: [] }));
  const rounds = roundsOf(context);
  for (let round = 0; round < rounds; round += 1) {
    for (let turn = 0; turn < running.length; turn += 1) {
      // Who comes first changes, so that nobody always runs beside the same work of the machine.
      const at = (round + turn) % running.length;
      const [one, record] = [running[at], records[at]];
      if (one === undefined || record === undefined) continue;
      const before = readCpu(one.server.pid);
      record.outcomes.push(await runLoad(one.run, context.h2load));
      await settle(context);
      record.cpu.push(cpuBetween(before, readCpu(one.server.pid)));
    }
  }
  for (const [at, { variant }] of running.entries()) {
    const record = records[at];
    if (record !== undefined) starts.get(variant.name)?.push(roundSamples(record));
  }
  await checkCollector(collector, context);
}

function roundSamples({ cpu, outcomes }: Turns): Sample[] {
  return outcomes.map(({ operations, seconds, generatorCores }, round) => {
    return { operationsPerSecond: operations / seconds, cpuPerOperation: (cpu[round] ?? NaN) / 1_000 / operations, generatorCores };
  });
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
