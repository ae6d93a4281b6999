// The set of one call, against a Set.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { DigestKey } from '../digest/digest.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import { SeenKeys } from './seen-keys.ts';

describe('SeenKeys', () => {
  it('takes every key once, as a Set does', (t) => {
    const random = seededRandom(t);
    for (let round = 0; round < 200; round += 1) {
      const seen = new SeenKeys();
      const set = new Set<DigestKey>();
      for (let count = 0; count < 10; count += 1) {
        const key = `${random.integer(0, 4)}` as DigestKey;
        assert.equal(seen.add(key), !set.has(key));
        set.add(key);
      }
    }
  });
});
