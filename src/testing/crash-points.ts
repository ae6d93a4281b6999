// Tries a program at all the moments at which power may fail or its process be killed. A seed gives a chain of lives of
// one disk: in each the program starts, checks what it finds against what it told before, and works. Every change of the
// disk in a life is a cut; for each cut some of the disks that it may leave are started from and checked: a point. While
// such a start runs, the disk is cut again, some times over. One of the points is where the next life begins.
//
// A point has a name, such as `17.2.140.1`: seed, life, cut, state. The choices of every point follow from its name, so
// that one is repeated without the others: KILN_CRASH_POINT=17.2.140.1.
import { randomInt } from 'node:crypto';
import type { TestContext } from 'node:test';
import { afterPowerCut, emptyDisk } from './disk-image.ts';
import type { DiskImage } from './disk-image.ts';
import { SeededRandom } from './seeded-random.ts';
import { SimulatedMachine } from './simulated-machine.ts';

/** Of tests that name none. */
const firstSeedDefault = 1;

/** What a program has told, and what may be expected of its next start. */
export interface CrashFacts<Self> {
  /** Of now. Grows. */
  readonly mark: number;
  /** What was known at that mark, as it is to be seen after a crash then. */
  afterCrash(mark: number): Self;
}

export interface CrashProgram<Facts extends CrashFacts<Facts>> {
  /** Of a disk with nothing on it. */
  readonly facts: () => Facts;
  /**
   * One life: starts on what is on the disk, checks it against `facts`, and goes on to `work` if that is asked. What comes
   * to be known goes into `facts` at once. @throws what is wrong.
   */
  readonly live: (machine: SimulatedMachine, facts: Facts, work: boolean) => Promise<void>;
  /** What may happen to a disk between two lives; tells `facts`. */
  readonly meanwhile?: (image: DiskImage, facts: Facts, random: SeededRandom) => DiskImage;
}

export interface CrashPointsOptions {
  readonly firstSeed: number;
  /** Seeds are tried until there were so many points. */
  readonly pointsMin: number;
  /** Of one disk. */
  readonly lives: number;
  /** Disks tried of each cut. */
  readonly statesPerCut: number;
  /** Lives with more cuts than this have a random choice of so many tried. */
  readonly cutsMax?: number;
}

export interface CrashPointsOutcome {
  readonly points: number;
  readonly seeds: number;
  /** Changes of disks, in all lives that worked. */
  readonly cuts: number;
  readonly failure: CrashFailure | undefined;
}

/** A broken promise. */
export interface CrashFailure {
  /** Name of the point. */
  readonly point: string;
  readonly cause: unknown;
  /** What the disk did last, in the life that was cut and in the starts after it. */
  readonly trace: readonly string[];
}

interface Cut {
  readonly image: DiskImage;
  readonly mark: number;
  readonly nowMs: number;
  readonly traceLength: number;
}

interface Start {
  readonly name: string;
  readonly image: DiskImage;
  readonly nowMs: number;
  /** What the disk did before. */
  readonly trace: readonly string[];
}

interface LifeKind {
  readonly works: boolean;
  /** Its cuts are wanted: an image is kept before each change. */
  readonly isCut: boolean;
}

interface Life<Facts> {
  readonly facts: Facts;
  readonly cuts: readonly Cut[];
  readonly trace: readonly string[];
}

/** Of long runs. */
export const longRun: Omit<CrashPointsOptions, 'firstSeed' | 'pointsMin'> = { lives: 5, statesPerCut: 2, cutsMax: 60 };

const startMs = 1_700_000_000_000;
/** Cuts of starts, one in the other. */
const depthMax = 3;
const shareOfKills = 0.25;
const shareCutAgain = 0.5;
const traceMax = 30;

/** What went wrong at a point. */
class PointError extends Error {
  readonly failure: CrashFailure;

