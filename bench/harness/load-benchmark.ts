// Measures a workload: all contenders are started and filled, each answer is checked, then they take turns under the
// same load, so that what the machine does meanwhile meets all of them alike.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Contender } from '../contenders/contender.ts';
import { WrongAnswer, checkedAnswer, fill } from '../traffic/fill.ts';
import type { Shape, Workload } from '../workloads/workload.ts';
import type { BenchContext, Benchmark } from './context.ts';
import { measureNames } from './measures.ts';
import type { Measured, Sample } from './measures.ts';
import { cpuBetween, readCpu } from './process-usage.ts';
import type { ServerProcess } from './processes.ts';
import type { Result } from './report.ts';
import { generatorFor } from './run.ts';
import type { Run } from './run.ts';
import { runLoad } from './run-load.ts';
import { spread } from './statistics.ts';

/** A server that runs, and what the runs against it have in common. */
export interface Subject {
  readonly server: ServerProcess;
  readonly run: Omit<Run, 'operations' | 'seed' | 'traffic' | 'concurrency'>;
}

/** How much CPU a server gets to spend before it counts, for the compiler, and how long a round is. */
interface Pace {
  readonly warmUpSeconds: number;
  readonly roundSeconds: number;
}

const fullPace: Pace = { warmUpSeconds: 2, roundSeconds: 1 };
/** One short run, so that it is known how many operations make a round. */
const quickPace: Pace = { warmUpSeconds: 0, roundSeconds: 0.1 };

export function paceOf({ quick }: BenchContext): Pace {
  return quick ? quickPace : fullPace;
}

/** `make` builds the fixture, which costs time, only when the benchmark runs. */
export function loadBenchmark(name: string, title: string, make: (quick: boolean) => Workload): Benchmark {
  return { name, title, run: (context) => runWorkload(make(context.quick), context) };
}

async function runWorkload(workload: Workload, context: BenchContext): Promise<void> {
  if (workload.shapes.every((shape) => generatorOf(workload, shape, context) === undefined)) return context.missing(`${workload.name}: ${needsH2load}`);
  await using stack = new AsyncDisposableStack();
  const subjects: Subject[] = [];
  for (const contender of [context.kiln, ...context.references]) {
    const subject = await prepare(contender, workload, { context, stack });
    if (subject !== undefined) subjects.push(subject);
  }
  for (const shape of workload.shapes) await measureShape(workload, shape, { subjects, context });
}

/** How a contender is started for `workload`; undefined where it does not serve such calls. */
function starterOf(contender: Contender, { protocol, overTls = false, transportOnly = false, without = [] }: Workload): Contender['start'] | undefined {
  const serves = contender.protocols.includes(protocol) && !without.includes(contender.filling) && (contender.speaksTls || !overTls);
  if (!serves) return undefined;
  if (!transportOnly) return contender.start;
  // Those that only send files or one answer have nothing behind their transport anyway.
  return contender.filling === 'api' ? contender.startTransport : contender.start;
}

/** Starts, fills and checks; undefined when that is not possible, which the context is told. */
async function prepare(contender: Contender, workload: Workload, { context, stack }: { context: BenchContext; stack: AsyncDisposableStack }): Promise<Subject | undefined> {
  const { fixture, protocol } = workload;
  const start = starterOf(contender, workload);
  if (start === undefined) return undefined;
  const directory = context.newDirectory();
  const files = new Map([[fixture.path, fixture.answer]]);
  const tls = workload.overTls === true ? context.tls : undefined;
  const filling = contender.filling === 'api' && workload.transportOnly === true ? 'answer' : contender.filling;
  try {
    const server = stack.use(await start({ directory, core: context.pinning.server, numbered: 0, files, answer: fixture.answer, protocol, tls }));
    if (filling === 'api') await fill(server, workload);
    const answer = await checkedAnswer(server, workload, filling);
    return { server, run: { ...written(directory, fixture.request, answer), server, protocol, path: fixture.path, compare: contender.canonical ? 'bytes' : 'length', core: context.pinning.generator } };
  } catch (thrown) {
    if (thrown instanceof WrongAnswer || contender === context.kiln) context.wrong(`${workload.name}: ${String(thrown)}`);
    else context.missing(`${workload.name} with ${contender.name}: ${String(thrown)}`);
    return undefined;
  }
}

/** The files of the runs against one server. */
export function written(directory: string, request: Uint8Array, answer: Uint8Array): Pick<Run, 'directory' | 'requestFile' | 'answerFile' | 'answerBytes'> {
  const own = join(directory, 'run');
  mkdirSync(own, { recursive: true });
  const [requestFile, answerFile] = [join(own, 'request'), join(own, 'answer')];
  writeFileSync(requestFile, request);
  writeFileSync(answerFile, answer);
  return { directory: own, requestFile, answerFile, answerBytes: answer.byteLength };
}

/** What a shape needs to know of its workload. */
type Load = Pick<Workload, 'name' | 'title' | 'protocol' | 'overTls'>;

const needsH2load = 'needs h2load (Debian: nghttp2-client)';

function generatorOf({ protocol, overTls = false }: Load, { traffic }: Shape, { h2load }: BenchContext): 'h2load' | 'own' | undefined {
  return generatorFor({ protocol, traffic, secure: overTls }, h2load);
}

