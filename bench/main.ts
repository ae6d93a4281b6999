// `npm run bench -- [NAME ...]`: starts Kiln and its references on free ports, checks their answers, and prints what
// was measured. Absolute figures move from machine to machine and from hour to hour; ratios of one run are what counts.
// Ends with status 1 when an answer was wrong, 2 when the words make no sense, and never because something was slow.
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { attackKinds } from './attacks/kinds.ts';
import { benchmarks } from './catalogue.ts';
import { allReferences } from './contenders/contenders.ts';
import { findProgram } from './contenders/installed-program.ts';
import { kiln } from './contenders/kiln.ts';
import { reused } from './contenders/reused.ts';
import type { Contender } from './contenders/contender.ts';
import type { BenchContext } from './harness/context.ts';
import { isInMemory, measureSync } from './harness/disk-sync.ts';
import { checkNames, parseWords, usage } from './harness/options.ts';
import type { BenchOptions } from './harness/options.ts';
import { findPinning } from './harness/pinning.ts';
import { killAll } from './harness/children.ts';
import { removeTree } from './harness/processes.ts';
import { describeMachine, exitStatus, reportJson, reportVersion } from './harness/report.ts';
import type { Report, Section } from './harness/report.ts';
import { machineText, sectionText } from './harness/table.ts';
import { writeTlsFiles } from './harness/tls-files.ts';

const syncTimes = 50;
/** Generators and servers of ours are started by the hundred; from what was compiled before, each takes half the time. */
const compiledCode = fileURLToPath(new URL('../node_modules/.cache/bench', import.meta.url));

async function main(): Promise<number> {
  const words = process.argv.slice(2);
  let options: BenchOptions;
  try {
    options = parseWords(words);
    checkNames('benchmark', options.names, benchmarks.map(({ name }) => name));
    checkNames('attack', options.attacks, attackKinds.map(({ name }) => name));
    checkNames('reference', options.references ?? [], allReferences().map(({ name }) => name));
  } catch (thrown) {
    console.error(`${thrown instanceof Error ? thrown.message : String(thrown)}\n\n${usage}`);
    return 2;
  }
  if (options.help) {
    console.log(usage);
    return 0;
  }
  if (options.list) return list();
  if (process.platform !== 'linux') {
    console.error('benchmarks need Linux: CPU time and memory of the servers are read from /proc');
    return 1;
  }
  try {
    // Before an hour of measuring, not after it.
    if (options.jsonFile !== undefined) writeFileSync(options.jsonFile, '', { flag: 'a' });
  } catch (thrown) {
    console.error(`--json ${options.jsonFile}: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
    return 2;
  }
  process.env['NODE_COMPILE_CACHE'] ??= compiledCode;
  const startedMs = performance.now();
  const report = await run(options, `npm run bench -- ${words.join(' ')}`.trim());
  if (options.jsonFile !== undefined) writeFileSync(options.jsonFile, reportJson(report));
  console.log(`\ntook ${((performance.now() - startedMs) / 1_000).toFixed(0)} s`);
  for (const what of report.missing) console.log(`NOT MEASURED: ${what}`);
  for (const what of report.wrong) console.error(`FAILED: ${what}`);
  return exitStatus(report);
}

async function run(options: BenchOptions, command: string): Promise<Report> {
  await using stack = new AsyncDisposableStack();
  const root = mkdtempSync(join(tmpdir(), 'kiln-bench-'));
  stack.defer(() => removeTree(root));
  // However this ends, nobody and nothing is left behind.
  process.on('exit', () => {
    killAll();
    removeTree(root); // what is killed may still be writing; removeTree tries again
  });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => process.exit(signal === 'SIGINT' ? 130 : 143));
  }
  const sections: Section[] = [];
  const missing: string[] = [];
  const wrong: string[] = [];
  const pinning = findPinning();
  const machine = describeMachine(pinning);
  const date = new Date().toISOString();
  const syncMicroseconds = measureSync(root, syncTimes);
  console.log(`${date}  ${command}\n${machineText(machine)}`);
  console.log(pinning.lacking === undefined ? `servers on core ${pinning.server}, generator on core ${pinning.generator}` : `NOT PINNED: ${pinning.lacking}; figures mix what server and generator cost`);
  console.log(`one fdatasync of 4 KiB in ${root}: ${syncMicroseconds.median.toFixed(0)} us (${syncMicroseconds.min.toFixed(0)}..${syncMicroseconds.max.toFixed(0)})`);
  if (isInMemory(root)) missing.push('syncs: the directory for temporary files is in memory, where they are free; set TMPDIR to one on a disk');
  const known = allReferences().filter(({ name }) => options.references?.includes(name) ?? true);
  for (const { name, lacking } of known) if (lacking !== undefined) missing.push(`${name}: ${lacking}`);
  const ready = (contender: Contender): Contender => (options.quick ? reused(contender, stack) : contender);
  const context: BenchContext = {
    quick: options.quick,
    rounds: options.rounds,
    pinning,
    kiln: ready(kiln),
    references: known.filter(({ lacking }) => lacking === undefined).map(ready),
    h2load: findProgram(['h2load']),
    tls: writeTlsFiles(root),
    attacks: options.attacks,
    newDirectory: () => mkdtempSync(join(root, 'place-')),
    progress: (line) => console.log(line),
    report(section) {
      sections.push(section);
      console.log(sectionText(section));
    },
    missing: (what) => void missing.push(what),
    wrong: (what) => void wrong.push(what),
  };
  if (context.h2load === undefined) missing.push('h2load is not installed (Debian: nghttp2-client); the own generator takes its place where it can');
  for (const benchmark of benchmarks) {
    if (options.names.length > 0 && !options.names.includes(benchmark.name)) continue;
    const startedMs = performance.now();
    await benchmark.run(context).catch((thrown: unknown) => context.wrong(`${benchmark.name}: ${String(thrown)}`));
    console.log(`  ${benchmark.name}: ${((performance.now() - startedMs) / 1_000).toFixed(0)} s`);
  }
  return { version: reportVersion, date, command, quick: options.quick, rounds: options.rounds, machine, syncMicroseconds, sections, missing, wrong };
}

function list(): number {
  const rows = (entries: readonly (readonly [string, string])[]) => entries.map(([name, text]) => `  ${name.padEnd(20)} ${text}`);
  const references = allReferences().map(({ name, about, lacking }) => [name, lacking === undefined ? about : `${about} (${lacking})`] as const);
  console.log(['Benchmarks:', ...rows(benchmarks.map(({ name, title }) => [name, title])), '', 'References:', ...rows(references), '', 'Attacks:', ...attackKinds.map(({ name }) => `  ${name}`)].join('\n'));
  return 0;
}

process.exitCode = await main();
