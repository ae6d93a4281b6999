// Values given as flags: `--flag VALUE` or `--flag=VALUE`.
import { alsoCalled } from './also-called.ts';
import type { Key } from './key.ts';
import { nearestName } from './nearest-name.ts';
import { TreeBuilder } from './source.ts';
import type { Mistake, Place, Source } from './source.ts';
import type { StartContext } from './start-context.ts';

/** A source, and what was wrong on the way to it. */
export interface ReadSource {
  readonly source: Source;
  readonly mistakes: readonly Mistake[];
}

/** @param command as typed after `kiln`, for advice; all that come here take the options of `kiln serve`. */
export function readFlags(command: string, keys: readonly Key[], context: Pick<StartContext, 'args' | 'workingDirectory'>): ReadSource {
  const { given, mistakes } = textsByKey(command, keys, context.args);
  const builder = new TreeBuilder();
  for (const [key, texts] of given) {
    const flag = key.flag ?? '';
    if (key.shape === 'list') builder.set(key.path, texts);
    else if (texts.length === 1) builder.set(key.path, texts[0]);
    else mistakes.push({ origin: { kind: 'flag', flag }, problem: `${flag} is given twice`, advice: `give ${flag} once` });
  }
  const source: Source = {
    tree: builder.tree,
    directory: context.workingDirectory,
    origin: (place) => ({ kind: 'flag', flag: flagAt(place) }),
    originOfName: (place) => ({ kind: 'flag', flag: flagAt(place) }),
    example: (place, { example }) => `${flagAt(place)} ${example}`,
  };
  return { source, mistakes };
}

function flagAt(place: Place): string {
  return `--${place.filter((step) => typeof step === 'string').join('-')}`;
}

function textsByKey(command: string, keys: readonly Key[], args: readonly string[]): { given: Map<Key, string[]>; mistakes: Mistake[] } {
  const given = new Map<Key, string[]>();
  const mistakes: Mistake[] = [];
  for (let index = 0; index < args.length; index += 1) {
    const argument = args[index] ?? '';
    const equals = argument.indexOf('=');
    const flag = equals === -1 ? argument : argument.slice(0, equals);
    const origin = { kind: 'flag', flag } as const;
    if (!argument.startsWith('-') || argument === '-') {
      mistakes.push({ origin, problem: `unexpected argument ${JSON.stringify(argument)}`, advice: adviceForArgument(command, argument) });
      continue;
    }
    const key = keys.find((candidate) => candidate.flag === flag);
    const next = args[index + 1];
    // What looks like an option is no value: somebody forgot the value before it.
    const text = equals === -1 ? (next?.startsWith('--') === true ? undefined : next) : argument.slice(equals + 1);
    if (equals === -1 && text !== undefined) index += 1;
    if (key === undefined) mistakes.push({ origin, problem: `unknown option ${flag}`, advice: adviceForUnknown(flag, keys) });
    else if (text === undefined) mistakes.push({ origin, problem: `${flag} needs a value`, advice: `example: ${flag} ${key.example}` });
    else given.set(key, [...(given.get(key) ?? []), text]);
  }
  return { given, mistakes };
}

function adviceForArgument(command: string, argument: string): string {
  if (/\.ya?ml$/.test(argument)) return `did you mean --config ${argument}?`;
  return `kiln ${command} takes options only; "kiln help serve" lists them`;
}

function adviceForUnknown(flag: string, keys: readonly Key[]): string {
  const nearest = nearestName(flag, keys.flatMap((key) => key.flag ?? []));
  // --level for --log-level: people remember the last word.
  const name = flag.replace(/^-+/, '');
  const key = keys.find((candidate) => (nearest === undefined ? candidate.flag?.endsWith(`-${name}`) === true || candidate.name === alsoCalled.get(name) : candidate.flag === nearest));
  if (key?.flag !== undefined) return `did you mean ${key.flag}? example: ${key.flag} ${key.example}`;
  const inFile = keys.find((candidate) => candidate.flag === undefined && `--${candidate.path.join('-')}` === flag);
  return inFile === undefined ? '"kiln help serve" lists the options' : `${inFile.name} is given in the file${inFile.environment === undefined ? '' : ` or as ${inFile.environment}`} only: --config FILE`;
}