  constructor(point: string, cause: unknown, trace: readonly string[]) {
    super(`at ${point}`, { cause });
    this.failure = { point, cause, trace };
  }
}

export class CrashPoints<Facts extends CrashFacts<Facts>> {
  readonly #program: CrashProgram<Facts>;
  readonly #options: CrashPointsOptions;
  #points = 0;
  #cuts = 0;

  constructor(program: CrashProgram<Facts>, options: CrashPointsOptions) {
    this.#program = program;
    this.#options = options;
  }

  /** All of it, until the first failure. */
  async try(): Promise<CrashPointsOutcome> {
    let seeds = 0;
    const failure = await failureOf(async () => {
      for (; this.#points < this.#options.pointsMin; seeds += 1) await this.#trySeed(this.#options.firstSeed + seeds);
    });
    return { points: this.#points, seeds, cuts: this.#cuts, failure };
  }

  /** One point alone. */
  async repeat(point: string): Promise<CrashPointsOutcome> {
    const [seed = 0, life = 0, cut, state] = point.split('.').map(Number);
    const failure = await failureOf(async () => {
      const lived = await this.#lives(seed, life, async () => undefined);
      if (cut !== undefined && state !== undefined) await this.#point(`${seed}.${life}.${cut}.${state}`, lived, cut);
    });
    return { points: this.#points, seeds: 1, cuts: this.#cuts, failure };
  }

  async #trySeed(seed: number): Promise<void> {
    await this.#lives(seed, this.#options.lives - 1, async (name, life) => {
      for (const cut of this.#chosenCuts(name, life)) {
        for (let state = 0; state < this.#options.statesPerCut; state += 1) await this.#point(`${name}.${cut}.${state}`, life, cut);
      }
    });
  }

  /** Lives up to number `last`, each handed to `each`. Gives the last one. */
  async #lives(seed: number, last: number, each: (name: string, life: Life<Facts>) => Promise<void>): Promise<Life<Facts>> {
    let [image, facts, nowMs] = [emptyDisk, this.#program.facts(), startMs];
    for (let number = 0; ; number += 1) {
      const name = `${seed}.${number}`;
      const life = await this.#live({ name, image, nowMs, trace: [] }, facts, { works: true, isCut: true });
      this.#cuts += life.cuts.length;
      await each(name, life);
      if (number === last) return life;
      const random = randomOf(`${name} next`);
      // Often the end: the next life shall find something.
      const cut = random.fraction() < 0.5 ? life.cuts.at(-1) : random.pick(life.cuts);
      if (cut === undefined) return life;
      facts = life.facts.afterCrash(cut.mark);
      image = leftBy(cut, random);
      if (this.#program.meanwhile !== undefined) image = this.#program.meanwhile(image, facts, random);
      nowMs = cut.nowMs + random.integer(1, 100_000);
    }
  }

  #chosenCuts(name: string, { cuts }: Life<Facts>): readonly number[] {
    const { cutsMax } = this.#options;
    const all = Array.from(cuts.keys());
    if (cutsMax === undefined || all.length <= cutsMax) return all;
    const random = randomOf(`${name} cuts`);
    return Array.from({ length: cutsMax }, () => random.pick(all));
  }

  /** Starts on a disk that the cut may have left, and perhaps once more on one that a cut of that start may have left. */
  async #point(name: string, { facts, cuts, trace }: Life<Facts>, number: number, depth = 1): Promise<void> {
    const cut = cuts[number];
    if (cut === undefined) throw new RangeError(`there is no point ${name}`);
    this.#points += 1;
    const random = randomOf(name);
    const before = [...trace.slice(0, cut.traceLength), `-- ${name}`];
    const start: Start = { name, image: leftBy(cut, random), nowMs: cut.nowMs + random.integer(1, 100_000), trace: before };
    const isCutAgain = depth < depthMax && random.fraction() < shareCutAgain;
    const life = await this.#live(start, facts.afterCrash(cut.mark), { works: false, isCut: isCutAgain });
    if (!isCutAgain) return;
    // The end counts for as much as all the rest: what a start has shown to others must last.
    const again = random.fraction() < 0.5 ? life.cuts.length - 1 : random.integer(0, life.cuts.length - 1);
    await this.#point(`${name}.${again}.0`, life, again, depth + 1);
  }

