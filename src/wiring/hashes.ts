// Hashing for the stores: the digest functions that are served, on threads for large bodies.
import { assert } from '../base/assert.ts';
import { digestFunctionNamed } from '../digest/digest-function.ts';
import type { DigestFunctionName } from '../digest/digest-function.ts';
import { HashPool } from '../platform/hash-pool.ts';
import { entryBeside } from '../platform/thread.ts';

/** Limits as `HashPoolOptions`. The opener disposes the pool. */
export function openHashes(limits: { readonly threadsMax: number; readonly ringsMax: number }): HashPool<DigestFunctionName> {
  return new HashPool({
    ...limits,
    entry: entryBeside(import.meta.url, './hash-thread.ts'),
    createHasher(functionName) {
      const row = digestFunctionNamed(functionName);
      assert(row !== undefined, 'every name of the type has a row');
      return row.createHasher();
    },
  });
}
