// The entry of the program: finds the command, runs it, and ends with its status.
import { fileURLToPath } from 'node:url';
import type { CacheError } from '../base/cache-error.ts';
import { nearestName } from '../config/nearest-name.ts';
import { wallClock } from '../platform/clocks.ts';
import { cacheCompiledCode, catchHangUps, catchStopSignals, endAtOnce, exitNow, openOutput, processStart } from '../platform/process.ts';
import type { ProcessStart } from '../platform/process.ts';
import { commandHelp, generalHelp } from './help.ts';
import type { CommandSummary } from './help.ts';
import { reportFailure } from './report-failure.ts';
import { statusSummary } from './status-help.ts';
import { exitStatus } from './terminal.ts';
import type { Terminal } from './terminal.ts';
import { tokenSummary } from './token-help.ts';
import { usageError } from './usage-error.ts';
import { version } from './version.ts';

interface Command {
  readonly summary: CommandSummary;
  /** `start.args` are the command's own. Gives the exit status. */
  run(start: ProcessStart, terminal: Terminal): number | Promise<number>;
}

const serveSummary: CommandSummary = {
  name: 'serve',
  synopsis: 'serve [options]',
  summary: 'serves a build cache over gRPC (Remote Execution API v2) and HTTP on one port',
  options: serveOptionHelp,
  notes: [
    'SIGTERM and SIGINT stop it: no new work is taken, running calls finish, and it ends with status 143',
    'or 130. A second signal ends it at once; what was acknowledged is safe in any case. SIGHUP reads the',
    'configuration again; the log says what has changed, and what needs a restart.',
  ].join('\n'),
};

const serveIntroduction = [
  'Every option has a flag, an environment variable and a key in the YAML file of --config; a flag goes',
  'before the variable, and that before the file. In the file the parts of a name are nested:',
  '--log-level debug is log: {level: debug}. In a variable, several values are separated by commas.',
  'Sizes have a unit (KiB, MiB, GiB, TiB, or KB, MB, GB, TB), and so have durations (ms, s, m, h, d).',
].join('\n');

const configSummary: CommandSummary = {
  name: 'config',
  synopsis: 'config check|print|schema',
  summary: 'checks and shows the configuration of kiln serve',
  notes: [
    '  kiln config check [--config FILE]',
    '      Says whether the file, flags and variables are all right, and starts nothing. Otherwise it names every mistake with its line and column and what to write instead, and ends with status 2.',
    '  kiln config print [--config FILE]',
    '      Prints what is in effect as YAML that can be used as a file, and behind # where each value comes from: a line of the file, a flag, a variable, or the default. Secrets are not printed.',
    '  kiln config schema',
    '      Prints the JSON Schema of the file. An editor with support for YAML completes and checks keys by it when the file begins with the line',
    '        # yaml-language-server: $schema=/path/to/kiln.schema.json',
    '',
    'check and print take every option of kiln serve, and read its variables. A first file:',
    '',
    '  listen: [0.0.0.0:9092]',
    '  data: /var/cache/kiln',
    '  max-size: 100GiB',
    '  allow-anonymous: read',
    '  log:',
    '    level: info',
  ].join('\n'),
};

const commands: readonly Command[] = [
  // Loaded when asked for: the rest of the program is needed by this command only.
  { summary: serveSummary, run: serve },
  { summary: statusSummary, run: async (start, to) => (await import('./status-command.ts')).status(start, to) },
  { summary: tokenSummary, run: async (start, to) => (await import('./token-command.ts')).token(start, to) },
  { summary: configSummary, run: async (start, to) => (await import('./config-command.ts')).config(start, to) },
  { summary: { name: 'version', synopsis: 'version', summary: 'prints the version' }, run: printVersion },
  { summary: { name: 'help', synopsis: 'help [command]', summary: 'explains a command and its options' }, run: printHelp },
];

/**
 * To load the rest and to read the configuration takes a while, in which a SIGHUP is to end nothing, and a SIGTERM the
 * first process of a container as well.
 */
async function serve(start: ProcessStart, to: Terminal): Promise<number> {
  using stops = catchStopSignals();
  using hangUps = catchHangUps();
  const command = await import('./serve-command.ts');
  return await command.serve(start, to, { hangUps, stops });
}

/** Loaded when asked for: the schema takes longer to load than most commands take altogether. */
async function serveOptionHelp(): Promise<string> {
  const [{ optionHelp }, { startKeys }] = await Promise.all([import('../config/option-help.ts'), import('../config/serve-schema.ts')]);
  return `${serveIntroduction}\n\n${optionHelp(startKeys)}`;
}

/** Inside the package, so that it is exactly as trustworthy as the source. */
const compiledCodeDirectory = fileURLToPath(new URL('../../node_modules/.cache/kiln', import.meta.url));

const terminal = openOutput();
cacheCompiledCode(compiledCodeDirectory);
try {
  exitNow(await main(processStart()));
} catch (thrown) {
  // A regular end would wait for a disk that does not answer, which may be what went wrong.
  endAtOnce(reportFailure(thrown, terminal, wallClock));
}

async function main(start: ProcessStart): Promise<number> {
  const [name, ...args] = start.args;
  switch (name) {
    case undefined:
      terminal.error(generalHelp(commands.map(({ summary }) => summary)));
      return exitStatus.usage;
    case '--help':
    case '-h':
      return printHelp({ ...start, args }, terminal);
    case '--version':
      return printVersion({ ...start, args }, terminal);
    default: {
      const command = commandNamed(name);
      if (args.includes('--help') || args.includes('-h')) return printHelp({ ...start, args: [name] }, terminal);
      return command.run({ ...start, args }, terminal);
    }
  }
}

/** Whether the help of `command` is also that of `command word`, as in "kiln help config check". */
function hasSubcommand({ summary }: Command, word: string): boolean {
  return /^[a-z]+$/.test(word) && summary.synopsis.split(/[ |]/).slice(1).includes(word);
}

/** @throws CacheError `invalid_argument` that names the nearest command. */
function commandNamed(name: string): Command {
  const command = commands.find(({ summary }) => summary.name === name);
  if (command !== undefined) return command;
  throw unknownCommand(name);
}

function unknownCommand(name: string): CacheError {
  const nearest = nearestName(name, commands.map(({ summary }) => summary.name));
  return usageError(`unknown command ${JSON.stringify(name)}`, nearest === undefined ? '"kiln help" lists the commands' : `did you mean kiln ${nearest}? "kiln help" lists the commands`);
}

function printVersion({ args }: ProcessStart, { out }: Terminal): number {
  if (args[0] !== undefined) throw usageError(`unexpected argument ${JSON.stringify(args[0])}`, '"kiln version" takes none');
  out(`kiln ${version}\n`);
  return exitStatus.fine;
}

async function printHelp({ args }: ProcessStart, { out }: Terminal): Promise<number> {
  const [name, subcommand, extra] = args;
  const unexpected = subcommand !== undefined && name !== undefined && !hasSubcommand(commandNamed(name), subcommand) ? subcommand : extra;
  if (unexpected !== undefined) throw usageError(`unexpected argument ${JSON.stringify(unexpected)}`, '"kiln help" takes one command');
  out(name === undefined ? generalHelp(commands.map(({ summary }) => summary)) : await commandHelp(commandNamed(name).summary));
  return exitStatus.fine;
}
