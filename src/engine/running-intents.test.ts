// Intents of uploads that run: where their records count while they are moved on.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RunningIntents } from './running-intents.ts';
import { SegmentTable } from './segment-table.ts';

function table(): { readonly segments: SegmentTable; readonly ordinals: readonly number[] } {
  const segments = new SegmentTable();
  const ordinals = [0, 1].map(
    (id) => segments.add({ id, stream: 'blob', nonce: Buffer.alloc(8), segmentBytes: 2 ** 20, begunS: 0, state: 'sealed', endOffset: 4_096, records: 0, sealSequence: undefined }).ordinal,
  );
  return { segments, ordinals };
}

describe('running intents', () => {
  it('count where their last copy stands, until their upload ends', () => {
    const { segments, ordinals } = table();
    const [first = 0, second = 0] = ordinals;
    const intents = new RunningIntents(segments);
    intents.begin({ segment: first, offset: 4_096, bytes: 88, sequence: 7 });
    assert.deepEqual([intents.isRunning(7), intents.isAt(7, first, 4_096), intents.isAt(7, first, 8_192), segments.at(first).liveBytes], [true, true, false, 88]);
    assert.equal(intents.moved(7, { segment: second, offset: 8_192, bytes: 88 }), true);
    assert.deepEqual([intents.isAt(7, first, 4_096), intents.isAt(7, second, 8_192)], [false, true]);
    assert.deepEqual([segments.at(first).liveCount, segments.at(second).liveBytes], [0, 88]);
    intents.end(7);
    intents.end(7);
    assert.deepEqual([intents.isRunning(7), segments.at(second).liveCount], [false, 0]);
  });

  it('a copy of one whose upload has ended meanwhile does not count', () => {
    const { segments, ordinals } = table();
    const [first = 0, second = 0] = ordinals;
    const intents = new RunningIntents(segments);
    intents.begin({ segment: first, offset: 4_096, bytes: 88, sequence: 7 });
    intents.end(7);
    assert.equal(intents.moved(7, { segment: second, offset: 8_192, bytes: 88 }), false);
    assert.equal(segments.at(second).liveCount, 0);
  });
});
