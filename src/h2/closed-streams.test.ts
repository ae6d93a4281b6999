// What is remembered of closed streams, and for how long.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ClosedStreams } from './closed-streams.ts';

describe('ClosedStreams', () => {
  it('tells how streams closed, up to 1,024 of each kind, and forgets the oldest', () => {
    const closed = new ClosedStreams();
    assert.equal(closed.find(1), undefined);
    for (let count = 0; count < 5_000; count++) {
      closed.add(4 * count + 1, 'ended');
      closed.add(4 * count + 3, 'reset');
      const oldest = Math.max(0, count - 1_023);
      assert.deepEqual([closed.find(4 * count + 1), closed.find(4 * count + 3)], ['ended', 'reset']);
      assert.deepEqual([closed.find(4 * oldest + 1), closed.find(4 * oldest + 3)], ['ended', 'reset'], `${count}`);
      if (oldest > 0) assert.deepEqual([closed.find(4 * oldest - 3), closed.find(4 * oldest - 1)], [undefined, undefined], `${count}`);
    }
  });
});
