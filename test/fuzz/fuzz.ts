// The fuzzer over the pure engine, by hand and in the full run: npm run fuzz -- [--minutes N] [--role server|client]
// [--seed N] [--grow] | --prune | --replay FILE ... Keeps what reaches new code and goes on from there; ends with 1 and a
// file that repeats it when the engine throws or breaks a rule.
import { createHash } from 'node:crypto';
import { globSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { SeededRandom } from '../../src/testing/seeded-random.ts';
import { clientSession } from './client-session-generator.ts';
import { CodeCoverage } from './code-coverage.ts';
import { formatInput, parseInput } from './fuzz-input.ts';
import type { FuzzInput } from './fuzz-input.ts';
import { mutateInput } from './mutate-input.ts';
import { limitShapes, limitsOf, runInput } from './run-input.ts';
import { serverSession } from './server-session-generator.ts';

type Role = FuzzInput['role'];

export const bothRoles: readonly Role[] = ['server', 'client'];

export const corpusDirectory: string = join(import.meta.dirname, 'corpus');
const isEngine = (url: string): boolean => url.includes('/src/h2/');
/** Larger inputs are not put into the corpus: people read it, and small ones are changed to more effect. */
const corpusInputBytesMax = 2_000;
/** Of 20 inputs one is made from nothing, so that what the corpus lacks comes up as well. */
const freshEvery = 20;
const reportEveryMs = 15_000;
/** So much of a pool is kept; beyond it an old input goes for each new one. */
const poolMax = 5_000;
const sessionSteps = 30;

/** The inputs that are kept, in the order of their names. */
export function readCorpus(): { readonly path: string; readonly input: FuzzInput }[] {
  return globSync('*.txt', { cwd: corpusDirectory })
    .toSorted()
    .map((name) => ({ path: join(corpusDirectory, name), input: parseInput(readFileSync(join(corpusDirectory, name), 'utf8')) }));
}

/** An input that keeps every rule. */
export function validInput(role: Role, random: SeededRandom): FuzzInput {
  const base: FuzzInput = { role, limits: random.integer(0, limitShapes.length - 1), application: random.integer(0, 2 ** 31), items: [] };
  const session = role === 'server' ? clientSession : serverSession; // what the other end sends
  return { ...base, items: session(random, limitsOf(base), { steps: sessionSteps }).frames };
}

/** What went wrong with `input`, in words without the numbers that change from input to input; '' when nothing did. */
export function problemOf(input: FuzzInput): string {
  try {
    runInput(input);
    return '';
  } catch (thrown) {
    return (thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown)).replaceAll(/\d+/g, 'N');
  }
}

/** The least of `input` that still has the same problem: frames are left out as long as one can be. */
export function shrink(input: FuzzInput): FuzzInput {
  const problem = problemOf(input);
  let least = input;
  for (let count = Math.ceil(least.items.length / 2); count >= 1; count = Math.floor(count / 2)) {
    for (let at = 0; at < least.items.length; ) {
      const shorter = { ...least, items: least.items.toSpliced(at, count) };
      if (problemOf(shorter) === problem) least = shorter;
      else at += count;
    }
  }
  return least;
}

interface FuzzRun {
  readonly roles: readonly Role[];
  readonly seed: number;
  readonly minutes: number;
  /** Put what reaches new code into the corpus. */
  readonly grow: boolean;
}

