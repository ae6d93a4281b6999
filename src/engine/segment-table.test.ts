// Rows of segments: what counts, who needs them, and when they may go.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { StreamName } from './segment-format.ts';
import { segmentHeaderBytes } from './segment-format.ts';
import { SegmentTable } from './segment-table.ts';
import type { SegmentRow } from './segment-table.ts';

const segmentBytes = 2 ** 20;

function begun(table: SegmentTable, stream: StreamName = 'blob'): SegmentRow {
  const id = table.takeId();
  return table.add({ id, stream, nonce: new Uint8Array(8).fill(id), segmentBytes, begunS: 1, state: 'open', endOffset: segmentHeaderBytes, records: 0, sealSequence: undefined });
}

describe('SegmentTable', () => {
  it('counts what is live, by segment and by stream, and never below nothing', () => {
    const table = new SegmentTable();
    const [blob, value] = [begun(table), begun(table, 'value')];
    table.addLive(blob.ordinal, 100);
    table.addLive(blob.ordinal, 60);
    table.addLive(value.ordinal, 8);
    table.takeLive(blob.ordinal, 100);
    assert.deepEqual([blob.liveBytes, blob.liveCount, table.liveBytesOf('blob'), table.liveBytesOf('value')], [60, 1, 60, 8]);
    assert.deepEqual([table.bytesOf('blob'), table.countOf('value'), table.count], [segmentBytes, 1, 2]);
    assert.throws(() => table.takeLive(blob.ordinal, 61), /no more is taken/);
  });

  it('gives every id once, above all that were seen', () => {
    const table = new SegmentTable();
    begun(table);
    table.skipIds(7);
    table.skipIds(3);
    assert.equal(table.takeId(), 7);
    assert.equal(begun(table).id, 8);
    assert.throws(() => table.add({ ...begun(table, 'value'), id: 2, stream: 'blob', state: 'sealed' }), /order of their ids/);
  });

  it('knows the oldest of a stream, and the first that records come into', () => {
    const table = new SegmentTable();
    const [first, second, other] = [begun(table), begun(table), begun(table, 'touch')];
    first.state = 'sealed';
    assert.equal(table.oldest('blob'), first);
    assert.equal(table.open('blob'), second);
    assert.equal(table.open('touch'), other);
    assert.equal(table.oldest('value'), undefined);
    table.release(first.ordinal);
    assert.deepEqual(Array.from(table.of('blob')), [second]);
  });

  it('uses the ordinal of a segment again once it is released, and not before', () => {
    const table = new SegmentTable();
    const [first, second] = [begun(table), begun(table)];
    table.addLive(first.ordinal, 8);
    assert.throws(() => table.release(first.ordinal), /nothing refers to it/);
    table.takeLive(first.ordinal, 8);
    table.beginRead(first.ordinal);
    assert.throws(() => table.release(first.ordinal), /nothing refers to it/);
    table.endRead(first.ordinal);
    table.release(first.ordinal);
    assert.throws(() => table.at(first.ordinal), /in the table/);
    const third = begun(table);
    assert.equal(third.ordinal, first.ordinal);
    assert.equal(table.at(third.ordinal), third);
    assert.notEqual(second.ordinal, third.ordinal);
  });

  it('K2-15: tells when nobody reads a segment and every file that it removes is gone', async () => {
    const table = new SegmentTable();
    const { ordinal } = begun(table);
    table.beginRead(ordinal);
    table.beginRead(ordinal);
    table.beginRemoval(ordinal);
    let isUnused = false;
    const unused = table.whenUnused(ordinal).then(() => (isUnused = true));
    const steps = [(): void => table.endRead(ordinal), (): void => table.endRemoval(ordinal), (): void => table.endRead(ordinal)];
    for (const step of steps) {
      await Promise.resolve();
      assert.equal(isUnused, false);
      step();
    }
    await unused;
    await table.whenUnused(ordinal);
    assert.throws(() => table.endRead(ordinal), /ends once/);
  });

  it('finds a dead segment only where nothing counts, nothing is removed, and nothing is written', () => {
    const table = new SegmentTable();
    const [open, live, removing, dead, touch] = [begun(table), begun(table), begun(table), begun(table, 'value'), begun(table, 'touch')];
    for (const row of [live, removing, dead, touch]) row.state = 'sealed';
    table.addLive(live.ordinal, 8);
    table.addTombstone(removing.ordinal);
    assert.equal(table.dead(), dead);
    dead.state = 'recycling';
    assert.equal(table.dead(), undefined);
    open.state = 'failed';
    assert.equal(table.dead(), open);
  });
});
