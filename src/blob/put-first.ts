// What all stores of values do alike when the first writer wins.
import { CacheError } from '../base/cache-error.ts';
import type { ValueKey, ValueKind } from './value-store.ts';

const otherKind: Readonly<Record<ValueKind, ValueKind>> = { action_result: 'opaque', opaque: 'action_result' };

/** The key of what other readers of the same path may get. */
export function besideOf(key: ValueKey): ValueKey {
  return { ...key, kind: otherKind[key.kind] };
}

/** How often `putFirst` looks again because others put something else in between. Far more than happens by chance. */
export const putFirstAttemptsMax = 16;
/** By then they are done, or somebody writes in a loop. */
const busyRetryMs = 1_000;

/** What `putFirst` throws when every attempt met another put. */
export function alwaysChanging(key: ValueKey): CacheError {
  return new CacheError('busy', `the entry ${key.hash} is being replaced again and again by others; try again`, { details: [{ kind: 'retry_after', delayMs: busyRetryMs }] });
}
