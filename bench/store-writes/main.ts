// Measures durable writes into stores in this process, in turns with the least that could keep the same bytes:
// `main.ts LOAD ROUNDS quick|full DIRECTORY`. Everything that was acknowledged is read back and compared, before what is measured
// and after each turn. Prints a WriteReport. CPU is that of the process, so whatever a store does later is not charged to it.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { collect } from '../../src/base/byte-source.ts';
import type { BlobBytes, BlobStore } from '../../src/blob/blob-store.ts';
import { KnownHashes } from '../stores/known-hashes.ts';
import { MeasuredSyncs } from '../stores/measured-syncs.ts';
import { openEngine, syncThread } from '../stores/open-stores.ts';
import { smallBlobs } from '../stores/small-blobs.ts';
import { StampedBodies, streamed } from '../stores/stamped-bodies.ts';
import type { StampedBody } from '../stores/stamped-bodies.ts';
import { FilePerBlob } from './file-per-blob.ts';
import { PlainFiles } from './plain-files.ts';
import { PlainLog } from './plain-log.ts';
import { takeTurn, writeLoads } from './turns.ts';
import type { Contender, TurnLimits, WriteLoad, WriteReport, WriteTurn } from './turns.ts';

const [loadWord = '', rounds] = [process.argv[2], Number(process.argv[3])];
const isQuick = process.argv[4] === 'quick';
const directory = process.argv[5] ?? '';

/** So that nothing has to go: what making room costs is measured elsewhere. */
const maxBytes = 32 * 1024 ** 3;
const slowSyncs = new URL('../stores/slow-sync-thread.ts', import.meta.url);
const smallCallers = 64;
const largeCallers = 8;
const largeBytes = 2 * 1024 * 1024;
/** Enough for the fastest; others are stopped by time. Full: 62 MB, which the plain log has room for, made anew for each round. */
const smallPerTurn = isQuick ? 2_000 : 22_000;
/** Of them, and before anything is measured: as many as it takes for the heap to have its size again. */
const smallUncounted = isQuick ? 200 : 4_000;
const largePerTurn = isQuick ? 16 : 160;
const turnMsMax = isQuick ? 500 : 1_500;
/** Rounds of warm-up, which nobody counts. */
const warmRounds = isQuick ? 1 : 3;
/** For what a store does when it was left alone. */
const pauseMs = isQuick ? 20 : 200;

async function openSmall(stack: AsyncDisposableStack, isSlow: boolean): Promise<Contender<BlobBytes>[]> {
  const syncEntry = isSlow ? { syncEntry: slowSyncs } : {};
  const engine = stack.use(await openEngine({ directory: join(directory, 'kiln'), maxBytes }, syncEntry));
  const syncs = stack.use(new MeasuredSyncs(syncThread('plain syncs', isSlow ? slowSyncs : undefined)));
  const log = stack.use(new PlainLog(join(directory, 'plain'), syncs));
  const places = new Map<BlobBytes, number>();
  const contenders: Contender<BlobBytes>[] = [
    { ...smallPuts('kiln', engine.store.blobs), takeSyncs: () => engine.smallSyncs.take() },
    {
      name: 'plain log',
      put: async (blob) => void places.set(blob, await log.write(blob.bytes)),
      read: async (blob) => log.read(places.get(blob) ?? 0, blob.bytes.byteLength),
      takeSyncs: () => syncs.take(),
      clear: async () => places.clear(),
    },
  ];
  // A sync of each file with each file's name: how slow that is with slow syncs can be computed.
  if (!isSlow) {
    const files = await FilePerBlob.open(join(directory, 'files'));
    contenders.push({ name: 'a file per blob', put: ({ digest, bytes }) => files.put(digest, [bytes]), read: ({ digest }) => files.read(digest) });
  }
  return contenders;
}

/** As a call of BatchUpdateBlobs with one blob. */
function smallPuts(name: string, blobs: BlobStore): Contender<BlobBytes> {
  return {
    name,
    async put(blob) {
      const [refusal] = await blobs.putMany([blob]);
      if (refusal !== undefined) throw refusal;
    },
    read: (blob) => readBack(blobs, blob),
  };
}

