// Uploads of the whole store, resumed until they are blobs, on a disk that loses what was not synced.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { noMeter } from '../base/metrics.ts';
import { collect } from '../base/byte-source.ts';
import { pieceBytes } from '../engine/upload-journal-format.ts';
import { CrashPoints, tryCrashPoints } from '../testing/crash-points.ts';
import type { CrashFacts, CrashProgram } from '../testing/crash-points.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import type { SimulatedMachine } from '../testing/simulated-machine.ts';
import { replacing, spoiltSyncs } from '../testing/spoiled-ports.ts';
import { patternOf } from '../testing/temporary-uploads.ts';
import { EngineStore } from './engine-store.ts';

const sent = patternOf(pieceBytes + 300_000);
const chunkBytes = 2_000_000;
const cutOff = new Error('the client is gone');

async function* chunks(bytes: Buffer, end?: Error): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes.byteLength; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes);
  if (end !== undefined) throw end;
}

/** Bytes that are committed, that the last ones were sent, or that the blob is stored. */
type Fact = number | 'sent' | 'stored';

/** What was told, in order. */
class Told implements CrashFacts<Told> {
  readonly #told: Fact[];

  constructor(told: readonly Fact[] = []) {
    this.#told = [...told];
  }

  get mark(): number {
    return this.#told.length;
  }

  /** Since all was sent: from the rename to the commit a start finds a file that no upload is any more, and removes it. */
  get committedBytes(): number {
    return this.#told.reduce<number>((most, told) => (typeof told === 'number' ? Math.max(most, told) : 0), 0);
  }

  get isStored(): boolean {
    return this.#told.includes('stored');
  }

  tell(what: Fact): void {
    if (what !== this.#told.at(-1)) this.#told.push(what);
  }

  afterCrash(mark: number): Told {
    return new Told(this.#told.slice(0, mark));
  }
}

function openStore(machine: SimulatedMachine): Promise<EngineStore> {
  const { disk: files, clock, log, turns, random, smallSyncs, largeSyncs, hashes, scans } = machine;
  return EngineStore.open(
    { directory: '/data', maxBytes: 2 ** 28, segmentBytes: 2 ** 16, diskFloorBytes: 0 },
    {
      files, smallSyncs, largeSyncs, hashes, scans, monotonicClock: clock, wallClock: clock, timers: clock, random, nextTurn: turns.nextTurn, log, meter: noMeter,
      lock: async () => ({ async [Symbol.asyncDispose]() {} }),
    },
  );
}

const program: CrashProgram<Told> = {
  facts: () => new Told(),
  async live(machine, facts, work) {
    const { random } = machine;
    const { upload, bytes } = sent;
    await using store = await openStore(machine);
    const found = await store.blobs.get(upload.digest);
    if (found !== undefined) assert.ok(Buffer.from(await collect(found, bytes.byteLength)).equals(bytes), 'what is there is right');
    if (facts.isStored) assert.ok(found !== undefined, 'what was stored is there');
    if (found !== undefined) {
      facts.tell('stored'); // shown to a reader: it lasts
      return;
    }
    const from = store.uploads.committedBytes(upload);
    assert.ok(from >= facts.committedBytes, `${facts.committedBytes} bytes were told, and ${from} are there`);
    facts.tell(from);
    if (!work) return;
    const end = from === 0 ? pieceBytes + random.integer(1, 200_000) : bytes.byteLength;
    const resumed = store.uploads.resume(upload, from, (async function* () {
      yield* chunks(bytes.subarray(from, end), end === bytes.byteLength ? undefined : cutOff);
      facts.tell('sent');
    })());
    if (end === bytes.byteLength) {
      assert.deepEqual(await resumed, { kind: 'stored' });
      facts.tell('stored');
    } else {
      await assert.rejects(resumed, cutOff);
      facts.tell(store.uploads.committedBytes(upload));
    }
  },
};

describe('uploads of the whole store, on a disk that loses what was not synced', () => {
  const limits = { pointsMin: 60, lives: 3, statesPerCut: 1, cutsMax: 40 } as const;

  it('K1-03, K5-11: what was told to be committed or stored is there and right at every cut', (t) => tryCrashPoints(t, program, limits));

  it('catches it when data is not synced', async (t) => {
    const broken: CrashProgram<Told> = {
      ...program,
      live: (machine, facts, work) =>
        program.live(replacing(machine, { largeSyncs: spoiltSyncs(machine.largeSyncs, 'dropped', (path) => path.endsWith('.data'), (fd) => machine.disk.pathOf(fd)) }), facts, work),
    };
    const { failure, points } = await new CrashPoints(broken, { ...limits, pointsMin: 1_500, firstSeed: seededRandom(t).seed }).try();
    assert.ok(failure !== undefined, `${points} points found nothing`);
  });
});
