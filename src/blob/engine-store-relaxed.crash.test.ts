// What `--durability relaxed` promises (docs/operations.md), at every cut: nothing is wrong, nothing is lost but small blobs that
// were acknowledged last and not synced yet, and those are lost from the end. What it does not promise the default does.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { byteSourceOf, collect } from '../base/byte-source.ts';
import { noMeter } from '../base/metrics.ts';
import { Digest } from '../digest/digest.ts';
import { CrashPoints, tryCrashPoints } from '../testing/crash-points.ts';
import type { CrashFacts, CrashProgram } from '../testing/crash-points.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import type { SimulatedMachine } from '../testing/simulated-machine.ts';
import { replacing, spoiltSyncs } from '../testing/spoiled-ports.ts';
import { EngineStore } from './engine-store.ts';

const smallBytesMax = 8_192;
/** Of blobs, by number: most are small, some larger than a piece of the disk that is written at once. */
const sizes = [90, 700, 3_000, 40, 8_000, 30_000];

function bytesOf(number: number): Buffer {
  return Buffer.alloc(sizes[number % sizes.length] ?? 1, `blob ${number} `);
}

function isLarge(number: number): boolean {
  return bytesOf(number).byteLength > smallBytesMax;
}

/** `begun`: a put; from then on it may be there. `synced`: all that was acknowledged so far. `found`: by a start, and it lasts; the rest is forgotten. */
type Fact =
  | { readonly kind: 'begun' | 'acknowledged'; readonly number: number }
  | { readonly kind: 'synced' }
  | { readonly kind: 'found'; readonly there: ReadonlySet<number> };

class Told implements CrashFacts<Told> {
  readonly #told: Fact[];

  constructor(told: readonly Fact[] = []) {
    this.#told = [...told];
  }

  get mark(): number {
    return this.#told.length;
  }

  /** Of puts. */
  get count(): number {
    return this.#told.filter(({ kind }) => kind === 'begun').length;
  }

  /** What must be there after a power cut; and what may be lost by one, in the order of the acknowledgements. */
  promises(): { readonly durable: ReadonlySet<number>; readonly last: readonly number[] } {
    let durable = new Set<number>();
    let last: number[] = [];
    for (const fact of this.#told) {
      if (fact.kind === 'acknowledged') {
        if (isLarge(fact.number)) durable.add(fact.number);
        else last.push(fact.number);
      } else if (fact.kind === 'synced') {
        for (const number of last) durable.add(number);
        last = [];
      } else if (fact.kind === 'found') {
        durable = new Set(fact.there);
        last = [];
      }
    }
    return { durable, last };
  }

  tell(fact: Fact): void {
    this.#told.push(fact);
  }

  afterCrash(mark: number): Told {
    return new Told(this.#told.slice(0, mark));
  }
}

type Durability = 'durable' | 'relaxed';

function openStore({ disk: files, clock, log, turns, random, smallSyncs, largeSyncs, hashes, scans }: SimulatedMachine, durability: Durability): Promise<EngineStore> {
  return EngineStore.open(
    { directory: '/data', maxBytes: 2 ** 28, segmentBytes: 2 ** 16, smallBytesMax, diskFloorBytes: 0, durability },
    {
      files, smallSyncs, largeSyncs, hashes, scans, monotonicClock: clock, wallClock: clock, timers: clock, random, nextTurn: turns.nextTurn, log, meter: noMeter,
      lock: async () => ({ async [Symbol.asyncDispose]() {} }),
    },
  );
}

/** What is there of what was put; right, or the store is wrong. */
async function found(store: EngineStore, count: number): Promise<ReadonlySet<number>> {
  const there = new Set<number>();
  for (let number = 0; number < count; number += 1) {
    const bytes = bytesOf(number);
    const source = await store.blobs.get(Digest.of(bytes));
    if (source === undefined) continue;
    assert.ok(Buffer.from(await collect(source, bytes.byteLength)).equals(bytes), 'what is there is right');
    there.add(number);
  }
  return there;
}

function check(facts: Told, there: ReadonlySet<number>, promise: Durability): void {
  const { durable, last } = facts.promises();
  assert.deepEqual([...durable].filter((number) => !there.has(number)), [], 'nothing that was synced, and no large blob, is lost');
  const lost = last.filter((number) => !there.has(number));
  if (promise === 'durable') assert.deepEqual(lost, [], 'what was acknowledged is there');
  // The log is kept up to its first hole.
  assert.deepEqual(lost, lost.length === 0 ? [] : last.slice(-lost.length), 'what is lost is what was acknowledged last');
}

/** How often somebody may have a look until all is synced, with nobody asking for anything: a sync of the log, and the one behind it. */
const looksMax = 2_000;

async function untilSynced(machine: SimulatedMachine, store: EngineStore): Promise<void> {
  for (let looks = 0; store.usage.unsyncedBytes > 0; looks += 1) {
    assert.ok(looks < looksMax, 'what was acknowledged is synced without anybody asking for it');
    await machine.turns.nextTurn();
  }
}

function program(durability: Durability, promise: Durability): CrashProgram<Told> {
  return {
    facts: () => new Told(),
    async live(machine, facts, work) {
      const { random } = machine;
      await using store = await openStore(machine, durability);
      const there = await found(store, facts.count);
      check(facts, there, promise);
      facts.tell({ kind: 'found', there });
      for (let step = 0; work && step < 12; step += 1) {
        const numbers = Array.from({ length: random.integer(1, 5) }, () => {
          const number = facts.count;
          facts.tell({ kind: 'begun', number });
          return number;
        });
        const puts = numbers.map(async (number) => {
          await store.blobs.put(Digest.of(bytesOf(number)), byteSourceOf(bytesOf(number)));
          facts.tell({ kind: 'acknowledged', number });
        });
        await Promise.all(puts);
        if (random.fraction() < 0.3) {
          await untilSynced(machine, store);
          facts.tell({ kind: 'synced' });
        }
      }
    },
  };
}

describe('durability', () => {
  const limits = { pointsMin: 60, lives: 3, statesPerCut: 1, cutsMax: 25 } as const;

  it('K1-03: relaxed: nothing is wrong at any cut, and at most what was acknowledged last and not synced is lost', (t) => tryCrashPoints(t, program('relaxed', 'relaxed'), limits));

  it('K1-03: durable, the default: nothing that was acknowledged is lost, by the same cuts', (t) => tryCrashPoints(t, program('durable', 'durable'), limits));

  it('catches it when nothing is synced behind the acknowledgement', async (t) => {
    const relaxed = program('relaxed', 'relaxed');
    const broken: CrashProgram<Told> = {
      ...relaxed,
      live: (machine, facts, work) =>
        relaxed.live(replacing(machine, { smallSyncs: spoiltSyncs(machine.smallSyncs, 'dropped', (path) => path.endsWith('.blob'), (fd) => machine.disk.pathOf(fd)) }), facts, work),
    };
    const { failure, points } = await new CrashPoints(broken, { ...limits, pointsMin: 1_500, firstSeed: seededRandom(t).seed }).try();
    assert.ok(failure !== undefined, `${points} points found nothing`);
    assert.match(String(failure.cause), /is lost/);
  });

  it('a cut does take from a relaxed store what the default keeps', async () => {
    const { failure, points } = await new CrashPoints(program('relaxed', 'durable'), { ...limits, firstSeed: 1 }).try();
    assert.ok(failure !== undefined, `${points} points found nothing`);
    assert.match(String(failure.cause), /what was acknowledged is there/);
  });
});
