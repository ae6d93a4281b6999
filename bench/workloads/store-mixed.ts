// How long others wait for a store that is busy, in the process that measures: a steady rate of look-ups and small writes while it
// takes in large bodies, and while it has to make room for all that comes.
import { fileURLToPath } from 'node:url';
import { runToEnd } from '../harness/children.ts';
import type { BenchContext, Benchmark } from '../harness/context.ts';
import { summed } from '../harness/load-benchmark.ts';
import type { Sample } from '../harness/measures.ts';
import { removeTree } from '../harness/processes.ts';
import { median } from '../harness/statistics.ts';
import { mixedLoads } from '../store-mixed/probes.ts';
import type { MixedLoad, MixedReport, MixedTurn } from '../store-mixed/probes.ts';

const name = 'store-mixed';
const program = fileURLToPath(new URL('../store-mixed/main.ts', import.meta.url));
/** Each writes gigabytes. */
const roundsMax = 3;
const timeoutMsPerRound = 300_000;

const loads: Readonly<Record<MixedLoad, string>> = {
  idle: 'nothing else',
  uploads: '8 uploads of 256 MiB',
  writes: 'small blobs and 2 MiB blobs without end',
  eviction: 'the same, each in the place of others',
};

async function measureMixed(context: BenchContext): Promise<void> {
  const directory = context.newDirectory();
  const rounds = Math.min(context.rounds, roundsMax);
  try {
    const { status, output, complaint } = await runToEnd([process.execPath, program, String(rounds), context.quick ? 'quick' : 'full', directory], timeoutMsPerRound * (rounds + 1));
    if (status !== 0) throw new Error(/^\w*Error.*$/m.exec(complaint)?.[0] ?? `status ${status}: ${complaint}`);
    const turns = JSON.parse(output) as MixedReport;
    for (const [shape, of] of [['FindMissing x1', 'findMissing'], ['small durable writes', 'smallWrites']] as const) {
      context.report({
        benchmark: name,
        shape,
        description: `${of === 'findMissing' ? '1,000 a second' : '250 a second, of 0.5 to 5 KB'}, from when each was sent by a thread that keeps the rate whatever the loop does; MB/s is what the load writes${context.quick ? '; uploads are of 8 MiB here' : ''}`,
        results: mixedLoads.map((load) => ({ server: loads[load], measured: summed(turns[load].map((turn) => sampleOf(turn, of))) })),
        notes: notesOf(turns, of),
      });
    }
  } finally {
    removeTree(directory);
  }
}

/** What a load adds to the wait of others. */
function notesOf(turns: MixedReport, of: 'findMissing' | 'smallWrites'): string[] {
  const p99 = (load: MixedLoad): number => median(turns[load].map((turn) => turn[of].p99)) / 1_000;
  const above = mixedLoads.filter((load) => load !== 'idle').map((load) => `${(p99(load) - p99('idle')).toFixed(1)} ms (${loads[load]})`);
  return [`medians of the 99th percentiles against that of ${loads.idle}: ${above.join(', ')} more`];
}

function sampleOf(turn: MixedTurn, of: 'findMissing' | 'smallWrites'): Sample {
  const { seconds, ingestedBytes, evictedBytes, sendLagP99, syncUs } = turn;
  return {
    ...(ingestedBytes === 0 ? {} : { bytesPerSecond: ingestedBytes / 1e6 / seconds }),
    ...turn[of],
    sendLagP99,
    ...(of === 'smallWrites' ? { syncUs } : {}),
    ...(evictedBytes === 0 ? {} : { evictedPerSecond: evictedBytes / 1e6 / seconds }),
  };
}

export const storeMixed: Benchmark = { name, title: 'look-ups and small writes beside large uploads and eviction, in process: latency and rate of intake', run: measureMixed };