async function openLarge(stack: AsyncDisposableStack, bodies: StampedBodies): Promise<Contender<StampedBody>[]> {
  const whole = stack.use(await openEngine({ directory: join(directory, 'kiln'), maxBytes }));
  const unhashed = stack.use(await openEngine({ directory: join(directory, 'unhashed'), maxBytes }, { hashes: new KnownHashes(bodies) }));
  const files = await FilePerBlob.open(join(directory, 'files'));
  const plainDirectory = join(directory, 'plain');
  await mkdir(plainDirectory);
  const plain = stack.use(await PlainFiles.open(plainDirectory, { small: stack.use(syncThread('plain names')), large: stack.use(syncThread('plain data')) }));
  const largePuts = (name: string, blobs: BlobStore): Contender<StampedBody> => ({
    name,
    put: (body) => blobs.put(body.digest, streamed(body)),
    read: (body) => readBack(blobs, body),
  });
  return [
    { ...largePuts('kiln', whole.store.blobs), takeSyncs: () => whole.smallSyncs.take() },
    { ...largePuts('kiln, hashing off', unhashed.store.blobs), takeSyncs: () => unhashed.smallSyncs.take() },
    {
      name: 'plain files, no hashing',
      put: (body) => plain.write(body),
      read: ({ digest }) => plain.read(digest.hash),
      clear: (written) => Promise.all(written.map(({ digest }) => plain.remove(digest.hash))).then(() => undefined),
    },
    { name: 'a file per blob', put: (body) => files.put(body.digest, streamed(body)), read: ({ digest }) => files.read(digest) },
  ];
}

async function readBack(blobs: BlobStore, { digest }: Pick<BlobBytes, 'digest'>): Promise<Uint8Array | undefined> {
  const source = await blobs.get(digest);
  return source && collect(source, digest.sizeBytes);
}

/** @throws Error when something that was acknowledged is not there as it was. */
async function check<Body>({ name, read }: Contender<Body>, bodies: readonly Body[], bytesOf: (body: Body) => Uint8Array): Promise<void> {
  for (const [at, body] of bodies.entries()) {
    const found = await read(body);
    if (found === undefined || Buffer.compare(found, bytesOf(body)) !== 0) throw new Error(`${name}: of ${bodies.length} blobs that were acknowledged, number ${at} is ${found === undefined ? 'lost' : 'not what was put'}`);
  }
}

interface Measuring<Body> extends TurnLimits {
  readonly contenders: readonly Contender<Body>[];
  readonly make: () => readonly Body[];
  readonly bytesOf: (body: Body) => Uint8Array;
  readonly sizeOf: (body: Body) => number;
}

async function measure<Body>({ contenders, make, bytesOf, sizeOf, ...limits }: Measuring<Body>): Promise<WriteReport> {
  const turns: Record<string, WriteTurn[]> = Object.fromEntries(contenders.map(({ name }) => [name, []]));
  for (let round = -warmRounds; round < rounds; round += 1) {
    const bodies = make();
    globalThis.gc?.(); // else moving them about in memory is counted as work of whoever is first
    // Whoever is first finds the disk as the round before has left it, so they take turns in that as well.
    const first = (round + warmRounds) % contenders.length;
    for (const contender of [...contenders.slice(first), ...contenders.slice(0, first)]) {
      const turn = await takeTurn(contender, bodies, sizeOf, limits);
      const written = bodies.slice(0, limits.uncounted + turn.operations);
      await check(contender, written, bytesOf);
      await contender.clear?.(written);
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
      if (round >= 0) turns[contender.name]?.push(turn);
    }
  }
  return turns;
}

async function run(load: WriteLoad): Promise<WriteReport> {
  await using stack = new AsyncDisposableStack();
  if (load === 'large') {
    const bodies = new StampedBodies(largeBytes);
    return await measure({
      contenders: await openLarge(stack, bodies),
      make: () => Array.from({ length: largePerTurn }, () => bodies.next()),
      bytesOf: (body) => Buffer.concat([...body.pieces()]),
      sizeOf: () => largeBytes,
      concurrency: largeCallers,
      uncounted: 0,
      msMax: turnMsMax,
    });
  }
  return await measure({
    contenders: await openSmall(stack, load === 'small-slow'),
    make: () => smallBlobs(smallPerTurn),
    bytesOf: ({ bytes }) => bytes,
    sizeOf: ({ bytes }) => bytes.byteLength,
    concurrency: smallCallers,
    uncounted: smallUncounted,
    msMax: turnMsMax,
  });
}

const load = writeLoads.find((name) => name === loadWord);
if (load === undefined) throw new Error(`no load is called ${loadWord}; there are ${writeLoads.join(', ')}`);
process.stdout.write(JSON.stringify(await run(load)));
