// What the schema refuses, in words: where it was given, the value, and what to write instead.
import * as z from 'zod/mini';
import type { Key } from './key.ts';
import { nearestName } from './nearest-name.ts';
import { formatOrigin } from './source.ts';
import type { Mistake, Place, Source } from './source.ts';

type Issue = z.core.$ZodIssue;

/** Everything in `source` that `schema` refuses; none when all is well. */
export function schemaMistakes(schema: z.ZodMiniType, keys: readonly Key[], source: Source): Mistake[] {
  const read = z.safeParse(schema, source.tree);
  return read.success ? [] : read.error.issues.flatMap((issue) => describe(issue, { schema, keys, source }));
}

interface Context {
  readonly schema: z.ZodMiniType;
  readonly keys: readonly Key[];
  readonly source: Source;
}

function describe(issue: Issue, context: Context): Mistake[] {
  const place = issue.path.filter((step) => typeof step !== 'symbol');
  if (issue.code === 'unrecognized_keys') return issue.keys.map((name) => unknownKey(place, name, context));
  const { source, keys } = context;
  const key = keyAt(keys, place);
  const origin = source.origin(place);
  return [{ origin, problem: `${formatOrigin(origin)}: ${problemOf(issue)}`, advice: key === undefined ? 'see the reference' : `example: ${source.example(key, key.example)}` }];
}

function problemOf(issue: Issue): string {
  if (issue.code === 'invalid_type') return 'is missing, or not of the right form';
  if (issue.code === 'too_small') return 'the list is empty';
  return issue.code === 'invalid_key' ? (issue.issues[0]?.message ?? 'is no valid name') : issue.message;
}

function unknownKey(place: Place, name: string, { source, keys }: Context): Mistake {
  const origin = source.origin([...place, name]);
  const siblings = keys.filter(({ path }) => path.length > place.length && place.every((step, index) => path[index] === step)).map(({ path }) => path[place.length] ?? '');
  const nearest = nearestName(name, siblings);
  return {
    origin,
    problem: `${formatOrigin(origin)}: unknown key ${JSON.stringify([...place, name].join('.'))}`,
    advice: nearest === undefined ? `known here: ${[...new Set(siblings)].join(', ')}` : `did you mean ${nearest}?`,
  };
}

function keyAt(keys: readonly Key[], place: Place): Key | undefined {
  return keys.find(({ path }) => path.every((name, index) => place[index] === name));
}
