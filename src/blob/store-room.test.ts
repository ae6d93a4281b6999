// What the store promises about room, at every change of the disk, under writers that never stop: it takes no more than its bound
// and one segment, and refuses nobody while anything goes that is neither leased nor pinned. On a simulated machine, so that a
// slow disk costs no time and a run can be had again from its seed.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { byteSourceOf } from '../base/byte-source.ts';
import { CacheError } from '../base/cache-error.ts';
import type { LogFileSystem, SyncPort } from '../base/log-files.ts';
import { noMeter } from '../base/metrics.ts';
import { Digest } from '../digest/digest.ts';
import { sha256 } from '../digest/digest-function.ts';
import { DigestList } from '../digest/digest-list.ts';
import { emptyDisk } from '../testing/disk-image.ts';
import { SimulatedMachine } from '../testing/simulated-machine.ts';
import { EngineStore } from './engine-store.ts';

const segmentBytes = 65_536;
const blockBytes = 4_096;
const startMs = 1_700_000_000_000;

interface Scene {
  readonly maxBytes: number;
  readonly leases: 'shorten' | 'strict';
  readonly leaseMs: number;
  readonly writers: number;
  readonly putsEach: number;
  /** Of the largest file, of the store. */
  readonly fileShare: number;
  /** How long a deletion, and a sync, take at the most. */
  readonly deletionMsMax: number;
  readonly syncMsMax: number;
  /** How long a reader keeps a file open at the most; 0: nobody reads. */
  readonly readMsMax: number;
  /** Of the file system. */
  readonly diskBytes: number;
}

const scene: Scene = { maxBytes: 1_500_000, leases: 'shorten', leaseMs: 20_000, writers: 12, putsEach: 25, fileShare: 1 / 20, deletionMsMax: 0, syncMsMax: 0, readMsMax: 0, diskBytes: 2 ** 40 };

/** As the ledger counts: segments have their length, of other files all blocks count, and what marks the directory does not. */
function takenBytes(sizes: ReadonlyMap<string, number>): number {
  let sum = 0;
  for (const [path, sizeBytes] of sizes) {
    const [, folder] = /^\/data\/([a-z]+)\//.exec(path) ?? [];
    if (folder === 'segments') sum += sizeBytes;
    else if (folder !== undefined) sum += Math.max(1, Math.ceil(sizeBytes / blockBytes)) * blockBytes;
  }
  return sum;
}

class Run {
  readonly machine: SimulatedMachine;
  readonly refusals: string[] = [];
  /** The most that files have taken. */
  takenBytesMost = 0;
  puts = 0;
  readonly #scene: Scene;
  #number = 0;

  constructor(seed: number, of: Scene) {
    this.#scene = of;
    this.machine = new SimulatedMachine(seed, emptyDisk, startMs);
    this.machine.disk.beforeChange = () => {
      this.takenBytesMost = Math.max(this.takenBytesMost, takenBytes(this.machine.disk.fileSizes()));
    };
  }

  async run(): Promise<EngineStore['usage']> {
    const store = await this.#finish(this.#open());
    const { writers, readMsMax } = this.#scene;
    const writing = Array.from({ length: writers }, () => this.#write(store));
    let isOver = false;
    const reading = readMsMax === 0 ? [] : [this.#read(store, () => isOver)];
    await this.#finish(Promise.all(writing));
    isOver = true;
    await this.#finish(Promise.all(reading));
    const { usage } = store;
    await this.#finish(store.close());
    return usage;
  }

  /** Time goes on in small steps, whatever happens meanwhile. */
  async #finish<T>(work: Promise<T>): Promise<T> {
    let hasEnded = false;
    const ended = (): void => void (hasEnded = true);
    work.then(ended, ended);
    for (let steps = 0; !hasEnded; steps += 1) {
      assert.ok(steps < 100_000, `what was waited for does not end: ${this.machine.log.lines.slice(-5).join(' | ')}`);
      await this.machine.turns.idle();
      if (!hasEnded) this.machine.clock.advance(this.machine.random.integer(1, 40));
    }
    return work;
  }

  #open(): Promise<EngineStore> {
    const { disk, clock, turns, random, log, hashes, scans, smallSyncs, largeSyncs } = this.machine;
    const { maxBytes, leases, leaseMs } = this.#scene;
    return EngineStore.open(
      { directory: '/data', maxBytes, segmentBytes, smallBytesMax: 8_192, hotBytesMax: 0, pageCacheBytes: 1 << 20, leases, leaseMs, diskFloorBytes: 0 },
      {
        files: this.#slow(disk), smallSyncs: this.#slowSyncs(smallSyncs), largeSyncs: this.#slowSyncs(largeSyncs), hashes, scans, monotonicClock: clock, wallClock: clock, timers: clock, random,
        nextTurn: turns.nextTurn, log, meter: noMeter, lock: async () => ({ async [Symbol.asyncDispose]() {} }),
      },
    );
  }

