// Runs suites of tests one after the other and ends with one line, "N passed, N failed". Exits with 1 on any
// failure, and when a suite held fewer tests than it must.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, globSync } from 'node:fs';
import { matchesGlob, resolve } from 'node:path';
import { run } from 'node:test';
import { parseArgs } from 'node:util';
import { report } from './test-report.ts';
import type { Totals } from './test-report.ts';
import { defaultSuites, suites } from './test-suites.ts';
import type { Suite } from './test-suites.ts';

/** Times every timeout: for slow machines, and for tests that are told to take long. */
const patience = Number(process.env['KILN_TEST_PATIENCE'] ?? '1');
const nothing: Totals = { passed: 0, failed: 0, skipped: 0 };

/** The test files of a suite whose path holds one of `parts` (all when there are none), sorted. */
export function filesOf(suite: Suite, parts: readonly string[]): string[] {
  const found = globSync([...suite.include]).filter((path) => !suite.exclude.some((pattern) => matchesGlob(path, pattern)));
  return found.filter((path) => parts.length === 0 || parts.some((part) => path.includes(part))).toSorted();
}

/** The flags of a process that runs one test file. */
export function testProcessFlags(testTimeoutMs: number): string[] {
  return [`--import=${import.meta.resolve('./end-of-tests.ts')}`, `--test-timeout=${testTimeoutMs}`];
}

async function runSuite(suite: Suite, parts: readonly string[], interrupted: AbortSignal): Promise<Totals> {
  const startedAtMs = performance.now();
  console.log(`\n${suite.name}`);
  let totals = nothing;
  for (const command of parts.length === 0 ? suite.commands : []) totals = sum(totals, await runCommand(command));
  const files = filesOf(suite, parts);
  if (files.length > 0) {
    const tests = run({
      files: files.map((path) => resolve(path)),
      concurrency: suite.concurrency,
      execArgv: testProcessFlags(suite.testTimeoutMs * patience),
      signal: AbortSignal.any([interrupted, AbortSignal.timeout(suite.suiteTimeoutMs * patience)]),
    });
    totals = sum(totals, await report(tests, console.log));
  }
  const count = totals.passed + totals.failed + totals.skipped;
  const countMin = parts.length === 0 ? suite.testsMin : 1;
  if (count < countMin) {
    console.log(`FAILED ${suite.name}: ${count} tests were found, at least ${countMin} must be: a file or a glob is missing`);
    totals = sum(totals, { ...nothing, failed: 1 });
  }
  console.log(`${suite.name}: ${wording(totals)} in ${((performance.now() - startedAtMs) / 1000).toFixed(1)} s`);
  return totals;
}

/** A command counts as one test. */
async function runCommand([program, ...args]: readonly [string, ...string[]]): Promise<Totals> {
  const child = spawn(program, args, { stdio: 'inherit' });
  const status = await once(child, 'exit').then(([code]: unknown[]) => code, (error: unknown) => error);
  if (status === 0) return { ...nothing, passed: 1 };
  console.log(`FAILED ${program} ${args.join(' ')}: ended with ${String(status)}`);
  return { ...nothing, failed: 1 };
}

function sum(left: Totals, right: Totals): Totals {
  return { passed: left.passed + right.passed, failed: left.failed + right.failed, skipped: left.skipped + right.skipped };
}

function wording({ passed, failed, skipped }: Totals): string {
  return `${passed} passed, ${failed} failed${skipped === 0 ? '' : `, ${skipped} skipped`}`;
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { totals: { type: 'string' } } });
  // What is no suite is a part of a path: `npm run test:unit -- src/h2`.
  const named = suites.filter(({ name }) => positionals.includes(name));
  const parts = positionals.filter((word) => !suites.some(({ name }) => name === word));
  const chosen = named.length > 0 ? named : suites.filter(({ name }) => defaultSuites.includes(name));
  const interruption = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => interruption.abort());
  let totals = nothing;
  for (const suite of chosen) {
    if (!interruption.signal.aborted) totals = sum(totals, await runSuite(suite, parts, interruption.signal));
  }
  if (interruption.signal.aborted) totals = sum(totals, { ...nothing, failed: 1 });
  if (values.totals !== undefined) appendFileSync(values.totals, `${totals.passed} ${totals.failed} ${totals.skipped}\n`);
  console.log(`\n${wording(totals)}`);
  process.exitCode = totals.failed === 0 ? 0 : 1;
}

if (import.meta.main) await main();
