// Queued DATA comes out byte for byte, whatever the frames.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { seededRandom } from '../testing/seeded-random.ts';
import { OutputBatch } from './output-batch.ts';
import { SendQueue } from './send-queue.ts';

it('gives slices of any size out in portions of any size', (t) => {
  const random = seededRandom(t);
  const queue = new SendQueue();
  const batch = new OutputBatch();
  const put: Uint8Array[] = [];
  const got: Uint8Array[] = [];
  for (let round = 0; round < 300; round++) {
    const slices = Array.from({ length: random.integer(0, 4) }, () => random.bytes(random.pick([0, 1, 5, 3_000])));
    put.push(...slices);
    queue.push(slices, slices.reduce((sum, slice) => sum + slice.length, 0));
    queue.moveTo(batch, random.integer(0, queue.bytes));
    got.push(...batch.take());
  }
  queue.moveTo(batch, queue.bytes);
  got.push(...batch.take());
  assert.equal(queue.bytes, 0);
  assert.equal(Buffer.compare(Buffer.concat(got), Buffer.concat(put)), 0);
});
