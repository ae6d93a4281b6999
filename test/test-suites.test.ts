// The test runner itself: every test file is run by exactly one suite, and no failure passes for a success.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { globSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { filesOf } from '../scripts/run-tests.ts';
import type { Totals } from '../scripts/test-report.ts';
import { suites } from '../scripts/test-suites.ts';

const root = resolve(import.meta.dirname, '..');

/** Runs and reports the test file given as text, in a process of its own: node:test does not run within itself. */
function runAndReport(t: TestContext, text: string): Totals & { lines: string[] } {
  const directory = mkdtempSync(join(tmpdir(), 'kiln-runner-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const file = join(directory, 'sample.test.mjs');
  writeFileSync(file, `import { describe, it } from 'node:test';\nimport assert from 'node:assert/strict';\n${text}\n`);
  const program = `
    import { run } from 'node:test';
    import { testProcessFlags } from ${JSON.stringify(join(root, 'scripts/run-tests.ts'))};
    import { report } from ${JSON.stringify(join(root, 'scripts/test-report.ts'))};
    const lines = [];
    const events = run({ files: [${JSON.stringify(file)}], execArgv: testProcessFlags(500) });
    console.log(JSON.stringify({ ...await report(events, (line) => lines.push(line)), lines }));`;
  const runner = join(directory, 'runner.mjs'); // a file, since run() hands the flags of its own process on
  writeFileSync(runner, program);
  const { NODE_TEST_CONTEXT: _, ...environment } = process.env;
  return JSON.parse(execFileSync(process.execPath, [runner], { env: environment, encoding: 'utf8' })) as Totals & { lines: string[] };
}

describe('the suites', () => {
  it('share all test files among them, each in one suite', () => {
    const owned = suites.flatMap((suite) => filesOf(suite, []));
    assert.deepEqual(owned.toSorted(), globSync('{src,test,bench,scripts}/**/*.test.ts', { exclude: ['**/node_modules/**'] }).toSorted());
  });
});

describe('the report', () => {
  it('counts what passed and prints nothing of it', (t) => {
    assert.deepEqual(runAndReport(t, "describe('a', () => { it('b', () => {}); it('c', () => {}); });"), { passed: 2, failed: 0, skipped: 0, lines: [] });
  });

  it('names a failure by its place and its whole title, with its reason and what the file printed', (t) => {
    const { passed, failed, lines } = runAndReport(t, "describe('a', () => { it('b', () => { console.log('seen'); assert.equal(1, 2, 'one is not two'); }); it('c', () => {}); });");
    assert.deepEqual([passed, failed], [1, 1]);
    const text = lines.join('\n');
    assert.match(text, /^FAILED \S+sample\.test\.mjs:3 a > b$/m);
    assert.match(text, /AssertionError: one is not two/);
    assert.match(text, /\| seen$/m);
  });

  it('counts a test that hangs as failed and says that it timed out', (t) => {
    const { failed, lines } = runAndReport(t, "it('a', () => new Promise(() => {})); setInterval(() => {}, 1000);");
    assert.equal(failed, 1);
    assert.match(lines.join('\n'), /timed out after 500ms/);
  });

  it('ends a file that leaves a listener open, as failed, and says what was open', (t) => {
    const { failed, lines } = runAndReport(t, "import { createServer } from 'node:net'; it('a', () => { createServer().listen(0, '127.0.0.1'); });");
    assert.equal(failed, 1);
    assert.match(lines.join('\n'), /still open 2000 ms after the last test:.*TCPServerWrap/);
  });

  it('prints the reason of a skip', (t) => {
    const { skipped, lines } = runAndReport(t, "it('a', { skip: 'no such tool here' }, () => {});");
    assert.equal(skipped, 1);
    assert.deepEqual(lines, ['  skipped: a: no such tool here']);
  });

  it('counts a file that ends its process as failed', (t) => {
    assert.equal(runAndReport(t, "it('a', () => process.exit(3));").failed, 1);
    const { failed, lines } = runAndReport(t, "it('a', () => {}); it('b', () => process.exit(0)); it('c', () => {});");
    assert.equal(failed, 1);
    assert.match(lines.join('\n'), /the process ended before its tests did/);
  });

  it('shows the causes of an error', (t) => {
    const { lines } = runAndReport(t, "it('a', () => { throw new Error('outer', { cause: new Error('inner') }); });");
    assert.match(lines.join('\n'), /Error: outer[^]*caused by Error: inner/);
  });
});
