// What the schema refuses, in words: where it was given, the value, and what to write instead.
import * as z from 'zod/mini';
import { keysOf, lookInto } from './key.ts';
import type { KeyForm, SchemaPlace } from './key.ts';
import { nearestName } from './nearest-name.ts';
import { formatOrigin, nothing, valueAt } from './source.ts';
import type { Mistake, Origin, Place, Source } from './source.ts';

/**
 * Everything in `source` that `schema` refuses, in the order of the file; none when all is well. Values of secrets are
 * not repeated.
 */
export function schemaMistakes(schema: z.ZodMiniType, source: Source): Mistake[] {
  const read = z.safeParse(schema, source.tree);
  if (read.success) return [];
  const mistakes = read.error.issues.flatMap((issue) => {
    const place = issue.path.filter((step) => typeof step !== 'symbol');
    const found = schemaAt(schema, place);
    if (issue.code === 'unrecognized_keys') return issue.keys.map((name) => unknownKey([...place, name], found, { schema, source }));
    return [wrongValue(issue, place, { found, source })];
  });
  return mistakes.sort((one, other) => byPosition(one.origin, other.origin));
}

function byPosition(one: Origin, other: Origin): number {
  return one.kind === 'file' && other.kind === 'file' ? one.line - other.line || one.column - other.column : 0;
}

/** What the schema says of `place`, as far down as it goes. */
function schemaAt(schema: z.ZodMiniType, place: Place): SchemaPlace {
  let at = lookInto(schema);
  for (const step of place) {
    const below = typeof step === 'number' ? at.element : at.members?.get(step);
    if (below === undefined) return at;
    at = lookInto(below, at.key);
  }
  return at;
}

function wrongValue(issue: z.core.$ZodIssue, place: Place, { found, source }: { found: SchemaPlace; source: Source }): Mistake {
  const value = valueAt(source.tree, place);
  const names = place.filter((step) => typeof step === 'string');
  const origin = source.origin(place);
  const at = (problem: string) => `${subject(origin, names)}${problem}`;
  const { key, members } = found;
  if (value === undefined) {
    const name = names.at(-1) ?? '';
    return { origin, problem: `${subject(origin, names.slice(0, -1))}${name} is missing`, advice: key === undefined ? `add it: ${name}: VALUE` : `add it: ${source.example(place, key)}` };
  }
  if (issue.code === 'invalid_type') return { origin, problem: at(formMistake(value, found)), advice: adviceOnForm(place, found, source) };
  if (key === undefined) return { origin, problem: at(issue.message), advice: `known here: ${[...(members?.keys() ?? [])].join(', ')}` };
  return { origin, problem: at(problemOf(issue)), advice: adviceFor(value, place, { key, source }) };
}

/** What a text about `names` begins with. A flag or variable says by itself which key it is. */
function subject(origin: Origin, names: readonly string[]): string {
  const where = formatOrigin(origin);
  return origin.kind === 'file' && names.length > 0 ? `${where}: ${names.join('.')}: ` : `${where}: `;
}

function problemOf(issue: z.core.$ZodIssue): string {
  if (issue.code === 'too_small') return 'the list is empty';
  return issue.code === 'invalid_key' ? (issue.issues[0]?.message ?? 'is no valid name') : issue.message;
}

/** A list, a map, a text or nothing stands where another of them belongs. */
function formMistake(value: unknown, { key, members, element }: SchemaPlace): string {
  if (value === nothing) return 'has no value';
  const is = Array.isArray(value) ? 'a list' : typeof value === 'object' ? 'a group of keys' : key?.secret === true ? 'one value' : `the value ${JSON.stringify(value)}`;
  if (members !== undefined) return `is ${is}, but should be a group of keys`;
  if (element !== undefined || key?.shape === 'list') return `is ${is}, but should be a list`;
  return key?.shape === 'pairs' ? `is ${is}, but should be names with a value each` : `is ${is}, but should be one value`;
}

function adviceOnForm(place: Place, { key, members }: SchemaPlace, source: Source): string {
  if (members !== undefined && place.length > 0) return `write its keys on lines of their own below it, indented: ${[...members.keys()].join(', ')}`;
  return key === undefined ? 'write "name: value"' : `example: ${source.example(place, key)}`;
}

function adviceFor(value: unknown, place: Place, { key, source }: { key: KeyForm; source: Source }): string {
  const meant = typeof value === 'string' ? nearestName(value.toLowerCase(), key.words) : undefined;
  const example = `example: ${source.example(place, meant === undefined ? key : { ...key, example: meant })}`;
  return meant === undefined ? example : `did you mean ${meant}? ${example}`;
}

/** `place` ends with the name that nobody knows. */
function unknownKey(place: Place, { members }: SchemaPlace, { schema, source }: { schema: z.ZodMiniType; source: Source }): Mistake {
  const origin = source.originOfName(place);
  const known = [...(members?.keys() ?? [])];
  const problem = `${formatOrigin(origin)}: unknown key ${JSON.stringify(place.filter((step) => typeof step === 'string').join('.'))}`;
  return { origin, problem, advice: adviceForUnknown(place, known, { schema, source }) };
}

function adviceForUnknown(place: Place, known: readonly string[], { schema, source }: { schema: z.ZodMiniType; source: Source }): string {
  const name = String(place.at(-1));
  if (name === '<<') return 'merge keys of YAML are not read here: write the keys themselves';
  const keys = keysOf(schema);
  const dotted = keys.find((key) => key.path.length > 1 && key.name === name);
  const elsewhere = dotted ?? keys.find((key) => key.path.length > 1 && key.path.at(-1) === name);
  const nearest = nearestName(name, known);
  if (elsewhere !== undefined && nearest === undefined) {
    const [above = '', own = ''] = elsewhere.path;
    return `${own} belongs below ${above}: write ${above}: {${own}: ${elsewhere.example}}`;
  }
  if (nearest === undefined) return `known here: ${known.join(', ')}`;
  const meant = [...place.slice(0, -1), nearest];
  const { key, members } = schemaAt(schema, meant);
  return `did you mean ${nearest}?${key === undefined || members !== undefined ? '' : ` example: ${source.example(meant, key)}`}`;
}
