// A server that holds many blobs: how long it takes to start, what memory a blob costs, how fast random digests are looked
// up among them, and batches of them are read and sent again. The data directory is filled by a store in this process, which is the server's own.
import type { BlobBytes } from '../../src/blob/blob-store.ts';
import { Digest } from '../../src/digest/digest.ts';
import { sha256 } from '../../src/digest/digest-function.ts';
import type { Contender } from '../contenders/contender.ts';
import { kiln, startKiln } from '../contenders/kiln.ts';
import type { BenchContext, Benchmark } from '../harness/context.ts';
import { measureShape, summed, written } from '../harness/load-benchmark.ts';
import type { Subject } from '../harness/load-benchmark.ts';
import type { Sample } from '../harness/measures.ts';
import { cpuBetween, readCpu, residentBytes } from '../harness/process-usage.ts';
import { removeTree } from '../harness/processes.ts';
import type { ServerProcess } from '../harness/processes.ts';
import type { Result } from '../harness/report.ts';
import { openEngine } from '../stores/open-stores.ts';
import { paths } from '../traffic/calls.ts';
import { numberedBlob, numberedBlobBytes, numberedHash } from '../traffic/numbered-blobs.ts';
import { oneMissing } from './lookups.ts';
import { wideWindowBits } from './workload.ts';
import type { Shape } from './workload.ts';

/** A record takes a ninth more than the blob; twice that and more, so that nothing is evicted. */
const diskBytesPerBlob = 4_096;
/** Given to the store at a time, and how many wait for it to be durable. */
const blobsPerCall = 100;
const calls = 8;

function maxBytesFor(count: number): number {
  return Math.max(count * diskBytesPerBlob, 1024 ** 3);
}

/** A data directory of Kiln with the numbered blobs from 0 to `count`. */
async function writeDataDirectory(directory: string, count: number): Promise<void> {
  await using engine = await openEngine({ directory, maxBytes: maxBytesFor(count) });
  let next = 0;
  const put = async (): Promise<void> => {
    while (next < count) {
      const from = next;
      next = Math.min(count, from + blobsPerCall);
      const blobs = Array.from({ length: next - from }, (_, at): BlobBytes => {
        const bytes = numberedBlob(from + at);
        return { digest: Digest.ofChecked(sha256, numberedHash(from + at), bytes.byteLength), bytes };
      });
      const refusal = (await engine.store.blobs.putMany(blobs)).find((result) => result !== undefined);
      if (refusal !== undefined) throw refusal;
    }
  };
  await Promise.all(Array.from({ length: calls }, put));
}

function startOn(data: string, count: number, context: BenchContext): Promise<ServerProcess> {
  const flags = ['--max-size', `${maxBytesFor(count)}B`];
  return startKiln({ directory: context.newDirectory(), data, core: context.pinning.server, flags });
}

/** A start and its costs; the kernel has the directory in memory, as after a restart of the daemon alone. */
async function startOnce(data: string, count: number, context: BenchContext): Promise<Sample & { readonly rss: number }> {
  const nothing = { threads: new Map<string, number>(), tickedNanoseconds: 0 };
  await using server = await startOn(data, count, context);
  const readyCpuMs = cpuBetween(nothing, readCpu(server.pid)) / 1e6;
  const rss = residentBytes(server.pid);
  return { readyMs: server.readyMs, readyCpuMs, residentMegabytes: rss / 1e6, rss };
}

async function measureStarts(counts: readonly number[], context: BenchContext): Promise<void> {
  const results: Result[] = [];
  let emptyRss = NaN;
  for (const count of counts) {
    const data = `${context.newDirectory()}/data`;
    await writeDataDirectory(data, count);
    const samples: Sample[] = [];
    for (let round = 0; round < startRounds(context, count); round += 1) {
      const { rss, ...sample } = await startOnce(data, count, context);
      if (count === 0) emptyRss = Math.min(rss, Number.isNaN(emptyRss) ? Infinity : emptyRss);
      samples.push(count === 0 ? sample : { ...sample, bytesPerBlob: (rss - emptyRss) / count });
    }
    results.push({ server: `kiln, ${count.toLocaleString('en-US')} blobs`, measured: summed(samples) });
    removeTree(data);
  }
  context.report({
    benchmark: 'start-up',
    shape: '',
    description: 'from the start of the process until it serves, with blobs of 1 KiB in a directory that the kernel has in its cache',
    results,
    notes: ['resident size is taken right after the start, what recovery needed and has not given back included'],
  });
}

/** A start with a million blobs takes many seconds, and its figures move little. */
function startRounds({ quick, rounds }: BenchContext, count: number): number {
  return quick ? 1 : Math.min(rounds, count >= 1_000_000 ? 3 : rounds);
}

export const startUp: Benchmark = {
  name: 'start-up',
  title: 'time to ready and memory per blob with 0 to 1,000,000 blobs',
  run: (context) => measureStarts(context.quick ? [0, 1_000] : [0, 10_000, 100_000, 1_000_000], context),
};

