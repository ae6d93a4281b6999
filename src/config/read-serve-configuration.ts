// The options of `kiln serve`, or an error that names every mistake.
import { CacheError } from '../base/cache-error.ts';
import { readConfiguration } from './read-configuration.ts';
import type { Configuration, ReadFile } from './read-configuration.ts';
import type { Mistake } from './source.ts';
import type { StartContext } from './start-context.ts';

/** Nobody reads more at a time, and the first ones often cause the rest. */
const mistakesShownMax = 20;

/**
 * Anything unknown or malformed is an error: a misspelt limit or right that is passed over in silence would run with
 * the default.
 * @param command as typed after `kiln`, for advice.
 * @throws CacheError `invalid_argument`, see `mistakesError`.
 */
export async function readServeConfiguration(context: StartContext, readFile: ReadFile, command = 'serve'): Promise<Configuration> {
  const read = await readConfiguration(command, context, readFile);
  if ('mistakes' in read) throw mistakesError(read.mistakes);
  return read.configuration;
}

/** For each mistake a line what is wrong and a line what to do, with an empty line between mistakes. */
function mistakesError(mistakes: readonly Mistake[]): CacheError {
  return new CacheError('invalid_argument', mistakesText(mistakes));
}

function mistakesText(mistakes: readonly Mistake[]): string {
  const shown = mistakes.slice(0, mistakesShownMax).map(({ problem, advice }) => `${problem}\n${advice}`);
  if (mistakes.length > shown.length) shown.push(`${mistakes.length - shown.length} more mistakes are not shown\nset these right first`);
  return shown.join('\n\n');
}
