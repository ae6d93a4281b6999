// Measures how long others wait for a store that is busy: `main.ts ROUNDS quick|full DIRECTORY`. One digest asked for and small blobs
// stored, by a thread that keeps its rate: while nothing else happens, during 8 uploads of 256 MiB, and while small and large
// blobs are written without end, with room for all of them and where each takes the place of an older one. What was
// acknowledged last is read back and compared after each turn; where things are evicted, what is still there. Prints a MixedReport.
import { join } from 'node:path';
import { median } from '../harness/statistics.ts';
import { collect } from '../../src/base/byte-source.ts';
import type { BlobBytes, BlobStore } from '../../src/blob/blob-store.ts';
import { openEngine } from '../stores/open-stores.ts';
import type { OpenEngine } from '../stores/open-stores.ts';
import { smallBlobs } from '../stores/small-blobs.ts';
import { StampedBodies, arriving } from '../stores/stamped-bodies.ts';
import type { StampedBody } from '../stores/stamped-bodies.ts';
import { mixedLoads } from './probes.ts';
import type { MixedLoad, MixedReport, MixedTurn } from './probes.ts';
import { probe } from './probing.ts';

const rounds = Number(process.argv[2]);
const isQuick = process.argv[3] === 'quick';
const directory = process.argv[4] ?? '';

const roomyBytes = 32 * 1024 ** 3;
/** Small, so that it is full soon; its segments have 2 MiB, or 1 MiB. */
const tightBytes = (isQuick ? 64 : 256) * 1024 * 1024;
const uploadsCount = 8;
const uploadBytes = (isQuick ? 8 : 256) * 1024 * 1024;
const largeBytes = 2 * 1024 * 1024;
/** Who writes without end. */
const smallWriters = 8;
const largeWriters = 2;
const turnMs = isQuick ? 400 : 4_000;
const pauseMs = isQuick ? 50 : 1_000;
const presentCount = 100;
/** Small writes that are measured in a turn, 250 a second: enough for a minute. */
const freshCount = isQuick ? 3_000 : 15_000;
/** Unique small blobs that the writers of a turn go through; they stop when there are no more. */
const writtenCount = isQuick ? 1_500 : 20_000;
/** Of what a turn wrote, read back at its end. */
const checkedCount = 500;

class Mixed {
  readonly #roomy: OpenEngine;
  readonly #tight: OpenEngine;
  readonly #uploads = new StampedBodies(uploadBytes);
  readonly #large = new StampedBodies(largeBytes);
  readonly #present = smallBlobs(presentCount);

  constructor(roomy: OpenEngine, tight: OpenEngine) {
    this.#roomy = roomy;
    this.#tight = tight;
  }

  /** Fills the small store, so that whatever comes has to find something that goes. */
  async fill(): Promise<void> {
    const { blobs } = this.#tight.store;
    for (let bytes = 0; bytes < tightBytes; bytes += largeBytes) {
      await blobs.put(...putOf(this.#large.next()));
      await blobs.putMany(smallBlobs(100));
    }
  }

  async turn(load: MixedLoad): Promise<MixedTurn> {
    const { store, smallSyncs } = load === 'eviction' ? this.#tight : this.#roomy;
    const fresh = smallBlobs(freshCount);
    const run = this.#begin(load, store.blobs);
    await store.blobs.putMany(this.#present);
    const must = load === 'eviction' ? 'what is there' : 'all';
    await check(store.blobs, this.#present, must);
    const evictedBefore = store.usage.evictedBytes;
    let [seconds, ingestedBytes] = [0, 0];
    smallSyncs.take();
    const { written, ...latencies } = await probe(store.blobs, { present: this.#present, mayBeGone: load === 'eviction', fresh }, async () => {
      const beganMs = performance.now();
      ingestedBytes = await run();
      seconds = (performance.now() - beganMs) / 1_000;
    });
    const [syncUs, evictedBytes] = [median(smallSyncs.take()), store.usage.evictedBytes - evictedBefore];
    await check(store.blobs, written.slice(-checkedCount), must);
    return { ...latencies, seconds, ingestedBytes, evictedBytes, syncUs };
  }

  /** Prepares a load; what is returned runs it, and resolves to how many bytes it wrote. */
  #begin(load: MixedLoad, blobs: BlobStore): () => Promise<number> {
    switch (load) {
      case 'idle':
        return () => new Promise((resolve) => setTimeout(() => resolve(0), turnMs));
      case 'uploads': {
        const bodies = Array.from({ length: uploadsCount }, () => this.#uploads.next());
        return async () => {
          await Promise.all(bodies.map((body) => blobs.put(...putOf(body))));
          return uploadsCount * uploadBytes;
        };
      }
      case 'writes':
      case 'eviction': {
        const small = smallBlobs(writtenCount);
        return () => this.#writeAll(blobs, small);
      }
    }
  }

  async #writeAll(blobs: BlobStore, small: readonly BlobBytes[]): Promise<number> {
    const untilMs = performance.now() + turnMs;
    let [next, bytes] = [0, 0];
    const writeSmall = async (): Promise<void> => {
      for (let blob = small[next]; blob !== undefined && performance.now() < untilMs; blob = small[next]) {
        next += 1;
        const [refusal] = await blobs.putMany([blob]);
        if (refusal !== undefined) throw refusal;
        bytes += blob.bytes.byteLength;
      }
    };
    const writeLarge = async (): Promise<void> => {
      while (performance.now() < untilMs) {
        await blobs.put(...putOf(this.#large.next()));
        bytes += largeBytes;
      }
    };
    await Promise.all([...Array.from({ length: smallWriters }, writeSmall), ...Array.from({ length: largeWriters }, writeLarge)]);
    return bytes;
  }
}

function putOf(body: StampedBody): [StampedBody['digest'], AsyncIterable<Uint8Array>] {
  return [body.digest, arriving(body)];
}

/** @throws Error for a blob that is not there, if all must be, and for wrong bytes. */
async function check(blobs: BlobStore, written: readonly BlobBytes[], must: 'all' | 'what is there'): Promise<void> {
  for (const { digest, bytes } of written) {
    const source = await blobs.get(digest);
    if (source === undefined && must === 'what is there') continue;
    if (source === undefined || Buffer.compare(await collect(source, digest.sizeBytes), bytes) !== 0) throw new Error(`a blob that was acknowledged is ${source === undefined ? 'lost' : 'not what was put'}`);
  }
}

async function run(): Promise<MixedReport> {
  await using stack = new AsyncDisposableStack();
  const roomy = stack.use(await openEngine({ directory: join(directory, 'roomy'), maxBytes: roomyBytes }));
  const tight = stack.use(await openEngine({ directory: join(directory, 'tight'), maxBytes: tightBytes }));
  const mixed = new Mixed(roomy, tight);
  await mixed.fill();
  const turns: Record<MixedLoad, MixedTurn[]> = { idle: [], uploads: [], writes: [], eviction: [] };
  // The first round is not counted: what runs then is not compiled yet.
  for (let round = -1; round < rounds; round += 1) {
    for (const load of round < 0 ? mixedLoads.filter((name) => name !== 'uploads') : mixedLoads) {
      const turn = await mixed.turn(load);
      if (round >= 0) turns[load].push(turn);
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }
  return turns;
}

process.stdout.write(JSON.stringify(await run()));
