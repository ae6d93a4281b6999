// `npm run bench -- [name ...] [--quick]`: starts Kiln and its references on free ports and prints a table.
// Absolute figures move from machine to machine and from hour to hour; ratios of one run are what counts.
import { spawnSync } from 'node:child_process';
import { cpus, release } from 'node:os';
import { parseArgs } from 'node:util';
import { generatorCore, serverCore } from './harness/processes.ts';
import type { BenchOptions } from './harness/options.ts';
import { unary } from './unary.bench.ts';

const benchmarks: Readonly<Record<string, (options: BenchOptions) => Promise<void>>> = { unary };

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { quick: { type: 'boolean', default: false } },
});
const names = positionals.length > 0 ? positionals : Object.keys(benchmarks);
const unknown = names.filter((name) => benchmarks[name] === undefined);
const lacking = ['h2load', 'taskset'].filter((tool) => spawnSync(tool, ['--version']).error !== undefined);
if (unknown.length > 0) {
  console.error(`no benchmark is called ${unknown.join(', ')}; there are: ${Object.keys(benchmarks).join(', ')}`);
  process.exitCode = 2;
} else if (process.platform !== 'linux' || cpus().length < 2 || lacking.length > 0) {
  console.error('benchmarks need Linux, two cores, taskset (util-linux) and h2load (Debian: apt-get install nghttp2-client)');
  process.exitCode = 1;
} else {
  console.log(`${cpus()[0]?.model ?? 'unknown CPU'}, ${cpus().length} cores, Linux ${release()}, Node ${process.versions.node}`);
  console.log(`server on core ${serverCore}, h2load on core ${generatorCore}; command: npm run bench -- ${process.argv.slice(2).join(' ')}`);
  for (const name of names) await benchmarks[name]?.(values);
}
