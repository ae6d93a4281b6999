// Turns arguments and environment into the values of an option table. Precedence: flag, environment, default.
import { CacheError } from '../base/cache-error.ts';
import { nearestName } from './nearest-name.ts';
import type { Option, OptionTable, OptionValues } from './option.ts';

/** What the process was started with. Passed in: nothing here looks at the real one. */
export interface StartContext {
  /** After the command's name. */
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly workingDirectory: string;
  /** As in `process.platform`. */
  readonly platform: string;
}

/** Environment variables with this beginning belong to the test programs. */
const testEnvironmentPrefix = 'KILN_TEST_';

/**
 * The value of every option in `table`. Anything unknown or malformed is an error: a misspelt limit or right
 * that is passed over in silence would run with the default.
 * @throws CacheError `invalid_argument`; first line what is wrong, second line what to do.
 */
export function parseOptions<Table extends OptionTable>(command: string, table: Table, context: StartContext): OptionValues<Table> {
  refuseUnknownEnvironment(command, table, context.environment);
  const byFlag = textsByFlag(command, table, context.args);
  const values: Record<string, readonly unknown[]> = {};
  for (const [name, option] of Object.entries(table)) {
    const fromFlag = byFlag.get(option.flag);
    const fromEnvironment = context.environment[option.environment] ?? '';
    const parse = (source: string, texts: readonly string[]) => texts.map((text) => parseValue(option, source, text, context));
    if (fromFlag !== undefined) values[name] = parse(`${option.flag} `, fromFlag);
    else if (fromEnvironment !== '') {
      const texts = option.repeats === true ? fromEnvironment.split(',') : [fromEnvironment];
      values[name] = parse(`${option.environment}=`, texts);
    } else values[name] = 'text' in option.default ? parse(`${option.flag} `, [option.default.text]) : [];
  }
  // Built key by key from the table itself, which the compiler cannot follow.
  return values as OptionValues<Table>;
}

/** `source` is what stands before a value: `--flag ` or `VARIABLE=`. */
function parseValue(option: Option<unknown>, source: string, text: string, context: StartContext): unknown {
  try {
    return option.type.parse(text, context.workingDirectory);
  } catch (error) {
    if (!(error instanceof CacheError)) throw error;
    throw usageError(`${source.trim().replace(/=$/, '')}: ${error.message}`, `example: ${source}${option.example}`);
  }
}

/** The texts given per flag, as `--flag VALUE` or `--flag=VALUE`. */
function textsByFlag(command: string, table: OptionTable, args: readonly string[]): Map<string, string[]> {
  const options = new Map<string, Option<unknown>>(Object.values(table).map((option) => [option.flag, option]));
  const texts = new Map<string, string[]>();
  const rest = args[Symbol.iterator]();
  for (const argument of rest) {
    if (!argument.startsWith('-') || argument === '-') {
      throw usageError(`unexpected argument ${JSON.stringify(argument)}`, `kiln ${command} takes options only; "kiln help ${command}" lists them`);
    }
    const equals = argument.indexOf('=');
    const flag = equals === -1 ? argument : argument.slice(0, equals);
    const option = options.get(flag);
    if (option === undefined) throw usageError(`unknown option ${flag}`, adviceForUnknown(command, flag, [...options.values()]));
    const text = equals === -1 ? rest.next().value : argument.slice(equals + 1);
    if (text === undefined) throw usageError(`${flag} needs a value`, `example: ${flag} ${option.example}`);
    const earlier = texts.get(flag) ?? [];
    if (earlier.length > 0 && option.repeats !== true) throw usageError(`${flag} is given twice`, `give ${flag} once`);
    texts.set(flag, [...earlier, text]);
  }
  return texts;
}

function adviceForUnknown(command: string, flag: string, options: readonly Option<unknown>[]): string {
  const nearest = nearestName(flag, options.map((option) => option.flag));
  const option = options.find((candidate) => candidate.flag === nearest);
  if (option === undefined) return `"kiln help ${command}" lists the options`;
  return `did you mean ${option.flag}? example: ${option.flag} ${option.example}`;
}

function refuseUnknownEnvironment(command: string, table: OptionTable, environment: StartContext['environment']): void {
  const options = Object.values(table);
  const known = new Set<string>(options.map((option) => option.environment));
  for (const [variable, value] of Object.entries(environment)) {
    if (!variable.startsWith('KILN_') || variable.startsWith(testEnvironmentPrefix) || known.has(variable) || (value ?? '') === '') continue;
    const nearest = nearestName(variable, known);
    const option = options.find((candidate) => candidate.environment === nearest);
    throw usageError(
      `unknown environment variable ${variable}`,
      option === undefined
        ? `unset it; "kiln help ${command}" lists the variables Kiln reads`
        : `did you mean ${option.environment}? example: ${option.environment}=${option.example}`,
    );
  }
}

function usageError(problem: string, advice: string): CacheError {
  return new CacheError('invalid_argument', `${problem}\n${advice}`);
}
