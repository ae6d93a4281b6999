// A command line that makes no sense.
import { CacheError } from '../base/cache-error.ts';

/** Reported as one line each, with exit status 2. */
export function usageError(problem: string, advice: string): CacheError {
  return new CacheError('invalid_argument', `${problem}\n${advice}`);
}
