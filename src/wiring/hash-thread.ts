// The entry of a thread that hashes large bodies.
import { assert } from '../base/assert.ts';
import { digestFunctionNamed } from '../digest/digest-function.ts';
import { serveHashes } from '../platform/hash-worker.ts';

serveHashes((functionName) => {
  const row = digestFunctionNamed(functionName);
  assert(row !== undefined, 'who asks has the function from the same table');
  return row.createHasher();
});
