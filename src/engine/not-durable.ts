// What a caller is told whose bytes could not be made durable.
import { CacheError } from '../base/cache-error.ts';
import { storageError } from './storage-error.ts';

/** The refusal of a put whose record does not count: the system's reason in words, or what the log says. */
export function notDurable(cause: unknown): CacheError {
  const error = storageError('write to the log', cause);
  return error instanceof CacheError ? error : new CacheError('unavailable', 'cannot write to the log', { cause });
}
