// Puts of small blobs over a log that a test settles, fails and holds up.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AssertionError } from '../base/assert.ts';
import { CacheError } from '../base/cache-error.ts';
import { Digest } from '../digest/digest.ts';
import { HeldLog, heldSegment } from '../testing/held-log.ts';
import { BlobIndex } from './blob-index.ts';
import { KeyWords, blobTag } from './key-words.ts';
import { LiveEntries } from './live-entries.ts';
import { SegmentTable } from './segment-table.ts';
import type { RecordPlace } from './segment-store.ts';
import { SmallPuts } from './small-puts.ts';
import { UseAges } from './use-ages.ts';

const bytes = Buffer.from('hello');
const digest = Digest.of(bytes);

function open({ nowS = (): number => 1_000_000 } = {}) {
  const segments = new SegmentTable();
  const { ordinal } = segments.add({ ...heldSegment, id: 1, stream: 'blob' });
  const index = { salt: [1, 2] as const, startS: nowS() };
  const entries = new LiveEntries({ blobs: new BlobIndex({ ...index, hasSequences: false }), values: new BlobIndex({ ...index, hasSequences: true }), segments, ages: new UseAges(100), nowS });
  const log = new HeldLog(ordinal);
  const places: RecordPlace[] = [];
  const puts = new SmallPuts({ entries, writer: log, nowS, written: ({ segment, offset, bytes: length }) => places.push({ segment, offset, bytes: length }) });
  const key = new KeyWords();
  const slotOf = (of: Digest) => (key.setHash(blobTag(of.function.wireValue), of.hash), entries.blobs.find(key));
  return { puts, log, entries, segments, places, slotOf };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('SmallPuts', () => {
  it('K1-01: is in the index when it is durable, and not before', async () => {
    const { puts, log, entries, segments, places, slotOf } = open();
    const put = puts.put(digest, bytes);
    assert.equal(log.appended.length, 1, 'appended in the turn of the call');
    assert.equal(slotOf(digest), -1);
    assert.equal(puts.isUnderWay(digest), true);
    log.settle();
    const slot = slotOf(digest);
    assert.equal(entries.blobs.sizeOf(slot), 5);
    assert.equal(entries.blobs.isVerified(slot), true);
    assert.equal(segments.liveBytesOf('blob'), entries.recordBytes(entries.blobs, slot));
    assert.deepEqual(places, [{ segment: log.segment, offset: entries.blobs.offsetOf(slot), bytes: 96 }]);
    await put;
    assert.equal(puts.isUnderWay(digest), false);
    assert.equal(log.claims, 0);
  });

  it('K1-22: writes one record for all who put the same blob at the same time', async () => {
    const { puts, log } = open();
    const all = Array.from({ length: 10 }, () => puts.put(digest, bytes));
    await turn();
    assert.equal(log.appended.length, 1);
    log.settle();
    await Promise.all(all);
  });

  it('K1-08: keeps nothing of what did not become durable, tells all who wait, and takes it again', async () => {
    const { puts, log, entries, slotOf } = open();
    const all = [puts.put(digest, bytes), puts.put(digest, bytes)];
    const cause = Object.assign(new Error('EIO'), { code: 'EIO', syscall: 'fdatasync' });
    log.settle({ kind: 'failed', cause });
    for (const put of all) await assert.rejects(put, { code: 'unavailable', message: /the system reports EIO/ });
    assert.equal(entries.count, 0);
    const again = puts.put(digest, bytes);
    log.settle();
    await again;
    assert.notEqual(slotOf(digest), -1);
  });

  it('goes on for the others when the first one is cancelled while it waits for room', async () => {
    const { puts, log, slotOf } = open();
    log.isFull = true;
    const [first, third] = [new AbortController(), new AbortController()];
    const cancelled = puts.put(digest, bytes, { signal: first.signal });
    const second = puts.put(digest, bytes);
    const left = puts.put(digest, bytes, { signal: third.signal });
    await turn();
    third.abort();
    await assert.rejects(left, { code: 'cancelled' });
    first.abort();
    await assert.rejects(cancelled, { code: 'cancelled' });
    log.giveRoom();
    await turn();
    log.settle();
    await second;
    assert.equal(log.appended.length, 1);
    assert.notEqual(slotOf(digest), -1);
  });

  it('K11-05: says that it waits for room, and when that is over', async () => {
    const { puts, log } = open();
    const steps: string[] = [];
    const options = { onStep: (step: string) => void steps.push(step) };
    const atOnce = puts.put(digest, bytes, options);
    log.settle();
    await atOnce;
    assert.deepEqual(steps, []);
    log.isFull = true;
    const put = puts.put(Digest.of(Buffer.from('another')), Buffer.from('another'), options);
    assert.deepEqual(steps, ['room in the log']);
    log.giveRoom();
    await turn();
    assert.deepEqual(steps, ['room in the log', 'sync']);
    log.settle();
    await put;
  });

  it('was used when it got room, however long it waited', async () => {
    let now = 1_000_000;
    const { puts, log, entries, slotOf } = open({ nowS: () => now });
    log.isFull = true;
    const put = puts.put(digest, bytes);
    now += 600;
    log.giveRoom();
    await turn();
    assert.equal(log.appended[0]?.usedAtS, now);
    log.settle();
    await put;
    assert.ok(entries.blobs.usedAtS(slotOf(digest)) >= now);
  });

  it('is idle when nobody puts, waits for room or waits for somebody else', async () => {
    const { puts, log } = open();
    await puts.idle();
    const waits = new AbortController();
    log.isFull = true;
    const first = puts.put(digest, bytes, { signal: waits.signal });
    const second = puts.put(digest, bytes);
    let isIdle = false;
    const idle = puts.idle().then(() => (isIdle = true));
    waits.abort();
    await assert.rejects(first, { code: 'cancelled' });
    await turn();
    assert.equal(isIdle, false, 'it is the turn of the second');
    log.giveRoom();
    await turn();
    log.settle();
    await Promise.all([second, idle]);
  });

  it('tells of a refusal, once, where it was asked to tell', async () => {
    const { puts, log } = open();
    const refusal = new CacheError('disk_full', 'there is no room');
    log.isFull = true;
    log.refusal = refusal;
    const told: unknown[] = [];
    puts.begin(digest, bytes, (failure) => told.push(failure));
    await turn();
    assert.deepEqual(told, [refusal]);
    assert.equal(puts.isUnderWay(digest), false);
    assert.equal(log.appended.length, 0);
  });

  it('fails a put in which we made a mistake, and goes on with others and with the next of the same blob', async () => {
    const { puts, log, entries, slotOf } = open();
    const appendNow = log.appendNow.bind(log);
    log.appendNow = () => {
      log.appendNow = appendNow;
      throw new AssertionError('oh');
    };
    await assert.rejects(puts.put(digest, bytes), { code: 'internal' });
    assert.equal(puts.isUnderWay(digest), false);
    await puts.idle();

    const put = entries.put.bind(entries);
    entries.put = (...what) => {
      entries.put = put;
      if (what.length > 0) throw new AssertionError('oh, again');
      return -1;
    };
    const other = Buffer.from('other');
    const [first, second] = [puts.put(digest, bytes), puts.put(Digest.of(other), other)];
    log.settle();
    await assert.rejects(first, { code: 'internal' });
    await second;
    assert.deepEqual([slotOf(digest), puts.isUnderWay(digest)], [-1, false]);

    const again = puts.put(digest, bytes);
    log.settle();
    await again;
    assert.notEqual(slotOf(digest), -1);
    await puts.idle();
  });
});
