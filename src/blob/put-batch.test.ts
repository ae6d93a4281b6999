// Puts of one batch, settled by the test.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CacheError } from '../base/cache-error.ts';
import type { PutSettled } from '../engine/small-puts.ts';
import { PutBatch } from './put-batch.ts';

const busy = new CacheError('busy', 'full');

describe('PutBatch', () => {
  it('waits for all that were begun, and keeps the outcome of each in its place', async () => {
    const batch = new PutBatch(4);
    const open: PutSettled[] = [];
    batch.begin(0, (settled) => void open.push(settled));
    batch.begin(1, (settled) => settled()); // at once
    batch.begin(3, (settled) => void open.push(settled));
    let isOver = false;
    const all = batch.end().then(() => (isOver = true));
    open[1]?.(busy);
    await Promise.resolve();
    assert.equal(isOver, false);
    open[0]?.();
    await all;
    assert.deepEqual(batch.results, [undefined, undefined, undefined, busy]);
  });

  it('takes a refusal that is thrown for the outcome, and is over at once with nothing', async () => {
    const batch = new PutBatch(1);
    batch.begin(0, () => {
      throw busy;
    });
    await batch.end();
    assert.deepEqual(batch.results, [busy]);
    await new PutBatch(0).end();
  });

  it('throws mistakes of ours', () => {
    const mistake = new TypeError('oh');
    assert.throws(() => new PutBatch(1).begin(0, () => {
      throw mistake;
    }), mistake);
  });
});
