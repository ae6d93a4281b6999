// What policies of eviction are asked: three traces, made from a seed. None is a recording; each has one trait of real ones that
// tells policies apart. Sizes are spread as those of build outputs are: half below 4 KiB, one in twenty above 64 KiB, and these
// have most of the bytes.
import type { SeededRandom } from '../../src/testing/seeded-random.ts';

export interface Trace {
  /** One request each, in order. */
  readonly objects: Int32Array;
  /** Seconds since 1970, of each request; never back. */
  readonly timesS: Float64Array;
  /** In bytes, by object. */
  readonly sizes: Float64Array;
}

/** `scale`: 1 for the whole trace. */
export type MakeTrace = (random: SeededRandom, scale: number) => Trace;

/** Of all traces, seconds since 1970. */
export const beginS = 1_700_000_000;
const dayS = 86_400;
const medianBytes = 4_096;
const sizeSigma = 1.7;
const leastBytes = 64;
const mostBytes = 2 ** 25;

class TraceBuilder {
  readonly #random: SeededRandom;
  readonly #objects: number[] = [];
  readonly #timesS: number[] = [];
  readonly #sizes: number[] = [];

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  /** @returns its number. */
  newObject(): number {
    // Box and Muller's way from even to normal numbers.
    const normal = Math.sqrt(-2 * Math.log(1 - this.#random.fraction())) * Math.cos(2 * Math.PI * this.#random.fraction());
    this.#sizes.push(Math.round(Math.min(mostBytes, Math.max(leastBytes, medianBytes * Math.exp(sizeSigma * normal)))));
    return this.#sizes.length - 1;
  }

  request(object: number, timeS: number): void {
    this.#objects.push(object);
    this.#timesS.push(timeS);
  }

  done(): Trace {
    return { objects: Int32Array.from(this.#objects), timesS: Float64Array.from(this.#timesS), sizes: Float64Array.from(this.#sizes) };
  }
}

const targetsFull = 1_200;
const days = 28;
const buildsPerDay = 24;
/** Of which so many are of a developer who is up to three days behind and builds a part. */
const developerShare = 0.5;
const behindCommitsMax = 36;
const partShare = 0.25;
const outputsMax = 3;
const changesPerCommit = 2;
const dependenciesMax = 3;
/** A target depends on others of the last so many. */
const reach = 40;

/**
 * Four weeks of incremental builds of one graph of targets: each commit changes one or two of them, mostly those that few depend on,
 * and with them what depends on them. Half of the builds ask for everything at the newest commit, half for a part of the
 * graph some commits ago; each night everything is built once more in another configuration.
 */
export function incrementalBuilds(random: SeededRandom, scale: number): Trace {
  const builder = new TraceBuilder(random);
  const graph = new TargetGraph(random, Math.max(60, Math.round(targetsFull * scale)), builder);
  for (let day = 0; day < days; day += 1) {
    for (let build = 0; build < buildsPerDay; build += 1) {
      // From eight to eighteen o'clock.
      const timeS = beginS + day * dayS + 28_800 + Math.floor((36_000 * build) / buildsPerDay);
      if (random.fraction() < developerShare) {
        graph.requestPart(Math.max(0, graph.commits - random.integer(0, behindCommitsMax)), timeS);
        continue;
      }
      graph.commit(random.integer(1, changesPerCommit));
      graph.request(graph.commits, timeS, 'daily');
    }
    graph.request(graph.commits, beginS + (day + 1) * dayS, 'nightly');
  }
  return builder.done();
}

type Configuration = 'daily' | 'nightly';

class TargetGraph {
  readonly #random: SeededRandom;
  readonly #builder: TraceBuilder;
  readonly #dependents: number[][] = [];
  readonly #dependencies: number[][] = [];
  /** Of each target, the commits at which it changed, rising. */
  readonly #changedAt: number[][] = [];
  /** By target, version and configuration. */
  readonly #outputs = new Map<string, readonly number[]>();
  commits = 0;

  constructor(random: SeededRandom, targets: number, builder: TraceBuilder) {
    this.#random = random;
    this.#builder = builder;
    for (let target = 0; target < targets; target += 1) {
      this.#dependents.push([]);
      this.#changedAt.push([0]);
      const count = target === 0 ? 0 : random.integer(1, dependenciesMax);
      const dependencies = Array.from({ length: count }, () => random.integer(Math.max(0, target - reach), target - 1));
      this.#dependencies.push(dependencies);
      for (const dependency of dependencies) this.#dependents[dependency]?.push(target);
    }
  }

  get #targets(): number {
    return this.#changedAt.length;
  }

  commit(changes: number): void {
    this.commits += 1;
    const changed = new Set<number>();
    for (let change = 0; change < changes; change += 1) {
      // Most changes are made where little depends on it: near the end.
      const target = Math.floor(this.#targets * Math.sqrt(Math.sqrt(this.#random.fraction())));
      this.#spread(Math.min(target, this.#targets - 1), changed);
    }
    for (const target of changed) this.#changedAt[target]?.push(this.commits);
  }

  #spread(first: number, changed: Set<number>): void {
    const line = [first];
    for (let target = line.pop(); target !== undefined; target = line.pop()) {
      if (changed.has(target)) continue;
      changed.add(target);
      line.push(...(this.#dependents[target] ?? []));
    }
  }

  request(commit: number, timeS: number, configuration: Configuration): void {
    for (let target = 0; target < this.#targets; target += 1) this.#requestTarget(target, commit, timeS, configuration);
  }

  /** A random target and what it is made of, until that is a quarter of all. */
  requestPart(commit: number, timeS: number): void {
    const wanted = new Set<number>();
    const line = [this.#random.integer(0, this.#targets - 1)];
    for (let target = line.pop(); target !== undefined && wanted.size < partShare * this.#targets; target = line.pop()) {
      if (wanted.has(target)) continue;
      wanted.add(target);
      line.push(...(this.#dependencies[target] ?? []));
    }
    for (const target of [...wanted].toSorted((a, b) => a - b)) this.#requestTarget(target, commit, timeS, 'daily');
  }

  #requestTarget(target: number, commit: number, timeS: number, configuration: Configuration): void {
    const version = this.#changedAt[target]?.findLast((changed) => changed <= commit) ?? 0;
    const name = `${target} ${version} ${configuration}`;
    let outputs = this.#outputs.get(name);
    if (outputs === undefined) {
      outputs = Array.from({ length: this.#random.integer(1, outputsMax) }, () => this.#builder.newObject());
      this.#outputs.set(name, outputs);
    }
    for (const object of outputs) this.#builder.request(object, timeS);
  }
}

const zipfObjects = 100_000;
const zipfRequests = 600_000;
const zipfAlpha = 0.9;
const scanShare = 0.25;
const scanObjects = 120_000;
const requestsPerS = 10;

/** Objects of very different popularity that never changes, and a fourth of all requests go through a long list of others, again and again. */
export function scannedZipf(random: SeededRandom, scale: number): Trace {
  const builder = new TraceBuilder(random);
  const popular = Array.from({ length: Math.round(zipfObjects * scale) }, () => builder.newObject());
  const scanned = Array.from({ length: Math.round(scanObjects * scale) }, () => builder.newObject());
  const upTo = new Float64Array(popular.length);
  let sum = 0;
  for (let rank = 0; rank < popular.length; rank += 1) {
    sum += 1 / (rank + 1) ** zipfAlpha;
    upTo[rank] = sum;
  }
  let scan = 0;
  for (let request = 0; request < zipfRequests * scale; request += 1) {
    const timeS = beginS + Math.floor(request / requestsPerS);
    if (random.fraction() < scanShare) {
      builder.request(scanned[scan % scanned.length] ?? 0, timeS);
      scan += 1;
    } else builder.request(popular[firstAtLeast(upTo, random.fraction() * sum)] ?? 0, timeS);
  }
  return builder.done();
}

const windowObjects = 20_000;
const windowRequests = 600_000;
/** Requests until the window moves on by one object. */
const requestsPerMove = 4;

/** What is asked for moves on steadily, the newest of it most: an object that was popular is never asked for again once it is old. */
export function slidingWindow(random: SeededRandom, scale: number): Trace {
  const builder = new TraceBuilder(random);
  const window = Math.round(windowObjects * scale);
  const requests = windowRequests * scale;
  const objects = Array.from({ length: window + Math.ceil(requests / requestsPerMove) }, () => builder.newObject());
  for (let request = 0; request < requests; request += 1) {
    const newest = window - 1 + Math.floor(request / requestsPerMove);
    const back = Math.floor(window * random.fraction() ** 2);
    builder.request(objects[newest - back] ?? 0, beginS + Math.floor(request / requestsPerS));
  }
  return builder.done();
}

/** Place of the first value that is at least `wanted`, in values that rise. */
function firstAtLeast(values: Float64Array, wanted: number): number {
  let [low, high] = [0, values.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((values[middle] ?? 0) < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}
