// Every record in one read, no read larger than it may be, and no two that one would have done for.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { seededRandom } from '../testing/seeded-random.ts';
import { planReads } from './read-plan.ts';
import type { WantedRecord } from './read-plan.ts';

const limits = { gapBytesMax: 4096, readBytesMax: 262_144 };

function wanted(...places: readonly (readonly [segment: number, offset: number, bytes: number])[]): WantedRecord[] {
  return places.map(([segment, offset, bytes], index) => ({ index, segment, offset, bytes }));
}

function planned(records: readonly WantedRecord[]): string[] {
  return planReads(records, limits).map(({ segment, offset, bytes, records: inside }) => `${segment}: ${offset}+${bytes} [${inside.map(({ index }) => index).join(' ')}]`);
}

describe('planReads', () => {
  it('reads neighbours together, across gaps that are small enough, in any order of asking', () => {
    assert.deepEqual(planned([]), []);
    assert.deepEqual(planned(wanted([1, 64, 100], [1, 164, 100], [1, 264 + 4096, 8])), ['1: 64+4304 [0 1 2]']);
    assert.deepEqual(planned(wanted([1, 64, 100], [1, 164 + 4097, 8])), ['1: 64+100 [0]', '1: 4261+8 [1]']);
    assert.deepEqual(planned(wanted([2, 0, 8], [1, 500, 8], [1, 0, 8], [2, 8, 8])), ['1: 0+508 [2 1]', '2: 0+16 [0 3]']);
  });

  it('keeps to the length of a read, but for a record that is longer', () => {
    const half = limits.readBytesMax / 2;
    assert.deepEqual(planned(wanted([1, 0, half], [1, half, half], [1, 2 * half, 1])), [`1: 0+${2 * half} [0 1]`, `1: ${2 * half}+1 [2]`]);
    assert.deepEqual(planned(wanted([1, 0, 300_000], [1, 300_000, 8])), ['1: 0+300000 [0]', '1: 300000+8 [1]']);
  });

  it('reads a record that is wanted twice once', () => {
    assert.deepEqual(planned(wanted([1, 0, 300_000], [1, 0, 300_000], [1, 0, 300_000])), ['1: 0+300000 [0 1 2]']);
    assert.deepEqual(planned(wanted([1, 0, 100], [1, 8, 16])), ['1: 0+100 [0 1]'], 'also a part of it');
  });

  it('covers all that is wanted, for any set of records', (t) => {
    const random = seededRandom(t);
    for (let round = 0; round < 300; round += 1) {
      // Records as a log has them, some of them wanted, some twice.
      const log: WantedRecord[] = [];
      for (let offset = 0; offset < 1_500_000; ) {
        const bytes = 8 * random.integer(8, random.pick([20, 1000, 8000]));
        log.push({ index: 0, segment: random.integer(1, 3), offset, bytes });
        offset += bytes;
      }
      const records = Array.from({ length: random.integer(1, 200) }, (_, index) => ({ ...random.pick(log), index }));
      const reads = planReads(records, limits);
      const seen: number[] = [];
      for (const [index, read] of reads.entries()) {
        for (const record of read.records) {
          seen.push(record.index);
          assert.equal(record.segment, read.segment);
          assert.ok(record.offset >= read.offset && record.offset + record.bytes <= read.offset + read.bytes);
        }
        assert.ok(read.bytes <= limits.readBytesMax);
        assert.equal(read.offset, Math.min(...read.records.map(({ offset }) => offset)), 'begins with a record');
        assert.equal(read.offset + read.bytes, Math.max(...read.records.map(({ offset, bytes }) => offset + bytes)), 'ends with one');
        const next = reads[index + 1];
        if (next === undefined || next.segment !== read.segment) continue;
        const [first] = next.records;
        assert.ok(next.offset >= read.offset + read.bytes, 'nothing is read twice');
        assert.ok(first && (next.offset - read.offset - read.bytes > limits.gapBytesMax || first.offset + first.bytes - read.offset > limits.readBytesMax), 'the next one begins because it must');
      }
      assert.deepEqual(seen.toSorted((a, b) => a - b), records.map(({ index }) => index));
    }
  });
});
