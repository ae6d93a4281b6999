// Beginning and giving up segments, in the order that a power cut forgives, and where the files for it come from.
import assert from 'node:assert/strict';
import { readFile, stat } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { CacheError } from '../base/cache-error.ts';
import { openTemporaryLog, shortSegmentBytes } from '../testing/temporary-log.ts';
import type { TemporaryLog } from '../testing/temporary-log.ts';
import { decodeSegmentHeader, segmentHeaderBytes } from './segment-format.ts';
import type { StreamName } from './segment-format.ts';
import type { Asker } from './segment-supply.ts';
import type { SegmentRow } from './segment-table.ts';

/** A segment that was written and is not any more. */
async function begin(log: TemporaryLog, stream: StreamName = 'blob', who: Asker = 'external'): Promise<SegmentRow> {
  const { row, file } = await log.supply.next(stream, who);
  await file[Symbol.asyncDispose]();
  row.state = 'sealed';
  return row;
}

describe('SegmentSupply', () => {
  it('K1-01: begins a segment by block, sync, name, sync of the directory, in this order', async () => {
    await using log = await openTemporaryLog();
    log.sequences.take();
    const { row, file } = await log.supply.next('value', 'external');
    const events = log.files.events.slice(log.files.events.indexOf('open 0.free'));
    assert.deepEqual(events, [
      'open 0.free', 'write 0.free', 'sync 0.free begins', 'sync 0.free ends', 'rename 0000000000000000.value', 'sync segments/ begins', 'sync segments/ ends',
    ]);
    await file[Symbol.asyncDispose]();
    const bytes = await readFile(`${log.directory}/0000000000000000.value`);
    assert.equal(bytes.byteLength, shortSegmentBytes);
    const decoded = decodeSegmentHeader(bytes);
    assert.ok(decoded.kind === 'segment');
    assert.deepEqual({ ...decoded.header, nonce: [...decoded.header.nonce] }, {
      stream: 'value', segmentBytes: shortSegmentBytes, id: 0, nonce: [...row.nonce], firstSequence: 2, begunMs: 1_700_000_000_000,
    });
    assert.deepEqual([row.state, row.endOffset, row.durableOffset, row.begunS], ['open', segmentHeaderBytes, segmentHeaderBytes, 1_700_000_000]);
    assert.deepEqual([log.ledger.bytesOf('segments'), log.ledger.placedBytes], [shortSegmentBytes, shortSegmentBytes]);
  });

  it('makes files of zeros that only their owner may read', async () => {
    await using log = await openTemporaryLog();
    await begin(log);
    const path = `${log.directory}/0000000000000000.blob`;
    const { mode, blocks } = await stat(path);
    assert.deepEqual([mode & 0o777, blocks * 512 >= shortSegmentBytes], [0o600, true]);
    const bytes = await readFile(path);
    assert.deepEqual([bytes.byteLength, bytes.subarray(64).every((byte) => byte === 0)], [shortSegmentBytes, true]);
  });

  it('fills no file that somebody waits for, and stops filling when somebody comes', async () => {
    await using log = await openTemporaryLog({ segmentBytes: 4 * shortSegmentBytes });
    const first = await log.supply.next('blob', 'external', { urgent: AbortSignal.abort() });
    assert.deepEqual(log.files.events.filter((event) => event.includes('0.partial')), ['create 0.partial', 'truncate 0.partial']);
    const urgent = new AbortController();
    const turns = [Promise.resolve(), new Promise<never>((_, reject) => urgent.signal.addEventListener('abort', () => reject(new CacheError('cancelled', 'in line for the disk'))))];
    log.syncAhead = () => turns.shift() ?? assert.fail('nothing more is filled');
    const asked = log.supply.next('blob', 'external', { urgent: urgent.signal });
    while (turns.length > 0) await new Promise(setImmediate);
    urgent.abort();
    const second = await asked;
    assert.equal(log.files.events.filter((event) => event === 'write 1.partial').length, 2);
    for (const { file } of [first, second]) {
      assert.equal((await file.status()).sizeBytes, 4 * shortSegmentBytes);
      await file[Symbol.asyncDispose]();
    }
  });

  it('has files ready for those who will come, as many as were begun within the last second but for one, filled, and asks nobody for room then', async () => {
    await using log = await openTemporaryLog();
    for (let begun = 0; begun < 3; begun += 1) await begin(log);
    while (log.supply.freeCount < 2) await new Promise(setImmediate);
    assert.deepEqual([log.supply.stock.missingCount, log.ledger.bytesOf('free')], [0, 2 * shortSegmentBytes]);
    log.freeSegment = () => (log.supply.freeCount > 0 ? Promise.resolve('free' as const) : assert.fail('there is one'));
    const made = log.files.events.filter((event) => event.startsWith('create')).length;
    log.clock.advance(1_000);
    await begin(log);
    await log.supply.close();
    assert.equal(log.files.events.filter((event) => event.startsWith('create')).length, made, 'a second later none is wanted');
  });

  it('waits for the file that is being made ahead, rather than for room, and hurries it once somebody waits', async () => {
    await using log = await openTemporaryLog({ segmentBytes: 4 * shortSegmentBytes });
    await begin(log);
    const asked: (AbortSignal | undefined)[] = [];
    log.syncAhead = (options) =>
      new Promise((_, reject) => {
        asked.push(options?.signal);
        options?.signal?.addEventListener('abort', () => reject(new CacheError('cancelled', 'in line for the disk')));
      });
    const second = await log.supply.next('blob', 'external', { urgent: AbortSignal.abort() });
    while (asked.length === 0) await new Promise(setImmediate);
    log.freeSegment = () => (log.supply.freeCount > 0 ? Promise.resolve('free' as const) : assert.fail('one is being made'));
    const urgent = new AbortController();
    const third = log.supply.next('blob', 'external', { urgent: urgent.signal });
    await new Promise(setImmediate);
    assert.equal(asked[0]?.aborted, false);
    urgent.abort();
    for (const { file } of [second, await third]) await file[Symbol.asyncDispose]();
    await log.supply.close();
  });

  it('fills no file on when whoever asked for it has gone', async () => {
    await using log = await openTemporaryLog({ segmentBytes: 4 * shortSegmentBytes });
    const gone = new AbortController();
    log.files.fault = (operation, name) => {
      if (operation === 'write' && name === '0.partial') gone.abort();
      return undefined;
    };
    const { file } = await log.supply.next('blob', 'external', { signal: gone.signal });
    assert.equal(log.files.events.filter((event) => event === 'write 0.partial').length, 1);
    assert.equal((await file.status()).sizeBytes, 4 * shortSegmentBytes);
    await file[Symbol.asyncDispose]();
  });

  it('touches no file before somebody comes', async () => {
    await using log = await openTemporaryLog();
    log.supply.prepare();
    assert.deepEqual([log.files.events, log.supply.hasReserve, log.supply.freeCount, log.supply.keptBytes], [[], true, 0, shortSegmentBytes]);
    await log.supply.close();
    assert.deepEqual([await log.names(), log.ledger.usedBytes], [[], 0]);
  });

  it('gives a nonce to each life of a file, so that no record of an older one counts', async () => {
    await using log = await openTemporaryLog();
    const first = await begin(log);
    await log.supply.giveBack(first);
    const second = await begin(log, 'blob', 'internal');
    assert.ok(log.files.events.includes('open 1.free'), 'the file of the first');
    await log.supply.close();
    assert.notDeepEqual(first.nonce, second.nonce);
  });

  it('gives a segment up by name and sync of the directory, and only then has its file for others', async () => {
    await using log = await openTemporaryLog();
    const row = await begin(log);
    log.syncs.isHeld = (name) => name === 'segments/';
    log.files.events.length = 0;
    const given = log.supply.giveBack(row);
    while (log.syncs.held.length === 0) await new Promise(setImmediate);
    assert.deepEqual(log.files.events, ['rename 1.free', 'sync segments/ begins']);
    assert.deepEqual([log.supply.freeCount, log.table.count], [0, 1]);
    await log.syncs.end();
    await given;
    assert.deepEqual([log.supply.freeCount, log.table.count, log.ledger.bytesOf('free')], [1, 0, shortSegmentBytes]);
  });

  it('K1-03: two that are given up go one durably after the other', async () => {
    await using log = await openTemporaryLog();
    const rows = [await begin(log), await begin(log, 'value')] as const;
    log.files.events.length = 0;
    await Promise.all(rows.map((row) => log.supply.giveBack(row)));
    assert.deepEqual(log.files.events, ['rename 2.free', 'sync segments/ begins', 'sync segments/ ends', 'rename 3.free', 'sync segments/ begins', 'sync segments/ ends']);
  });

  it('lets nobody give up what is in use, or what removes something before it is the oldest', async () => {
    await using log = await openTemporaryLog();
    const [first, second] = [await begin(log), await begin(log)];
    log.table.addTombstone(second.ordinal);
    await assert.rejects(log.supply.giveBack(second), /after all that it removes/);
    log.table.addLive(first.ordinal, 64);
    await assert.rejects(log.supply.giveBack(first), /nobody needs it/);
    log.table.takeLive(first.ordinal, 64);
    await log.supply.giveBack(first);
    await log.supply.giveBack(second);
  });

  it('leaves a segment whose giving up failed as it is, and gives it up again', async () => {
    await using log = await openTemporaryLog();
    const row = await begin(log);
    log.files.fault = (operation, name) => (operation === 'sync' && name === 'segments/' ? 'EIO' : undefined);
    await assert.rejects(log.supply.giveBack(row), { code: 'unavailable' });
    assert.equal(log.table.at(row.ordinal), row);
    assert.equal(log.ledger.bytesOf('segments'), shortSegmentBytes);
    log.files.fault = () => undefined;
    await log.supply.giveBack(row);
    assert.deepEqual(await log.names(), ['2.free']);
    assert.equal(log.ledger.bytesOf('free'), shortSegmentBytes);
  });

  it('never uses the file of a segment again that failed', async () => {
    await using log = await openTemporaryLog();
    const row = await begin(log);
    row.hasFailed = true;
    await log.supply.giveBack(row);
    await log.supply.close();
    assert.deepEqual([log.trashed, await log.names(), log.ledger.placedBytes], [['1.free'], [], 0]);
  });

  for (const { at, operation, name } of [
    { at: 'its block is written', operation: 'write', name: '0.free' },
    { at: 'its block is synced', operation: 'sync', name: '0.free' },
    { at: 'it is named', operation: 'rename', name: '0000000000000000.blob' },
    { at: 'its name is synced', operation: 'sync', name: 'segments/' },
    { at: 'it is filled', operation: 'write', name: '0.partial' },
    { at: 'it is made', operation: 'create', name: '0.partial' },
  ]) {
    it(`K1-09: a segment that fails when ${at} leaves nothing behind, and the next one is another`, async () => {
      await using log = await openTemporaryLog();
      log.files.fault = (done, where) => (done === operation && where === name ? 'EIO' : undefined);
      await assert.rejects(log.supply.next('blob', 'external'), { code: 'unavailable' });
      assert.deepEqual([await log.names(), log.table.count, log.ledger.placedBytes], [[], 0, 0]);
      log.files.fault = () => undefined;
      const row = await begin(log);
      assert.deepEqual([log.table.count, log.ledger.placedBytes], [1, shortSegmentBytes]);
      assert.deepEqual(await log.names(), [`${row.id.toString(16).padStart(16, '0')}.blob`]);
    });
  }

  it('tells a full disk from a sick one', async () => {
    await using log = await openTemporaryLog();
    log.files.fault = (operation) => (operation === 'write' ? 'ENOSPC' : undefined);
    await assert.rejects(log.supply.next('blob', 'internal'), { kind: 'disk_full' });
    assert.equal(log.ledger.placedBytes, 0);
  });

  it('keeps room for those who make some, and makes a file beyond the bound when they have used it', async () => {
    await using log = await openTemporaryLog({ maxBytes: 2 * shortSegmentBytes });
    log.supply.prepare();
    const first = await begin(log);
    log.freeSegment = () => Promise.reject(new CacheError('disk_full', 'nothing may go'));
    await assert.rejects(log.supply.next('blob', 'external'), { kind: 'disk_full' });
    await begin(log, 'blob', 'internal');
    assert.deepEqual([log.supply.hasReserve, log.ledger.usedBytes], [false, 2 * shortSegmentBytes]);
    await begin(log, 'value', 'internal');
    assert.equal(log.ledger.usedBytes, 3 * shortSegmentBytes);
    await log.supply.giveBack(first);
    assert.deepEqual([log.supply.hasReserve, log.supply.freeCount, log.ledger.usedBytes], [true, 0, 3 * shortSegmentBytes]);
  });

  it('keeps room for those who make some as soon as they have used what was kept, if there is any', async () => {
    await using log = await openTemporaryLog();
    log.supply.prepare();
    await begin(log, 'blob', 'internal');
    assert.deepEqual([log.supply.hasReserve, log.ledger.usedBytes], [true, 2 * shortSegmentBytes]);
  });

  it('gives what was found free at start to whoever comes, except the last, and throws other lengths away', async () => {
    await using log = await openTemporaryLog();
    await log.files.createLog(`${log.directory}/4.free`, 0o600).then(async (file) => {
      await file.truncate(shortSegmentBytes);
      await file[Symbol.asyncDispose]();
    });
    await log.files.createLog(`${log.directory}/9.free`, 0o600).then((file) => file[Symbol.asyncDispose]());
    log.supply.adopt(9, 0);
    log.supply.adopt(4, shortSegmentBytes);
    assert.deepEqual([log.supply.hasReserve, log.supply.freeCount, log.ledger.usedBytes], [true, 0, shortSegmentBytes]);
    const row = await begin(log);
    await log.supply.giveBack(row);
    assert.deepEqual([log.supply.freeCount, log.supply.dropFree(), log.supply.dropFree()], [1, true, false]);
    await log.supply.close();
    assert.deepEqual([log.trashed, await log.names()], [['9.free', '11.free'], ['4.free']]);
    assert.equal(log.ledger.usedBytes, shortSegmentBytes);
  });

  it('asks again when another was quicker, and not for ever', async () => {
    await using log = await openTemporaryLog();
    log.supply.adopt(0, shortSegmentBytes);
    let asked = 0;
    log.freeSegment = async () => {
      asked += 1;
      return 'free';
    };
    await assert.rejects(log.supply.next('blob', 'external'), { kind: 'busy' });
    assert.deepEqual([asked, log.supply.hasReserve], [16, true]);
  });

  it('begins segments of several streams one after the other, ids in order', async () => {
    await using log = await openTemporaryLog();
    const rows = await Promise.all([begin(log, 'blob'), begin(log, 'value'), begin(log, 'blob', 'internal'), begin(log, 'touch')]);
    assert.deepEqual(rows.map(({ id }) => id).toSorted((a, b) => a - b), [0, 1, 2, 3]);
    assert.equal(log.syncs.mostAtOnce, 1);
  });
});