  async #live({ name, image, nowMs, trace }: Start, facts: Facts, { works, isCut }: LifeKind): Promise<Life<Facts>> {
    using machine = new SimulatedMachine(seedOf(name), image, nowMs);
    const { disk, clock } = machine;
    const before = trace.slice(-traceMax);
    const cuts: Cut[] = [];
    const cut = (): void => void cuts.push({ image: disk.image(), mark: facts.mark, nowMs: clock.nowMs(), traceLength: before.length + disk.trace.length });
    if (isCut) disk.beforeChange = cut;
    try {
      await machine.finish(this.#program.live(machine, facts, works));
      if (disk.violations.length > 0) throw new Error(disk.violations.join('; '));
    } catch (thrown) {
      throw new PointError(name, thrown, [...before, ...disk.trace].slice(-2 * traceMax));
    }
    cut();
    return { facts, cuts, trace: [...before, ...disk.trace] };
  }
}

/**
 * For a test: as many points as KILN_CRASH_POINTS says, from the seed of KILN_TEST_SEED, or the one point of KILN_CRASH_POINT.
 * Without either from `firstSeed`: the same points each time, so that a change that passed is not found out by chance in somebody
 * else's; `KILN_TEST_SEED=any` tries others. Reports how many there were, and fails with what is needed to repeat the point that failed.
 */
export async function tryCrashPoints<Facts extends CrashFacts<Facts>>(t: TestContext, program: CrashProgram<Facts>, options: Omit<CrashPointsOptions, 'firstSeed'> & { readonly firstSeed?: number }): Promise<void> {
  const { KILN_CRASH_POINT: point, KILN_CRASH_POINTS: asked, KILN_TEST_SEED: seed } = process.env;
  const firstSeed = seed === 'any' ? randomInt(2 ** 31) : Number(seed ?? options.firstSeed ?? firstSeedDefault);
  const points = new CrashPoints(program, { ...options, firstSeed, pointsMin: asked === undefined ? options.pointsMin : Number(asked) });
  const began = performance.now();
  const outcome = point === undefined ? await points.try() : await points.repeat(point);
  const seconds = (performance.now() - began) / 1_000;
  t.diagnostic(`${outcome.points} crash points of ${outcome.cuts} cuts, seeds ${firstSeed} to ${firstSeed + outcome.seeds - 1}, ${Math.round(outcome.points / seconds)} points/s`);
  if (outcome.failure !== undefined) throw new Error(wordsOf(outcome.failure), { cause: outcome.failure.cause });
}

/** For people: what was broken, where, and how to see it again. */
export function wordsOf({ point, cause, trace }: CrashFailure): string {
  const what = cause instanceof Error ? cause.message : String(cause);
  return `${what}\n  repeat with KILN_CRASH_POINT=${point}\n  ${trace.join('\n  ')}`;
}

async function failureOf(work: () => Promise<void>): Promise<CrashFailure | undefined> {
  try {
    await work();
    return undefined;
  } catch (thrown) {
    if (thrown instanceof PointError) return thrown.failure;
    throw thrown;
  }
}

function leftBy({ image }: Cut, random: SeededRandom): DiskImage {
  return random.fraction() < shareOfKills ? image : afterPowerCut(image, random);
}

function randomOf(name: string): SeededRandom {
  return new SeededRandom(seedOf(name) ^ 0x0c07);
}

/** FNV-1a, so that names which differ in one digit have nothing else in common. */
function seedOf(name: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < name.length; index += 1) hash = Math.imul(hash ^ name.charCodeAt(index), 0x01000193);
  return hash >>> 0;
}