function lookups(digestsPerCall: number, present: number): Shape {
  return {
    label: `x${digestsPerCall}`,
    traffic: { kind: 'lookups', digestsPerCall, present },
    concurrency: { connections: 4, streams: 32, windowBits: wideWindowBits },
    operationsMax: 200_000,
  };
}

const lookupTitle = (count: number): string => `FindMissingBlobs of random digests among ${count.toLocaleString('en-US')} blobs, half of those asked for there`;

/** Servers with the numbered blobs from 0 to `count`, for loads whose calls all differ. Disposing it ends them. */
class FilledServers implements AsyncDisposable {
  readonly #context: BenchContext;
  readonly #stack: AsyncDisposableStack;
  readonly #servers: readonly { readonly server: ServerProcess; readonly contender: Contender }[];

  private constructor(context: BenchContext, stack: AsyncDisposableStack, servers: readonly { readonly server: ServerProcess; readonly contender: Contender }[]) {
    this.#context = context;
    this.#stack = stack;
    this.#servers = servers;
  }

  /** @param references those of `context` that know the numbered blobs; they hold none of them, so none can be read. */
  static async start(count: number, context: BenchContext, references: BenchContext['references']): Promise<FilledServers> {
    await using stack = new AsyncDisposableStack();
    const data = `${context.newDirectory()}/data`;
    await writeDataDirectory(data, count);
    stack.defer(() => removeTree(data));
    const servers = [{ server: stack.use(await startOn(data, count, context)), contender: kiln }];
    // Ours only: nobody else can be filled with a million blobs in reasonable time and without knowing its files.
    for (const contender of references.filter(({ canonical, filling }) => canonical && filling === 'api')) {
      if (!contender.protocols.includes('cas')) continue;
      const at = { directory: context.newDirectory(), core: context.pinning.server, numbered: count, files: new Map(), answer: oneMissing.answer, protocol: 'cas' } as const;
      servers.push({ server: stack.use(await contender.start(at)), contender });
    }
    return new FilledServers(context, stack.move(), servers);
  }

  async measure(load: { readonly name: string; readonly title: string; readonly path: string }, shape: Shape): Promise<void> {
    const context = this.#context;
    const subjects = this.#servers.map(({ server, contender }): Subject => ({
      server,
      run: {
        // Each call has an answer of its own, which the generator makes.
        ...written(context.newDirectory(), new Uint8Array(0), new Uint8Array(0)),
        server,
        protocol: 'cas',
        path: load.path,
        compare: contender.canonical ? 'bytes' : 'length',
        core: context.pinning.generator,
      },
    }));
    await measureShape({ ...load, protocol: 'cas' }, shape, { subjects, context });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }
}

async function measureLookups(count: number, context: BenchContext): Promise<void> {
  await using servers = await FilledServers.start(count, context, context.references);
  const load = { name: 'find-missing-random', title: lookupTitle(count), path: oneMissing.path };
  for (const shape of [lookups(1, count), lookups(100, count)]) await servers.measure(load, shape);
}

export const findMissingRandom: Benchmark = {
  name: 'find-missing-random',
  title: 'FindMissingBlobs x1 and x100 of random digests among a million blobs',
  run: (context) => measureLookups(context.quick ? 1_000 : 1_000_000, context),
};

const blobsPerBatch = 99;
/** Enough to be more than a cache of a processor holds, few enough to be read, and so verified, before anything is measured. */
const neighboursAmong = 20_000;

function batches(label: string, traffic: Shape['traffic']): Shape {
  return { label, traffic, concurrency: { connections: 4, streams: 8, windowBits: wideWindowBits }, contentBytes: blobsPerBatch * numberedBlobBytes, operationsMax: 100_000 };
}

async function measureBatches(count: number, context: BenchContext): Promise<void> {
  await using servers = await FilledServers.start(count, context, []);
  const name = 'many-batches';
  const blobs = `${blobsPerBatch} x 1 KiB, of ${count.toLocaleString('en-US')} that were read before`;
  const among = Math.min(count, neighboursAmong);
  await servers.measure({ name, title: `BatchReadBlobs of ${blobs}: neighbours in the log`, path: paths.batchRead }, batches('read together', { kind: 'batch-reads', blobsPerCall: blobsPerBatch, among, scattered: false }));
  await servers.measure({ name, title: `BatchReadBlobs of ${blobs}: all over the log`, path: paths.batchRead }, batches('read scattered', { kind: 'batch-reads', blobsPerCall: blobsPerBatch, among: count, scattered: true }));
  await servers.measure({ name, title: `BatchUpdateBlobs of ${blobs}: all of them there`, path: paths.batchUpdate }, batches('sent again', { kind: 'known-batches', blobsPerCall: blobsPerBatch, among }));
}

export const manyBatches: Benchmark = {
  name: 'many-batches',
  title: 'BatchReadBlobs of neighbours and of scattered blobs, BatchUpdateBlobs of blobs that are there; among 200,000',
  run: (context) => measureBatches(context.quick ? 4_000 : 200_000, context),
};
