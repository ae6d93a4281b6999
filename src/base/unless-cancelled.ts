// Waiting for what goes on without those who wait.
import { CacheError } from './cache-error.ts';
import type { CallOptions } from './call-options.ts';

/**
 * What `work` resolves to. Cancelling ends the wait alone: the work goes on, and its failure is then for others to see.
 * `doing` says in the refusal what was waited for: "a blob was read".
 * @throws what `work` throws; CacheError `cancelled` by the signal.
 */
export async function unlessCancelled<T>(work: Promise<T>, doing: string, options?: CallOptions): Promise<T> {
  const signal = options?.signal;
  if (signal === undefined) return work;
  const { promise: left, reject } = Promise.withResolvers<never>();
  const leave = (): void => reject(new CacheError('cancelled', `the call was cancelled while ${doing}`));
  if (signal.aborted) leave();
  else signal.addEventListener('abort', leave, { once: true });
  try {
    return await Promise.race([work, left]);
  } finally {
    signal.removeEventListener('abort', leave);
  }
}