/** Reports the table of one shape. A server that fails under load is left out of it, and told. */
export async function measureShape(workload: Load, shape: Shape, { subjects, context }: { subjects: readonly Subject[]; context: BenchContext }): Promise<void> {
  const generator = generatorOf(workload, shape, context);
  if (generator === undefined) return context.missing(`${workload.name} ${shape.label}: ${needsH2load}`);
  const measuring = subjects.map((subject) => new Measuring(subject, shape, context));
  const isWell = async (one: Measuring, step: () => Promise<void>): Promise<void> => {
    try {
      if (one.samples !== undefined) await step();
    } catch (thrown) {
      one.samples = undefined;
      const what = `${workload.name} ${shape.label}: ${String(thrown)}`;
      // A server of somebody else that breaks under load is no fault of ours; its answer was right before.
      if (one.isOurs) context.wrong(what);
      else context.missing(what);
    }
  };
  for (const one of measuring) await isWell(one, () => one.warmUp());
  for (let round = 0; round < context.rounds; round += 1) {
    for (const one of measuring) await isWell(one, () => one.round());
  }
  const results = measuring.flatMap((one) => one.result(generator) ?? []);
  context.report({ benchmark: workload.name, shape: shape.label, description: describe(workload.title, shape, generator), own: context.kiln.name, results, notes: shape.notes ?? [] });
}

function describe(title: string, { concurrency, traffic }: Shape, generator: string): string {
  const { connections, streams, windowBits } = concurrency;
  const rate = traffic.kind === 'steady' ? `, ${traffic.ratePerSecond} calls/s whatever the answers do` : '';
  return `${title}; ${connections} connections x ${streams} calls${rate}, client windows 2^${windowBits}-1, ${generator === 'own' ? 'own generator' : generator}`;
}

/** One server under one load: how many operations make a round, and what the rounds gave. */
class Measuring {
  samples: Sample[] | undefined = [];
  readonly #subject: Subject;
  readonly #shape: Shape;
  readonly #context: BenchContext;
  #operations: number;

  constructor(subject: Subject, shape: Shape, context: BenchContext) {
    this.#subject = subject;
    this.#shape = shape;
    this.#context = context;
    this.#operations = Math.min(shape.operationsMax, shape.concurrency.connections * shape.concurrency.streams);
  }

  get isOurs(): boolean {
    return this.#subject.run.compare === 'bytes';
  }

  /** Runs longer and longer, until the warm-up is over and it is known how many operations make a round. */
  async warmUp(): Promise<void> {
    const { warmUpSeconds, roundSeconds } = paceOf(this.#context);
    const { traffic, operationsMax } = this.#shape;
    if (traffic.kind === 'steady') {
      this.#operations = Math.ceil(traffic.ratePerSecond * warmUpSeconds);
      if (this.#operations > 0) await this.#run();
      this.#operations = Math.ceil(traffic.ratePerSecond * (this.#context.quick ? roundSeconds : steadySeconds));
      return;
    }
    const least = this.#operations;
    const { pid } = this.#subject.server;
    const cold = readCpu(pid);
    let loadedSeconds = 0;
    let warmedSeconds = 0;
    let rate = 0;
    do {
      const { seconds } = await this.#run();
      loadedSeconds += seconds;
      // What warms a server up is its own work: on a busy machine it gets little of the time that passes.
      warmedSeconds = cpuBetween(cold, readCpu(pid)) / 1e9;
      rate = this.#operations / seconds;
      if (this.#operations === operationsMax && loadedSeconds > roundSeconds) break;
      this.#operations = clamp(Math.ceil(Math.min(this.#operations * growth, rate * roundSeconds)), least, operationsMax);
    } while (warmedSeconds < warmUpSeconds && loadedSeconds < warmUpSeconds * patience);
    this.#operations = clamp(Math.ceil(rate * roundSeconds), least, operationsMax);
  }

  async round(): Promise<void> {
    const { pid } = this.#subject.server;
    const { contentBytes } = this.#shape;
    const before = readCpu(pid);
    const { operations, seconds, generatorCores, latency } = await this.#run();
    const cpuPerOperation = cpuBetween(before, readCpu(pid)) / 1_000 / operations;
    const operationsPerSecond = operations / seconds;
    const { p50, p90, p99, p999, worst, sendLagP99 } = latency ?? {};
    const timed = p50 === undefined ? {} : { p50, p90, p99, p999, worst, sendLagP99 };
    const moved = contentBytes === undefined ? {} : { bytesPerSecond: (operationsPerSecond * contentBytes) / 1e6 };
    // At a steady rate the throughput is what was asked for, and the generator spins: neither says anything.
    const counted = latency === undefined ? { operationsPerSecond, generatorCores } : {};
    this.samples?.push({ ...counted, cpuPerOperation, ...moved, ...(timed as Sample) });
  }

  /** Undefined when the server failed. */
  result(generator: 'h2load' | 'own'): Result | undefined {
    if (this.samples === undefined) return undefined;
    return { server: this.#subject.server.name, generator, operations: this.#operations, measured: summed(this.samples) };
  }

  #run() {
    const { traffic, concurrency } = this.#shape;
    return runLoad({ ...this.#subject.run, traffic, concurrency, operations: this.#operations, seed: nextSeed() }, this.#context.h2load);
  }
}

/** A server that needs little CPU, or waits for its disk, is warm after so many times the time of the others. */
const patience = 3;
/** How much longer each run of a warm-up may be than the one before. */
const growth = 8;
/** Long enough for the 99.9th percentile to be more than a handful of calls. */
const steadySeconds = 5;

function clamp(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, value));
}

/** A number that no other run of this or another day had, so that what is "unique" is. */
function nextSeed(): number {
  return Math.floor(Math.random() * 2 ** 32);
}

/** Per measure the spread over the rounds. */
export function summed(samples: readonly Sample[]): Measured {
  return Object.fromEntries(
    measureNames.flatMap((name) => {
      const values = samples.flatMap((sample) => sample[name] ?? []);
      return values.length === 0 ? [] : [[name, spread(values)] as const];
    }),
  );
}
