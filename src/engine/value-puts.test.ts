// Puts of values over a log that a test settles, fails and holds up.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { sha256 } from '../digest/digest-function.ts';
import { HeldLog, heldSegment } from '../testing/held-log.ts';
import { BlobIndex } from './blob-index.ts';
import { KeyWords } from './key-words.ts';
import type { ValueIdentity } from './key-words.ts';
import { LiveEntries } from './live-entries.ts';
import { SegmentTable } from './segment-table.ts';
import { UseAges } from './use-ages.ts';
import { ValuePuts } from './value-puts.ts';

const identity: ValueIdentity = { kind: 'action_result', instance: 'main', digestFunction: sha256, hash: '0a'.repeat(32) };

function open() {
  const nowS = () => 1_000_000;
  const segments = new SegmentTable();
  const { ordinal } = segments.add({ ...heldSegment, id: 1, stream: 'value' });
  const index = { salt: [1, 2] as const, startS: nowS() };
  const entries = new LiveEntries({ blobs: new BlobIndex({ ...index, hasSequences: false }), values: new BlobIndex({ ...index, hasSequences: true }), segments, ages: new UseAges(100), nowS });
  const log = new HeldLog(ordinal);
  const puts = new ValuePuts({ entries, writer: log, nowS, written: () => undefined });
  const key = new KeyWords();
  const sequence = () => {
    key.setValue(identity);
    const slot = entries.values.find(key);
    return slot === -1 ? 0 : entries.values.sequenceOf(slot);
  };
  return { puts, log, entries, segments, sequence };
}

function value(text: string) {
  return { identity, logicalBytes: text.length, payload: Buffer.from(text), isPointer: false };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('ValuePuts', () => {
  it('AC-10: has the last put when all are durable, and counts one record as alive', async () => {
    const { puts, log, entries, segments, sequence } = open();
    const all = ['one', 'two', 'three, which is longer'].map((text) => puts.put(value(text)));
    await turn();
    assert.equal(sequence(), 0);
    log.settle();
    await Promise.all(all);
    assert.equal(sequence(), 3);
    assert.equal(segments.at(log.segment).liveCount, 1);
    assert.equal(entries.values.count, 1);
    assert.equal(puts.isUnderWay(identity), false);
  });

  it('CT-9: puts over what was looked at, and over nothing else', async () => {
    const { puts, log, sequence } = open();
    const first = puts.putOver(value('first'), 0);
    await turn();
    log.settle();
    assert.equal(await first, true);
    assert.equal(await puts.putOver(value('second'), 0), false);
    const second = puts.putOver(value('second'), sequence());
    await turn();
    log.settle();
    assert.equal(await second, true);
    assert.deepEqual(log.appended.map(({ payload }) => String(payload)), ['first', 'second']);
  });

  it('CT-9: waits for puts under way, and of any number at once one goes through', async () => {
    const { puts, log } = open();
    const all = Array.from({ length: 5 }, (_, writer) => puts.putOver(value(`writer ${writer}`), 0));
    for (let settled = 0; settled < 5; settled += 1) {
      await turn();
      log.settle();
    }
    assert.deepEqual((await Promise.all(all)).filter(Boolean), [true]);
    assert.equal(log.appended.length, 1);
  });

  it('CT-9: a put that overwrites and is under way is in the way, unless it fails', async () => {
    for (const outcome of [{ kind: 'durable' }, { kind: 'failed', cause: new Error('the disk is sick') }] as const) {
      const { puts, log } = open();
      const overwriting = puts.put(value('of who may'));
      await turn();
      const over = puts.putOver(value('first'), 0);
      await turn();
      assert.equal(log.appended.length, 1);
      log.settle(outcome);
      if (outcome.kind === 'durable') await overwriting;
      else await assert.rejects(overwriting, { code: 'unavailable' });
      await turn();
      log.settle();
      assert.equal(await over, outcome.kind === 'failed');
    }
  });

  it('K11-05: says that it waits for room, and when that is over', async () => {
    const { puts, log } = open();
    const steps: string[] = [];
    const options = { onStep: (step: string) => void steps.push(step) };
    const atOnce = puts.put(value('first'), options);
    await turn();
    log.settle();
    await atOnce;
    assert.deepEqual(steps, []);
    log.isFull = true;
    const put = puts.put(value('second'), options);
    await turn();
    assert.deepEqual(steps, ['room in the log']);
    log.giveRoom();
    await turn();
    assert.deepEqual(steps, ['room in the log', 'sync']);
    log.settle();
    await put;
  });

  it('looks again at what came while it waited for room, and holds none meanwhile', async () => {
    const { puts, log } = open();
    log.isFull = true;
    const over = puts.putOver(value('first'), 0);
    await turn();
    log.isFull = false;
    const overwriting = puts.put(value('of who may'));
    await turn();
    assert.equal(log.appended.length, 1);
    log.giveRoom();
    await turn();
    assert.equal(log.claims, 0, 'what is under way may need the room');
    log.settle();
    await overwriting;
    assert.equal(await over, false);
    assert.equal(log.claims, 0);
  });

  it('can be cancelled while another put is waited for', async () => {
    const { puts, log } = open();
    const overwriting = puts.put(value('of who may'));
    await turn();
    const abort = new AbortController();
    const over = puts.putOver(value('first'), 0, { signal: abort.signal });
    await turn();
    abort.abort();
    await assert.rejects(over, { code: 'cancelled' });
    log.settle();
    await overwriting;
  });
});
