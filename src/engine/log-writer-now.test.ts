// Appending without a claim: only where nobody stands in line, and never in the room of others.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isPromise } from '../base/maybe-promise.ts';
import { blobRecord, bytesOfBlob, openTemporaryLog, shortSegmentBytes } from '../testing/temporary-log.ts';
import type { RoomClaim } from './log-claims.ts';
import type { LogWriter } from './log-writer.ts';

const large = new Uint8Array(64_000);
/** Two of them are enough for a sync of their own where syncs are fast. */
const half = new Uint8Array(32_700);

/** With a segment to write to. */
async function begin(writer: LogWriter): Promise<void> {
  using claim = await writer.claim(bytesOfBlob('first'), 'external');
  writer.append(claim, blobRecord('first'));
  await writer.durable();
}

describe('LogWriter.appendNow', () => {
  it('is told as any other record, in its place among them', async () => {
    await using log = await openTemporaryLog();
    const writer = log.writer();
    await begin(writer);
    const told: string[] = [];
    using claim = await writer.claim(bytesOfBlob('claimed'), 'external');
    const now = writer.appendNow(blobRecord('now'), ({ kind }) => told.push(`now ${kind}`));
    const claimed = writer.append(claim, blobRecord('claimed'), ({ kind }) => told.push(`claimed ${kind}`));
    assert.deepEqual(told, []);
    await writer.durable();
    assert.deepEqual(told, ['now durable', 'claimed durable']);
    assert.ok(now);
    assert.deepEqual([claimed.offset, claimed.sequence], [now.offset + now.bytes, now.sequence + 1]);
    const [segment] = await log.scan();
    assert.deepEqual(segment?.records.map(({ payload }) => payload), ['first', 'now', 'claimed']);
    await writer.close();
  });

  it('appends nothing where a claim would have to wait: without a segment, behind others in line, and at the end', async () => {
    await using log = await openTemporaryLog({ segmentBytes: 4 * shortSegmentBytes });
    const writer = log.writer();
    assert.equal(writer.appendNow(blobRecord('none')), undefined);
    await begin(writer);
    const claims: (RoomClaim | Promise<RoomClaim>)[] = [];
    while (writer.waiting === 0) claims.push(writer.claim(bytesOfBlob(large), 'external'));
    assert.equal(writer.appendNow(blobRecord('small')), undefined, 'it would fit, but somebody was before');
    for (const claim of claims) if (!isPromise(claim)) claim[Symbol.dispose]();
    for (const claim of claims) (await claim)[Symbol.dispose]();
    assert.notEqual(writer.appendNow(blobRecord('small')), undefined);
    const closed = writer.close();
    assert.equal(writer.appendNow(blobRecord('late')), undefined);
    await closed;
  });

  it('leaves the room of claims to them', async () => {
    await using log = await openTemporaryLog();
    const writer = log.writer();
    await begin(writer);
    const claims: RoomClaim[] = [];
    for (let count = 0; count < 8; count += 1) claims.push(await writer.claim(bytesOfBlob(large), 'external'));
    let appended = 0;
    while (writer.appendNow(blobRecord(large)) !== undefined) appended += 1;
    assert.ok(appended > 0);
    for (const claim of claims) writer.append(claim, blobRecord(large));
    await writer.durable();
    const records = (await log.scan()).flatMap((segment) => segment.records);
    assert.equal(records.length, 1 + appended + claims.length);
    await writer.close();
  });

  it('K1-08: fails as any other', async () => {
    await using log = await openTemporaryLog();
    const writer = log.writer();
    await begin(writer);
    log.files.fault = (operation, name) => (operation === 'sync' && name.endsWith('.blob') ? 'EIO' : undefined);
    const told: string[] = [];
    assert.notEqual(writer.appendNow(blobRecord('lost'), ({ kind }) => told.push(kind)), undefined);
    await assert.rejects(writer.durable(), { code: 'unavailable' });
    assert.deepEqual(told, ['failed']);
    log.files.fault = () => undefined;
    await writer.close();
  });

  it('lets the disk begin before the turn is over, once, with as much as takes as long to come as the last sync took', async () => {
    await using log = await openTemporaryLog();
    const took = { microseconds: 0 };
    const asked: PromiseWithResolvers<number>[] = [];
    const sync = (): Promise<number> => {
      const answer = Promise.withResolvers<number>();
      asked.push(answer);
      return answer.promise;
    };
    const writer = log.writer({}, { sync, [Symbol.asyncDispose]: () => Promise.resolve() });
    const settle = async (): Promise<void> => {
      const durable = writer.durable();
      while (writer.unsyncedBytes > 0) {
        asked.shift()?.resolve(took.microseconds);
        await new Promise((resolve) => setImmediate(resolve));
      }
      await durable;
    };
    using claim = await writer.claim(bytesOfBlob('first'), 'external');
    writer.append(claim, blobRecord('first'));
    await settle();
    const writes = (): number => log.files.events.filter((event) => /^write .*\.blob/.test(event)).length;
    const before = writes();
    const append = (): boolean => writer.appendNow(blobRecord(half)) !== undefined;
    assert.ok(append());
    assert.deepEqual([writes() - before, asked.length], [0, 0], 'little waits for the end of the turn');
    assert.ok(append());
    assert.deepEqual([writes() - before, asked.length], [1, 1]);
    for (let count = 0; count < 8; count += 1) assert.ok(append());
    assert.deepEqual([writes() - before, asked.length], [1, 1], 'what comes while the disk works goes into the next write');
    took.microseconds = 2_000; // 256,000 bytes come meanwhile
    await settle();
    const slow = writes();
    for (let count = 0; count < 7; count += 1) assert.ok(append());
    assert.deepEqual([writes() - slow, asked.length], [0, 0]);
    assert.ok(append());
    assert.deepEqual([writes() - slow, asked.length], [1, 1]);
    took.microseconds = 0;
    await settle();
    const closing = writer.close();
    const end = setInterval(() => asked.shift()?.resolve(0), 1);
    await closing;
    clearInterval(end);
  });
});
