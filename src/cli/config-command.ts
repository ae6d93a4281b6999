// `kiln config`: says whether a configuration is all right, what is in effect, and what could be written.
import { nearestName } from '../config/nearest-name.ts';
import { readServeConfiguration } from '../config/read-serve-configuration.ts';
import type { ListenerOptions, TlsOptions } from '../config/serve-options.ts';
import { wallClock } from '../platform/clocks.ts';
import type { ProcessStart } from '../platform/process.ts';
import { readSmallFile } from '../platform/small-file.ts';
import type { TlsWarning } from '../wiring/tls.ts';
import { exitStatus } from './terminal.ts';
import type { Terminal } from './terminal.ts';
import { usageError } from './usage-error.ts';

interface Subcommand {
  readonly name: string;
  run(start: ProcessStart, terminal: Terminal): Promise<void>;
}

const subcommands: readonly Subcommand[] = [
  { name: 'check', run: check },
  { name: 'print', run: print },
  { name: 'schema', run: printSchema },
];

/**
 * Gives the exit status.
 * @throws CacheError `invalid_argument` that names every mistake.
 */
export async function config(start: ProcessStart, terminal: Terminal): Promise<number> {
  const [name, ...args] = start.args;
  const subcommand = subcommands.find((candidate) => candidate.name === name);
  if (subcommand === undefined) throw unknownSubcommand(name);
  await subcommand.run({ ...start, args }, terminal);
  return exitStatus.fine;
}

function unknownSubcommand(name: string | undefined): Error {
  const names = subcommands.map((subcommand) => subcommand.name);
  if (name === undefined) return usageError('kiln config needs to know what to do', `one of: ${names.map((one) => `kiln config ${one}`).join(', ')}`);
  const nearest = nearestName(name, names);
  return usageError(`unknown command "config ${name}"`, `${nearest === undefined ? '' : `did you mean kiln config ${nearest}? `}"kiln help config" lists the commands`);
}

async function check(start: ProcessStart, { out, error }: Terminal): Promise<void> {
  const configuration = await readServeConfiguration(start, readSmallFile, 'config check');
  const { listen, tls } = configuration.options;
  for (const { problem, advice } of tls === undefined ? [] : await tlsWarnings(tls, listen)) error(`kiln: warning: ${problem}\n  ${advice}\n`);
  out(`${configuration.file ?? 'no file is named (--config FILE); what flags and variables say'} is all right\n`);
}

/** @throws CacheError `invalid_argument` for a certificate that a server would not start with. */
async function tlsWarnings(tls: TlsOptions, listen: readonly ListenerOptions[]): Promise<readonly TlsWarning[]> {
  const { checkTls, unusedWarnings } = await import('../wiring/tls.ts'); // what it takes is only loaded where there is TLS
  return [...(await checkTls(tls, wallClock)), ...unusedWarnings(tls, listen)];
}

async function print(start: ProcessStart, { out }: Terminal): Promise<void> {
  const configuration = await readServeConfiguration(start, readSmallFile, 'config print');
  const { effectiveYaml } = await import('../config/effective-configuration.ts');
  out(effectiveYaml(configuration));
}

async function printSchema({ args }: ProcessStart, { out }: Terminal): Promise<void> {
  if (args[0] !== undefined) throw usageError(`unexpected argument ${JSON.stringify(args[0])}`, '"kiln config schema" takes none');
  const { configurationJsonSchema } = await import('../config/json-schema.ts');
  out(`${JSON.stringify(configurationJsonSchema(), undefined, 2)}\n`);
}
