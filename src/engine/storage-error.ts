// What failures of the operating system mean to those who store. The system's own error stays the cause.
import { CacheError } from '../base/cache-error.ts';

/** How soon a call that failed for want of file descriptors may be tried again. */
const descriptorRetryMs = 1_000;

/**
 * The result of `operation`; a failure of the operating system becomes a CacheError that says what was being done.
 * @throws CacheError `resource_exhausted` (the disk or a quota is full), `unavailable` (anything else the system
 *   refuses: a sick disk is not an empty one). Errors that are not the system's pass unchanged.
 */
export async function io<T>(doing: string, operation: Promise<T>): Promise<T> {
  try {
    return await operation;
  } catch (thrown) {
    throw storageError(doing, thrown);
  }
}

/** What is thrown instead of `thrown`; see `io`. */
export function storageError(doing: string, thrown: unknown): unknown {
  const code = systemCode(thrown);
  switch (code) {
    case undefined:
      return thrown;
    case 'ENOSPC':
    case 'EDQUOT':
      return new CacheError('disk_full', `cannot ${doing}: the disk is full (${code}); free space or lower --max-size`, { cause: thrown });
    case 'EMFILE':
    case 'ENFILE':
      return new CacheError('busy', `cannot ${doing}: no file descriptor is free (${code}); raise the limit (ulimit -n)`, {
        cause: thrown,
        details: [{ kind: 'retry_after', delayMs: descriptorRetryMs }],
      });
    default:
      return new CacheError('unavailable', `cannot ${doing}: the system reports ${code}`, { cause: thrown });
  }
}

/** The `code` of an error of the operating system ("ENOENT"), looked for among the causes too. */
export function systemCode(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error)) return undefined;
  if ('code' in thrown && 'syscall' in thrown && typeof thrown.code === 'string') return thrown.code;
  return systemCode(thrown.cause);
}