  #slow(disk: LogFileSystem): LogFileSystem {
    const remove = async (path: string): Promise<boolean> => {
      await this.#pass(this.#scene.deletionMsMax);
      return disk.remove(path);
    };
    const { diskBytes } = this.#scene;
    const space = async () => ({ totalBytes: diskBytes, freeBytes: Math.max(0, diskBytes - takenBytes(this.machine.disk.fileSizes())) });
    return new Proxy(disk, {
      get: (target, name) => {
        if (name === 'remove') return remove;
        if (name === 'space') return space;
        const value: unknown = Reflect.get(target, name);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  }

  #slowSyncs(syncs: SyncPort): SyncPort {
    return {
      sync: async (fd, target) => {
        await this.#pass(this.#scene.syncMsMax);
        return syncs.sync(fd, target);
      },
      [Symbol.asyncDispose]: () => syncs[Symbol.asyncDispose](),
    };
  }

  async #pass(msMax: number): Promise<void> {
    if (msMax === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.machine.clock.after(this.machine.random.integer(1, msMax), resolve);
    await promise;
  }

  async #write(store: EngineStore): Promise<void> {
    const { random, clock } = this.machine;
    for (let count = 0; count < this.#scene.putsEach; count += 1) {
      this.#number += 1;
      const number = this.#number;
      try {
        await this.#put(store, number);
        this.puts += 1;
      } catch (thrown) {
        const { leasedBytes, usedBytes, reservedBytes, pinnedBytes } = store.usage;
        // Strict leases let nothing new in where they take their half; that is no want of room.
        if (thrown instanceof CacheError && this.#scene.leases === 'strict' && /bytes are leased, of/.test(thrown.message)) {
          await this.#pass(this.#scene.leaseMs);
          continue;
        }
        this.refusals.push(`${clock.nowMs() - startMs} ms: ${String(thrown)} (${usedBytes} used, ${reservedBytes} reserved, ${leasedBytes} leased, ${pinnedBytes} pinned)`);
      }
      if (random.fraction() < 0.05) await this.#pass(this.#scene.leaseMs / 2);
    }
  }

  async #put(store: EngineStore, number: number): Promise<void> {
    const { random } = this.machine;
    const chance = random.fraction();
    if (chance < 0.1) {
      const key = { kind: 'opaque' as const, instance: '', digestFunction: sha256, hash: number.toString(16).padStart(64, '0') };
      return store.values.put(key, byteSourceOf(Buffer.alloc(random.integer(1, 12_000), `${number} `)));
    }
    const bytes = Buffer.alloc(chance < 0.7 ? random.integer(1, 8_192) : random.integer(8_193, this.#scene.maxBytes * this.#scene.fileShare), `${number} `);
    const digest = Digest.of(bytes);
    if (chance > 0.9) await store.uploads.resume({ instance: '', uploadId: `${number}`, digest }, 0, byteSourceOf(bytes));
    else await store.blobs.put(digest, byteSourceOf(bytes));
    // What is asked for is promised, and stays in the way.
    if (random.fraction() < 0.5) await store.blobs.findMissing(DigestList.of(digest));
  }

  /** Puts files of its own, opens them, and takes its time. */
  async #read(store: EngineStore, isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      this.#number += 1;
      const bytes = Buffer.alloc(1_100_000 * this.#scene.fileShare * 2, `${this.#number} read`);
      const digest = Digest.of(bytes);
      await store.blobs.put(digest, byteSourceOf(bytes)).catch((thrown: unknown) => this.refusals.push(`of the reader: ${String(thrown)}`));
      const source = await store.blobs.get(digest);
      if (source === undefined) continue;
      await using _owned = source;
      const chunks = source[Symbol.asyncIterator]();
      await chunks.next();
      await this.#pass(this.#scene.readMsMax);
      await chunks.return?.();
    }
  }
}

/** Each is another order of everything: KILN_ROOM_SEEDS=20 tries so many of each scene. */
const seeds = Array.from({ length: Number(process.env['KILN_ROOM_SEEDS'] ?? 1) }, (_, index) => index + 1);

const scenes: readonly (readonly [string, Partial<Scene>])[] = [
  ['a fast disk', {}],
  ['a disk that deletes slowly', { deletionMsMax: 400 }],
  ['a disk that takes seconds for a deletion', { deletionMsMax: 4_000 }],
  ['a disk that syncs slowly', { syncMsMax: 50 }],
  ['readers who take their time', { readMsMax: 8_000, deletionMsMax: 50 }],
  ['leases that are kept, whatever comes', { leases: 'strict' }],
  ['leases that are kept, on a disk that deletes slowly', { leases: 'strict', deletionMsMax: 400 }],
  ['files of a fifth of the store, one at a time', { fileShare: 1 / 5, writers: 2, putsEach: 150, deletionMsMax: 100 }],
  ['more writers than there is room for at the same time', { writers: 30, fileShare: 1 / 10, putsEach: 15, deletionMsMax: 50 }],
  ['a disk that is smaller than the bound', { maxBytes: 15_000_000, diskBytes: 1_500_000, fileShare: 1 / 200, deletionMsMax: 50 }],
  ['a store of a few segments', { maxBytes: 1_048_576, writers: 6, fileShare: 1 / 20, putsEach: 60, deletionMsMax: 100 }],
];

describe('room', () => {
  for (const [what, more] of scenes) {
    it(`is given to writers that never stop, and within the bound at every change of the disk: ${what}`, async () => {
      for (const seed of seeds) {
        const of = { ...scene, ...more };
        const run = new Run(seed, of);
        using _machine = run.machine;
        const { evictedCount, usedBytes, trashBytes } = await run.run();
        assert.deepEqual(run.refusals.slice(0, 3), [], `seed ${seed}: ${run.refusals.length} of ${run.puts + run.refusals.length} puts were refused`);
        const boundBytes = Math.min(of.maxBytes, of.diskBytes);
        assert.ok(run.takenBytesMost <= boundBytes + segmentBytes, `seed ${seed}: files took ${run.takenBytesMost} bytes of ${boundBytes}`);
        assert.ok(evictedCount > 50, `seed ${seed}: ${evictedCount} were evicted`);
        assert.ok(usedBytes - trashBytes > boundBytes / 2, `seed ${seed}: ${usedBytes - trashBytes} bytes are left of ${boundBytes}, so more went than had to`);
        assert.deepEqual(run.machine.log.lines.filter((line) => line.startsWith('error')), [], `seed ${seed}`);
      }
    });
  }
});
