// Whether Kiln's memory grows with the number of calls: resident size in steps over a million of them, after a warm-up.
// A leak shows as a slope that stays; a step of the heap that is level before and after it is none.
import { startKiln } from '../contenders/kiln.ts';
import type { BenchContext, Benchmark } from '../harness/context.ts';
import { summed, written } from '../harness/load-benchmark.ts';
import { residentBytes } from '../harness/process-usage.ts';
import { runLoad } from '../harness/run-load.ts';
import type { Run } from '../harness/run.ts';
import { slope } from '../harness/statistics.ts';
import { checkedAnswer } from '../traffic/fill.ts';
import { oneMissing, sameCall } from './lookups.ts';

const name = 'memory-growth';
const shape = sameCall(4, 32);
const workload = { name, title: 'FindMissingBlobs of one absent digest', protocol: 'cas', fixture: oneMissing, shapes: [shape] } as const;
const steps = 10;
const callsFull = 1_000_000;
const callsQuick = 5_000;

async function measureGrowth(context: BenchContext): Promise<void> {
  const calls = context.quick ? callsQuick : callsFull;
  const directory = context.newDirectory();
  await using server = await startKiln({ directory, core: context.pinning.server });
  const answer = await checkedAnswer(server, workload, 'api');
  const common = { server, protocol: 'cas', path: oneMissing.path, compare: 'bytes', core: context.pinning.generator, seed: 0 } as const;
  const run: Omit<Run, 'operations'> = { ...common, ...written(directory, oneMissing.request, answer), traffic: shape.traffic, concurrency: shape.concurrency };
  await runLoad({ ...run, operations: calls / 4 }, context.h2load);
  const points = [{ x: 0, y: residentBytes(server.pid) }];
  for (let step = 1; step <= steps; step += 1) {
    await runLoad({ ...run, operations: calls / steps }, context.h2load);
    points.push({ x: (step * calls) / steps, y: residentBytes(server.pid) });
  }
  const megabytes = points.map(({ y }) => y / 1e6);
  context.report({
    benchmark: name,
    shape: '',
    description: `resident size of Kiln over ${calls.toLocaleString('en-US')} calls after a warm-up, ${steps} steps`,
    results: [{ server: 'kiln', operations: calls, measured: summed(megabytes.map((residentMegabytes) => ({ residentMegabytes }))) }],
    notes: [`MB after each step: ${megabytes.map((value) => value.toFixed(0)).join(' ')}; least-squares slope ${slope(points).toFixed(1)} bytes per call`],
  });
}

export const memoryGrowth: Benchmark = { name, title: 'resident size over a million calls', run: measureGrowth };
