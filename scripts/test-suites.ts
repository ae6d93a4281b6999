// Which tests there are, and how each kind is run. A new folder of tests needs a row here;
// test/test-suites.test.ts fails until every test file belongs to exactly one suite.

/** A kind of test that is run in one go. */
export interface Suite {
  readonly name: 'check' | 'unit' | 'e2e' | 'crash' | 'memory' | 'attack' | 'ci';
  /** Globs below the root. */
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  /** Commands that count as one test each. */
  readonly commands: readonly (readonly [string, ...string[]])[];
  /** Fewer tests than this means that a glob went wrong, which node:test would call a success. */
  readonly testsMin: number;
  readonly testTimeoutMs: number;
  /** Of the whole suite; what has not ended by then is cancelled. */
  readonly suiteTimeoutMs: number;
  /** Files at a time. */
  readonly concurrency: number;
}

/** Tests that reach the repository as a whole or real clients live in folders of their own below test/. */
const ownFolders = ['test/e2e/**', 'test/e2e-ci/**', 'test/crash/**', 'test/memory/**', 'test/attack/**'];

export const suites: readonly Suite[] = [
  {
    name: 'check',
    include: ['test/tidy.test.ts'],
    exclude: [],
    commands: [['tsc', '-p', 'tsconfig.json'], ['oxlint', '--deny-warnings']],
    testsMin: 105,
    testTimeoutMs: 30_000,
    suiteTimeoutMs: 120_000,
    concurrency: 1,
  },
  {
    name: 'unit',
    include: ['src/**/*.test.ts', 'test/**/*.test.ts', 'bench/**/*.test.ts'],
    exclude: ['test/tidy.test.ts', 'src/**/*.crash.test.ts', ...ownFolders],
    commands: [],
    testsMin: 2_000,
    testTimeoutMs: 180_000, // the longest needs 11 s of a processor, which it may share with many
    suiteTimeoutMs: 1_800_000, // two cores to itself need 200 s
    concurrency: 2,
  },
  {
    name: 'e2e',
    include: ['test/e2e/**/*.test.ts'],
    exclude: [],
    commands: [],
    testsMin: 14,
    testTimeoutMs: 240_000, // a whole build of a real tool, on two slow cores
    suiteTimeoutMs: 1_800_000, // beside much other work it has needed 600 s
    concurrency: 1, // a build tool takes all cores for itself
  },
  {
    name: 'crash',
    include: ['test/crash/**/*.test.ts', 'src/**/*.crash.test.ts'],
    exclude: [],
    commands: [],
    testsMin: 36,
    testTimeoutMs: 600_000, // beside much other work, what needs 60 s of a processor
    suiteTimeoutMs: 3_000_000, // 100,000 simulated crashes need 200 s of a processor, all the rest 300 s
    concurrency: 2, // most of it simulates, and the rest waits for disks
  },
  {
    name: 'attack',
    include: ['test/attack/**/*.test.ts'],
    exclude: [],
    commands: [],
    testsMin: 50,
    testTimeoutMs: 120_000,
    suiteTimeoutMs: 900_000,
    concurrency: 1, // it looks at the memory of a server that is attacked, beside calls that must not suffer
  },
  {
    name: 'memory',
    include: ['test/memory/**/*.test.ts'],
    exclude: [],
    commands: [],
    testsMin: 4,
    testTimeoutMs: 180_000, // 2,000 clients that are slow for 12 s, and what it takes to begin and end them
    suiteTimeoutMs: 720_000,
    concurrency: 1, // it measures
  },
  {
    name: 'ci',
    include: ['test/e2e-ci/**/*.test.ts'],
    exclude: [],
    commands: [],
    testsMin: 95,
    testTimeoutMs: 300_000,
    suiteTimeoutMs: 2_400_000,
    concurrency: 1,
  },
];

/** What `npm test` runs: what tells a user that everything works here. The others take as long again, or need root. */
export const defaultSuites: readonly Suite['name'][] = ['check', 'unit', 'e2e'];
