// What the schema refuses, in words: where it was given, the value, and what to write instead.
import * as z from 'zod/mini';
import { alsoCalled } from './also-called.ts';
import { keysOf, lookInto } from './key.ts';
import type { Key, KeyForm, SchemaPlace } from './key.ts';
import { namesSharingPart, nearestName } from './nearest-name.ts';
import { formatOrigin, nothing, valueAt } from './source.ts';
import type { Mistake, Origin, Place, Source } from './source.ts';

/** Room for the longest problem with a value of usual length. */
const problemCharsMax = 500;

/**
 * Everything in `source` that `schema` refuses, in the order of the file; none when all is well. Values of secrets are
 * not repeated.
 */
export function schemaMistakes(schema: z.ZodMiniType, source: Source): Mistake[] {
  const read = z.safeParse(schema, source.tree);
  if (read.success) return [];
  const issues = read.error.issues.flatMap((issue) => settledIssues(issue, source.tree));
  const misspelt = new Set<string>();
  const mistakes = issues.flatMap((issue) => {
    const place = placeOf(issue);
    if (issue.code !== 'unrecognized_keys') return [];
    return issue.keys.map((name) => {
      const { mistake, meant } = unknownKey([...place, name], schemaAt(schema, place), { schema, source });
      misspelt.add(JSON.stringify([...place, meant]));
      return mistake;
    });
  });
  for (const issue of issues) {
    const place = placeOf(issue);
    // What is missing only because its name is misspelt needs no second answer.
    if (issue.code === 'unrecognized_keys' || (valueAt(source.tree, place) === undefined && misspelt.has(JSON.stringify(place)))) continue;
    mistakes.push(wrongValue(issue, place, { found: schemaAt(schema, place), source }));
  }
  return mistakes.map((mistake) => ({ ...mistake, problem: shortened(mistake.problem) })).sort((one, other) => byPosition(one.origin, other.origin));
}

/** Where a text or a structure may stand: what is wrong with the one that does. */
function settledIssues(issue: z.core.$ZodIssue, tree: unknown): z.core.$ZodIssue[] {
  if (issue.code !== 'invalid_union') return [issue];
  const value = valueAt(tree, placeOf(issue));
  const own = issue.errors[typeof value === 'object' && value !== null ? 1 : 0] ?? [];
  return own.map((inner) => ({ ...inner, path: [...issue.path, ...inner.path] }));
}

/** Whatever was pasted into the wrong place, its beginning is enough to find it. */
function shortened(problem: string): string {
  return problem.length <= problemCharsMax ? problem : `${problem.slice(0, problemCharsMax)}... (${problem.length} characters)`;
}

function placeOf(issue: z.core.$ZodIssue): Place {
  return issue.path.filter((step) => typeof step !== 'symbol');
}

function byPosition(one: Origin, other: Origin): number {
  return one.kind === 'file' && other.kind === 'file' ? one.line - other.line || one.column - other.column : 0;
}

/** What the schema says of a place, as far down as it goes: names that users choose are not in it. */
interface Found extends SchemaPlace {
  readonly place: Place;
}

function schemaAt(schema: z.ZodMiniType, place: Place): Found {
  let at = lookInto(schema);
  for (const [depth, step] of place.entries()) {
    const below = typeof step === 'number' ? at.element : at.members?.get(step);
    if (below === undefined) return { ...at, place: place.slice(0, depth) };
    at = lookInto(below, at.key);
  }
  return { ...at, place };
}

function wrongValue(issue: z.core.$ZodIssue, place: Place, { found, source }: { found: Found; source: Source }): Mistake {
  if (issue.code === 'invalid_key') return wrongName(issue, place, { found, source });
  const value = valueAt(source.tree, place);
  const names = place.filter((step) => typeof step === 'string');
  const origin = source.origin(place);
  const at = (problem: string) => `${subject(origin, names)}${problem}`;
  const { key, members } = found;
  if (value === undefined) {
    const name = names.at(-1) ?? '';
    return { origin, problem: `${subject(origin, names.slice(0, -1))}${name} is missing`, advice: key === undefined ? `add it: ${name}: VALUE` : `add it: ${source.example(found.place, key)}` };
  }
  if (issue.code === 'invalid_type') return { origin, problem: at(formMistake(value, place, found)), advice: adviceOnForm(found, source) };
  if (key === undefined) return { origin, problem: at(issue.message), advice: `known here: ${[...(members?.keys() ?? [])].join(', ')}` };
  return { origin, problem: at(problemOf(issue)), advice: adviceFor(value, found.place, { key, source }) };
}

/** What a text about `names` begins with. A flag or variable says by itself which key it is. */
function subject(origin: Origin, names: readonly string[]): string {
  const where = formatOrigin(origin);
  return origin.kind === 'file' && names.length > 0 ? `${where}: ${names.join('.')}: ` : `${where}: `;
}

/** Of names that users choose. `place` ends with it. */
function wrongName(issue: z.core.$ZodIssueInvalidKey, place: Place, { found, source }: { found: Found; source: Source }): Mistake {
  const origin = source.originOfName(place);
  const names = found.place.filter((step) => typeof step === 'string');
  const problem = issue.issues[0]?.message ?? `${JSON.stringify(place.at(-1))} is not a name`;
  return { origin, problem: `${subject(origin, names)}${problem}`, advice: found.key === undefined ? 'choose another name' : `example: ${source.example(found.place, found.key)}` };
}