/** Fuzzes for the time given. Returns the number of problems: 0, or 1 since the first one ends it. */
function fuzz({ roles, seed, minutes, grow }: FuzzRun): number {
  const random = new SeededRandom(seed);
  const pool = readCorpus().map(({ input }) => input).filter(({ role }) => roles.includes(role));
  using coverage = new CodeCoverage(isEngine, true);
  for (const input of pool) if (stops(input)) return 1;
  coverage.takeNew();
  const startedAtMs = performance.now();
  let reportedAtMs = startedAtMs;
  let runs = 0;
  for (;;) {
    const nowMs = performance.now();
    const isDone = nowMs - startedAtMs >= minutes * 60_000;
    if (isDone || nowMs - reportedAtMs >= reportEveryMs) {
      console.log(`${runs} inputs in ${((nowMs - startedAtMs) / 1_000).toFixed(0)} s, ${pool.length} kept, ${coverage.size} places reached`);
      reportedAtMs = nowMs;
    }
    if (isDone) return 0;
    runs++;
    const role = random.pick(roles);
    const isFresh = random.integer(1, freshEvery) === 1 || pool.length === 0;
    const input = isFresh ? validInput(role, random) : mutateInput(random.pick(pool), random.pick(pool), random);
    if (stops(input)) return 1;
    if (coverage.takeNew() === 0) continue;
    if (pool.length < poolMax) pool.push(input);
    else pool[random.integer(0, poolMax - 1)] = input;
    if (grow && bytesOf(input) <= corpusInputBytesMax) keep(input, `grown from seed ${seed}: reached what nothing before it did`);
  }
}

function stops(input: FuzzInput): boolean {
  const problem = problemOf(input);
  if (problem === '') return false;
  const path = join(tmpdir(), `fuzz-failure-${nameOf(input)}`);
  const text = formatInput(shrink(input), problem);
  writeFileSync(path, text);
  console.log(`FAILED ${problem}\n${text}repeat with: npm run fuzz -- --replay ${path}`);
  return true;
}

function bytesOf(input: FuzzInput): number {
  return input.items.reduce((sum, item) => sum + item.length, 0);
}

/** Takes out of the corpus what reaches nothing that a smaller input does not reach. */
function prune(): number {
  using coverage = new CodeCoverage(isEngine, false);
  for (const { path, input } of readCorpus().toSorted((a, b) => bytesOf(a.input) - bytesOf(b.input))) {
    if (stops(input)) return 1;
    if (coverage.takeNew() === 0) rmSync(path);
  }
  return 0;
}

function keep(input: FuzzInput, comment: string): void {
  writeFileSync(join(corpusDirectory, nameOf(input)), formatInput(input, comment));
}

function nameOf(input: FuzzInput): string {
  return `${input.role}-${createHash('sha256').update(formatInput(input, '')).digest('hex').slice(0, 12)}.txt`;
}

function replay(paths: readonly string[]): number {
  let problems = 0;
  for (const path of paths) {
    const input = parseInput(readFileSync(path, 'utf8'));
    try {
      const { fault } = runInput(input);
      console.log(`${path}: passes, ${fault === undefined ? 'the connection was not ended' : `the connection was ended with code ${fault}`}`);
    } catch (thrown) {
      problems++;
      console.log(`${path}:`, thrown);
    }
  }
  return problems;
}

function main(): void {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { minutes: { type: 'string', default: '1' }, role: { type: 'string' }, seed: { type: 'string' }, grow: { type: 'boolean', default: false }, prune: { type: 'boolean', default: false }, replay: { type: 'boolean', default: false } },
  });
  const [minutes, seed] = [Number(values.minutes), Number(values.seed ?? Date.now() % 2 ** 31)];
  const roles: readonly Role[] = values.role === 'server' || values.role === 'client' ? [values.role] : bothRoles;
  if (!(minutes > 0) || !Number.isInteger(seed) || values.replay !== positionals.length > 0) {
    console.error('usage: npm run fuzz -- [--minutes N] [--role server|client] [--seed N] [--grow] | --prune | --replay FILE ...');
    process.exitCode = 2;
    return;
  }
  if (values.prune) {
    process.exitCode = prune();
    return;
  }
  if (!values.replay) console.log(`seed ${seed}, ${minutes} min, ${roles.join(' and ')}`);
  process.exitCode = (values.replay ? replay(positionals) : fuzz({ roles, seed, minutes, grow: values.grow })) === 0 ? 0 : 1;
}

if (import.meta.main) main();
