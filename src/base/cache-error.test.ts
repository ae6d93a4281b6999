// What the error class keeps of where it was made.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CacheError } from './cache-error.ts';

describe('CacheError', () => {
  it('has a stack where the fault is ours, and none for misses and refusals', () => {
    const made = (kind: ConstructorParameters<typeof CacheError>[0]): string => new CacheError(kind, 'why').stack ?? '';
    for (const kind of ['internal', 'data_loss', 'corrupt'] as const) assert.match(made(kind), /cache-error\.test\.ts/, kind);
    for (const kind of ['not_found', 'invalid_argument', 'permission_denied', 'busy'] as const) assert.doesNotMatch(made(kind), /\bat\b/, kind);
    assert.match(new Error('somebody else').stack ?? '', /cache-error\.test\.ts/, 'and leaves those of others alone');
  });
});
