// Durable writes into a store in the process that measures, without a network: what the store itself makes of them, beside the
// least that could keep the same bytes, and beside a file per blob. The same blobs for all, in turns.
import { fileURLToPath } from 'node:url';
import { runToEnd } from '../harness/children.ts';
import type { BenchContext, Benchmark } from '../harness/context.ts';
import { summed } from '../harness/load-benchmark.ts';
import type { Sample } from '../harness/measures.ts';
import { removeTree } from '../harness/processes.ts';
import type { Result } from '../harness/report.ts';
import { median } from '../harness/statistics.ts';
import type { WriteLoad, WriteReport, WriteTurn } from '../store-writes/turns.ts';

const program = fileURLToPath(new URL('../store-writes/main.ts', import.meta.url));
const own = 'kiln';
const smallCallers = 64;
/** Of a round with all its contenders; on a machine that does much else. */
const timeoutMsPerRound = 60_000;
const timeoutMsLeast = 120_000;

interface Shape {
  readonly load: WriteLoad;
  readonly benchmark: string;
  readonly shape: string;
  readonly description: string;
  /** Where callers wait for syncs of the log, and for nothing else. */
  readonly callers?: number;
  readonly notes: readonly string[];
}

const small: Shape = {
  load: 'small',
  benchmark: 'store-small-writes',
  shape: '',
  description: 'blobs of 0.5 to 5 KB that nobody has, durable, 64 callers that store one after the other; the plain log appends and syncs, without hashes or an index',
  callers: smallCallers,
  notes: [],
};
const smallSlow: Shape = {
  ...small,
  load: 'small-slow',
  shape: '2.5 ms more',
  description: 'the same with syncs that take 2.5 ms more',
  notes: ['the limit is what 64 callers can have of syncs that take as long as these did: each waits for half a sync of others on the average, and for its own'],
};
const large: Shape = {
  load: 'large',
  benchmark: 'store-large-writes',
  shape: '',
  description: 'blobs of 2 MiB that nobody has, durable, 8 callers; plain files are written and synced in pieces of 1 MiB, renamed, and their directory is synced',
  notes: ['Kiln syncs what the plain files sync, and in its log a record before the file has its name and one afterwards; whoever waits at the same time shares these', '"hashing off" knows the hash of each blob beforehand: what is between it and Kiln is SHA-256'],
};

async function measure({ load, benchmark, shape, description, callers, notes }: Shape, context: BenchContext): Promise<void> {
  const directory = context.newDirectory();
  try {
    // On all cores: the threads of a store share them with it, as in a server.
    const words = [process.execPath, '--expose-gc', program, load, String(context.rounds), context.quick ? 'quick' : 'full', directory];
    const { status, output, complaint } = await runToEnd(words, timeoutMsLeast + timeoutMsPerRound * context.rounds);
    if (status !== 0) throw new Error(/^\w*Error.*$/m.exec(complaint)?.[0] ?? `status ${status}: ${complaint}`);
    const results: Result[] = Object.entries(JSON.parse(output) as WriteReport).map(([server, turns]) => ({ server, measured: summed(turns.map((turn) => sampleOf(turn, callers))) }));
    context.report({ benchmark, shape, description, own, results, notes });
  } finally {
    removeTree(directory);
  }
}

function sampleOf({ operations, seconds, bytes, cpuUs, p50Us, p99Us, syncUs }: WriteTurn, callers: number | undefined): Sample {
  const operationsPerSecond = operations / seconds;
  const written: Sample = { operationsPerSecond, bytesPerSecond: bytes / 1e6 / seconds, cpuPerOperation: cpuUs / operations, p50: p50Us, p99: p99Us };
  if (syncUs.length === 0 || callers === undefined) return written;
  const sync = median(syncUs);
  const limit = callers / ((1.5 * sync) / 1e6);
  return { ...written, syncUs: sync, perSync: operations / syncUs.length, limitShare: (100 * operationsPerSecond) / limit };
}

export const storeSmallWrites: Benchmark = {
  name: small.benchmark,
  title: 'durable small blobs into a store in process, beside a plain log; also with slow syncs',
  async run(context) {
    for (const shape of [small, smallSlow]) await measure(shape, context);
  },
};

export const storeLargeWrites: Benchmark = { name: large.benchmark, title: 'durable blobs of 2 MiB into a store in process, beside plain files with the same syncs', run: (context) => measure(large, context) };
