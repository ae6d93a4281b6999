// Room for what was claimed, however it is cut and in whatever order it comes.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { seededRandom } from '../testing/seeded-random.ts';
import { roomIn } from './segment-line.ts';

describe('roomIn', () => {
  it('is the whole room of one segment, and less than a record off for each that is left', () => {
    assert.equal(roomIn([], 64), 0);
    assert.equal(roomIn([100], 64), 100);
    assert.equal(roomIn([100, 1000], 64), 100 - 56 + 1000);
    assert.equal(roomIn([40, 1000, 1000], 64), 1000 - 56 + 1000);
  });

  it('never promises a record that finds no place, over random claims', (t) => {
    const random = seededRandom(t);
    for (let round = 0; round < 2_000; round += 1) {
      const rooms = Array.from({ length: random.integer(1, 4) }, () => random.integer(0, 60) * 8);
      const largest = random.integer(1, 20) * 8;
      const records: number[] = [];
      for (let left = roomIn(rooms, largest); left > 0; ) {
        const record = Math.min(left, random.integer(1, largest / 8) * 8);
        records.push(record);
        left -= record;
      }
      let at = 0;
      const left = [...rooms];
      for (const record of records) {
        while (at < left.length && (left[at] ?? 0) < record) at += 1;
        assert.ok(at < left.length, `records ${records.join(' ')} do not go into ${rooms.join(' ')}`);
        left[at] = (left[at] ?? 0) - record;
      }
    }
  });
});