function problemOf(issue: z.core.$ZodIssue): string {
  return issue.code === 'too_small' ? 'the list is empty' : issue.message;
}

/** A list, a map, a text or nothing stands where another of them belongs. */
function formMistake(value: unknown, place: Place, found: Found): string {
  const { key, members, element } = found;
  if (value === nothing) return 'has no value';
  const is = Array.isArray(value) ? 'a list' : typeof value === 'object' ? 'a group of keys' : mayBeSecret(found) ? 'one value' : `the value ${JSON.stringify(value)}`;
  if (members !== undefined) return `is ${is}, but should be ${key?.member === undefined ? '' : 'one value or '}a group of keys`;
  if (element !== undefined) return `is ${is}, but should be a list`;
  const isOneOfPairs = place.length > found.place.length;
  return key?.shape === 'pairs' && !isOneOfPairs ? `is ${is}, but should be names with a value each` : `is ${is}, but should be one value`;
}

/** Also what stands for a whole identity, or for all of a tokens file: a token by itself, or a file of passwords. */
function mayBeSecret({ key, members }: SchemaPlace): boolean {
  return key === undefined ? members === undefined : key.secret === true || key.shape === 'nested';
}

function adviceOnForm({ key, members, element, place }: Found, source: Source): string {
  if (members !== undefined && place.length > 0 && key?.member === undefined) return `write its keys on lines of their own below it, indented: ${[...members.keys()].join(', ')}`;
  if (key !== undefined) return `example: ${source.example(place, key)}`;
  return element === undefined ? 'write "name: value"' : 'begin each element on a line of its own with "- ", as in "- name: ci"';
}

function adviceFor(value: unknown, place: Place, { key, source }: { key: KeyForm; source: Source }): string {
  const meant = typeof value === 'string' ? nearestWord(value.toLowerCase(), key.words) : undefined;
  const example = `example: ${source.example(place, meant === undefined ? key : { ...key, example: meant })}`;
  return meant === undefined ? example : `did you mean ${meant}? ${example}`;
}

/** Also a word that is longer or shorter than meant, as in warning. */
function nearestWord(text: string, words: readonly string[]): string | undefined {
  return nearestName(text, words) ?? words.find((word) => text.length > 2 && (text.startsWith(word) || word.startsWith(text)));
}

/** `place` ends with the name that nobody knows. */
function unknownKey(place: Place, { members }: SchemaPlace, { schema, source }: { schema: z.ZodMiniType; source: Source }): { mistake: Mistake; meant: string | undefined } {
  const origin = source.originOfName(place);
  const known = [...(members?.keys() ?? [])];
  const problem = `${formatOrigin(origin)}: unknown key ${JSON.stringify(place.filter((step) => typeof step === 'string').join('.'))}`;
  const meant = meantNames(String(place.at(-1)), known);
  return { mistake: { origin, problem, advice: adviceForUnknown(place, known, { schema, source }) }, meant: meant.length === 1 ? meant[0] : undefined };
}

function adviceForUnknown(place: Place, known: readonly string[], { schema, source }: { schema: z.ZodMiniType; source: Source }): string {
  const name = String(place.at(-1));
  if (name === '<<') return 'merge keys of YAML are not read here: write the keys themselves';
  const keys = keysOf(schema);
  const dotted = keys.find((key) => key.path.length > 1 && (key.name === name || key.path.join('-') === name));
  const elsewhere = dotted ?? keys.find((key) => key.path.length > 1 && key.path.at(-1) === name);
  const [nearest, ...others] = meantNames(name, known);
  if (nearest !== undefined && others.length > 0) return `did you mean one of ${[nearest, ...others].join(', ')}?`;
  if (nearest !== undefined) {
    const meant = [...place.slice(0, -1), nearest];
    const { key, members } = schemaAt(schema, meant);
    return `did you mean ${nearest}?${key === undefined || members !== undefined ? '' : ` example: ${source.example(meant, key)}`}`;
  }
  const key = elsewhere ?? (known.includes('listen') ? keys.find((candidate) => candidate.name === alsoCalled.get(name)) : undefined);
  if (key !== undefined) return adviceToWrite(key, source);
  const list = known.map((member) => [...place.slice(0, -1), member]).find((at) => schemaAt(schema, [...at, 0]).members?.has(name));
  const form = list === undefined ? undefined : schemaAt(schema, list).key;
  if (list !== undefined && form !== undefined) return `${name} belongs below ${String(list.at(-1))}: write ${source.example(list, form)}`;
  return `known here: ${known.join(', ')}`;
}

/** Where `key` belongs; for one of the top level, that it is meant. */
function adviceToWrite(key: Key, source: Source): string {
  const groups = key.path.slice(0, -1);
  const example = source.example(key.path, key);
  if (groups.length === 0) return `did you mean ${key.name}? example: ${example}`;
  return `${key.path.at(-1)} belongs below ${groups.join('.')}: write ${groups.reduceRight((text, group) => `${group}: {${text}}`, example)}`;
}

/** One that is a slip of the keys away, or else those that share a part. */
function meantNames(name: string, known: readonly string[]): readonly string[] {
  const nearest = nearestName(name, known);
  return nearest === undefined ? namesSharingPart(name, known) : [nearest];
}
