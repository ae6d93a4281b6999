// From what the program was started with to the options of `kiln serve`. Precedence: flag, environment, file, default.
import * as z from 'zod/mini';
import { CacheError } from '../base/cache-error.ts';
import { readFlags } from './command-line.ts';
import { readEnvironment } from './environment.ts';
import { schemaMistakes } from './schema-mistakes.ts';
import { serveOptionsOf } from './serve-options.ts';
import type { ServeOptions } from './serve-options.ts';
import { serveKeys, serveSchema } from './serve-schema.ts';
import { TreeBuilder, valueAt } from './source.ts';
import type { Mistake, Source } from './source.ts';
import type { StartContext } from './start-context.ts';

/**
 * The options of `kiln serve`. Anything unknown or malformed is an error: a misspelt limit or right that is passed
 * over in silence would run with the default.
 * @throws CacheError `invalid_argument`: for each mistake a line what is wrong and a line what to do, with an empty
 *   line between them.
 */
export async function readServeOptions(context: StartContext): Promise<ServeOptions> {
  const read = [readFlags('serve', serveKeys, context), readEnvironment('serve', serveKeys, context)];
  const sources = read.map(({ source }) => source);
  const mistakes = read.flatMap(({ source, mistakes: own }) => [...own, ...schemaMistakes(serveSchema, serveKeys, source)]);
  if (mistakes.length > 0) throw mistakesError(mistakes);
  const values = z.parse(serveSchema, merged(sources));
  return serveOptionsOf(values, context, sources.every(({ tree }) => valueAt(tree, ['listen']) === undefined));
}

function mistakesError(mistakes: readonly Mistake[]): CacheError {
  return new CacheError('invalid_argument', mistakes.map(({ problem, advice }) => `${problem}\n${advice}`).join('\n\n'));
}

/** For every key the text of the first source that has one; paths are absolute. */
function merged(sources: readonly Source[]): unknown {
  const builder = new TreeBuilder();
  for (const { path, resolve } of serveKeys) {
    const source = sources.find(({ tree }) => valueAt(tree, path) !== undefined);
    if (source === undefined) continue;
    const value = valueAt(source.tree, path);
    const absolute = (text: unknown) => (typeof text === 'string' && resolve !== undefined ? resolve(text, source.directory) : text);
    builder.set(path, Array.isArray(value) ? value.map(absolute) : absolute(value));
  }
  return builder.tree;
}
