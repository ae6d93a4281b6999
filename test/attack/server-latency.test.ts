// Quantiles of what happened between two scrapes.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { quantileBetween } from './server-latency.ts';

it('takes only what came in between, and interpolates within its bucket', () => {
  const before = [[0.001, 100], [0.002, 100], [Infinity, 100]] as const;
  const after = [[0.001, 190], [0.002, 200], [Infinity, 200]] as const;
  assert.equal(quantileBetween(before, after, 0.5).toFixed(0), '556');
  assert.equal(quantileBetween(before, after, 0.95).toFixed(0), '1500');
  assert.equal(quantileBetween([], after, 0.95).toFixed(0), '1000');
  assert.ok(Number.isNaN(quantileBetween(after, after, 0.5)));
});
