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
    const all = batch.end();
    void all.then(() => (isOver = true));
    open[1]?.(busy);
    await Promise.resolve();
    assert.equal(isOver, false);
    open[0]?.();
    assert.deepEqual(await all, [undefined, undefined, undefined, busy]);
  });

  it('waits for others, and rejects as they do', async () => {
    const batch = new PutBatch(2);
    const others = Promise.withResolvers<void>();
    batch.add(others.promise);
    batch.begin(0, (settled) => settled());
    let isOver = false;
    const all = batch.end();
    void all.then(() => (isOver = true));
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(isOver, false);
    batch.results[1] = busy;
    others.resolve();
    assert.deepEqual(await all, [undefined, busy]);
    const mistaken = new PutBatch(1);
    mistaken.add(Promise.reject(new TypeError('oh')));
    await assert.rejects(mistaken.end(), TypeError);
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
