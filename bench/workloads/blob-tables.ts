// The index of blobs by itself: what an operation costs beside a plain table of the same entries, what memory an entry takes
// at the worst moment of growing, and how long everything stands still when it grows.
import { fileURLToPath } from 'node:url';
import type { BenchContext, Benchmark } from '../harness/context.ts';
import { runToEnd } from '../harness/children.ts';
import { summed } from '../harness/load-benchmark.ts';
import { pinnedTo } from '../harness/pinning.ts';
import { spread } from '../harness/statistics.ts';
import { indexOperations } from '../blob-tables/rounds.ts';
import type { IndexOperation, IndexRound } from '../blob-tables/rounds.ts';

const name = 'index';
const program = fileURLToPath(new URL('../blob-tables/main.ts', import.meta.url));
const entriesFull = 4_000_000;
const entriesQuick = 40_000;
/** Memory comes in steps of some megabytes, which count for much of a small index and matter little there. */
const leastShare = 0.05;
/** For each entry of a round; ten times what it takes. */
const timeoutMsPerEntry = 0.1;
const timeoutMsLeast = 60_000;

const descriptions: Readonly<Record<IndexOperation, string>> = {
  insert: 'new entries, what growing costs included; the plain table has its last size from the begin',
  hit: 'look-ups of random entries, place and size read',
  miss: 'look-ups of what is not there',
  remove: 'a look-up and a removal by backward shift, of one entry in four',
};

async function measureIndex(context: BenchContext): Promise<void> {
  const entries = entriesOf(context);
  const least = entries * leastShare;
  const words = pinnedTo(context.pinning.server, [process.execPath, program, String(entries), String(least)]);
  const rounds: IndexRound[] = [];
  // A process for each: the memory of a round would stay until the garbage collector looks, which does not see it.
  for (let round = 0; round < context.rounds; round += 1) {
    const { status, output, complaint } = await runToEnd(words, timeoutMsLeast + timeoutMsPerEntry * entries);
    if (status !== 0) throw new Error(/^\w*Error.*$/m.exec(complaint)?.[0] ?? complaint);
    rounds.push(JSON.parse(output) as IndexRound);
  }
  const count = entries.toLocaleString('en-US');
  const [own, reference] = ['kiln index', 'plain table'];
  for (const operation of indexOperations) {
    const measuredOf = (table: 'index' | 'plain') => summed(rounds.map(({ costs }) => ({ cpuPerOperation: costs[operation][table] })));
    context.report({
      benchmark: name,
      shape: operation,
      description: `${descriptions[operation]}; ${count} entries`,
      own,
      results: [{ server: own, measured: measuredOf('index') }, { server: reference, measured: measuredOf('plain') }],
      notes: [],
    });
  }
  const walls = spread(rounds.map(({ growthWallMs }) => growthWallMs.max));
  context.report({
    benchmark: name,
    shape: 'memory and growth',
    description: `bytes of all buffers for an entry at the worst moment from ${least.toLocaleString('en-US')} to ${count} entries, and the longest insert that made it grow`,
    results: [
      { server: own, measured: summed(rounds.map(({ bytesPerEntryMax, growthCpuMsMax }) => ({ bytesPerEntry: bytesPerEntryMax.index, growthMs: growthCpuMsMax }))) },
      { server: `${reference}, which cannot grow`, measured: summed(rounds.map(({ bytesPerEntryMax }) => ({ bytesPerEntry: bytesPerEntryMax.plain }))) },
    ],
    notes: [
      `${rounds[0]?.growths ?? 0} growths from then on were timed, half of all; as time went by, other work on the machine included, the median took ${spread(rounds.map(({ growthWallMs }) => growthWallMs.median)).median.toFixed(2)} ms and the longest ${walls.median.toFixed(2)} ms (${walls.min.toFixed(2)}..${walls.max.toFixed(2)})`,
    ],
  });
}

/** More when KILN_BENCH_ENTRIES asks for it; both tables then take 160 bytes for each. */
function entriesOf({ quick }: BenchContext): number {
  if (quick) return entriesQuick;
  const asked = process.env['KILN_BENCH_ENTRIES'];
  if (asked === undefined) return entriesFull;
  const entries = Number(asked);
  if (!Number.isInteger(entries) || entries < entriesQuick) throw new Error(`KILN_BENCH_ENTRIES=${asked}: give a whole number from ${entriesQuick} on`);
  return entries;
}

export const blobIndex: Benchmark = { name, title: 'the index of blobs beside a plain table: CPU, memory per entry, pauses of growth', run: measureIndex };
