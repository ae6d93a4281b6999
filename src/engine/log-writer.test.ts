// Appending to a stream, over real files: places at once, one write for a turn, nothing told before it is durable.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CacheError } from '../base/cache-error.ts';
import { isPromise } from '../base/maybe-promise.ts';
import { NodeLogFileSystem } from '../platform/node-log-files.ts';
import { SyncThread } from '../platform/sync-thread.ts';
import { blobRecord, bytesOfBlob, openTemporaryLog, shortSegmentBytes } from '../testing/temporary-log.ts';
import type { RoomClaim } from './log-claims.ts';
import type { Appended } from './append-request.ts';
import type { LogWriter } from './log-writer.ts';
import { recordKinds } from './record-codec.ts';
import { encodeTombstone } from './record-payloads.ts';
import { segmentHeaderBytes } from './segment-format.ts';

/** What was told of each record, in the order in which it was told. */
type Told = string[];

async function put(writer: LogWriter, payload: string | Uint8Array, told: Told = []): Promise<Appended> {
  using claim = await writer.claim(bytesOfBlob(payload), 'external');
  return writer.append(claim, blobRecord(payload), ({ kind }) => told.push(`${String(payload).slice(0, 8)} ${kind}`));
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turns(1);
}

function isOfSegment(name: string): boolean {
  return name.endsWith('.blob');
}

/** 15 of them and their seal fill a segment. */
const large = new Uint8Array(64_000);
const largePerSegment = Math.floor((shortSegmentBytes - segmentHeaderBytes - 56) / bytesOfBlob(large));

async function fill(writer: LogWriter, count: number, told: Told = []): Promise<void> {
  for (let index = 0; index < count; index += 1) await put(writer, large.fill(0x61 + index % 26), told).then(() => writer.durable());
}

describe('LogWriter', () => {
  it('K1-22: writes all that a turn appended at once, and syncs it once', async () => {
    await using log = await openTemporaryLog();
    const writer = log.writer();
    const told: Told = [];
    await put(writer, 'first', told);
    await writer.durable();
    log.files.events.length = 0;
    const places = await Promise.all(['a', 'bb', 'ccc'].map((payload) => put(writer, payload, told)));
    await writer.durable();
    assert.deepEqual(log.files.events, ['write 0000000000000000.blob', 'sync 0000000000000000.blob begins', 'sync 0000000000000000.blob ends']);
    assert.deepEqual(told, ['first durable', 'a durable', 'bb durable', 'ccc durable']);
    const [segment] = await log.scan();
    assert.ok(segment);
    const behindFirst = segmentHeaderBytes + bytesOfBlob('first');
    assert.deepEqual(segment.records.map(({ payload, offset, sequence, durableMark }) => ({ payload, offset, sequence, durableMark })).slice(1), [
      { payload: 'a', offset: places[0]?.offset, sequence: 2, durableMark: behindFirst },
      { payload: 'bb', offset: places[1]?.offset, sequence: 3, durableMark: behindFirst },
      { payload: 'ccc', offset: places[2]?.offset, sequence: 4, durableMark: behindFirst },
    ]);
    const row = log.table.at(places[0]?.segment ?? -1);
    assert.deepEqual([row.records, row.durableOffset, row.endOffset], [4, row.endOffset, (places[2]?.offset ?? 0) + bytesOfBlob('ccc')]);
    await writer.close();
  });

  it('K1-03: tells nobody before the sync ends, and begins no other sync meanwhile', async () => {
    await using log = await openTemporaryLog();
    const writer = log.writer();
    log.syncs.isHeld = isOfSegment;
    const told: Told = [];
    await put(writer, 'one', told);
    await until(() => log.syncs.held.length === 1);
    await put(writer, 'two', told);
    await put(writer, 'three', told);
    await until(() => log.files.events.filter((event) => event.startsWith('write 0000')).length === 2);
    assert.deepEqual([told, log.syncs.held.length], [[], 1]);
    await log.syncs.end();
    assert.deepEqual(told, ['one durable']);
    assert.equal(writer.unsyncedBytes, bytesOfBlob('two') + bytesOfBlob('three'));
    await log.syncs.end();
    assert.deepEqual(told, ['one durable', 'two durable', 'three durable']);
    assert.deepEqual([writer.unsyncedBytes, writer.syncsCount, log.syncs.mostAtOnce], [0, 2, 1]);
    const [segment] = await log.scan();
    assert.deepEqual(segment?.records.map(({ durableMark }) => durableMark), [segmentHeaderBytes, segmentHeaderBytes, segmentHeaderBytes], 'no mark speaks for what was not synced');
  });

  it('settles a promise of `durable` behind what was appended before it, and at once when nothing is open', async () => {
    await using log = await openTemporaryLog();
    const writer = log.writer();
    await writer.durable();
    const told: Told = [];
    await put(writer, 'one', told);
    const marked = writer.durable().then(() => told.push('mark'));
    await put(writer, 'two', told);
    await writer.durable();
    await marked;
    assert.deepEqual(told.toSorted(), ['mark', 'one durable', 'two durable']);
    assert.ok(told.indexOf('one durable') < told.indexOf('mark'));
  });

  it('gathers long payloads as they are', async () => {
    await using log = await openTemporaryLog();
    const writer = log.writer();
    const payloads = Array.from({ length: 12 }, (_, index) => Buffer.alloc(index % 2 === 0 ? 60_000 + index : 100 + index, 0x30 + index));
    for (const payload of payloads) await put(writer, payload);
    await writer.durable();
    const [segment] = await log.scan();
    assert.deepEqual(segment?.records.map(({ payload }) => payload), payloads.map((payload) => payload.toString('latin1')));
    await writer.close();
  });

  it('K1-01: seals a full segment when all of it is durable, and only then writes to the next', async () => {
    await using log = await openTemporaryLog();
    const sealed: [number, number][] = [];
    const writer = log.writer({ onSealed: (row, sequence) => sealed.push([row.id, sequence]) });
    await fill(writer, largePerSegment);
    log.files.events.length = 0;
    const told: Told = [];
    const first = log.table.oldest('blob');
    await Promise.all([put(writer, large, told), put(writer, large, told)]);
    await writer.durable();
    const events = log.files.events.filter((event) => /^(write|sync) .*\.blob/.test(event));
    assert.deepEqual(events.slice(0, 4), ['write 0000000000000000.blob', 'sync 0000000000000000.blob begins', 'sync 0000000000000000.blob ends', 'write 0000000000000001.blob']);
    assert.equal(told.length, 2);
    assert.deepEqual([first?.state, first?.records, first?.sealSequence], ['sealed', largePerSegment, largePerSegment + 3]);
    assert.deepEqual(sealed, [[0, largePerSegment + 3]]);
    const [scanned] = await log.scan();
    assert.ok(scanned?.end.kind === 'ended');
    assert.deepEqual([scanned.end.sealedRecords, scanned.end.endOffset, first?.durableOffset], [largePerSegment, first?.endOffset, first?.endOffset]);
    await writer.close();
  });

  it('asks for the next segment before it is needed', async () => {
    await using log = await openTemporaryLog();
    const writer = log.writer();
    await fill(writer, Math.ceil(largePerSegment * 0.8));
    await until(() => log.table.countOf('blob') === 2);
    const claims = Array.from({ length: 6 }, () => writer.claim(bytesOfBlob(large), 'external'));
    assert.ok(!claims.some(isPromise), 'the room of both segments is there at once');
  });

  it('K1-08: a failed sync fails all that was not durable, in order; what comes later goes to the next segment', async () => {
    await using log = await openTemporaryLog();
    const writer = log.writer();
    const told: Told = [];
    await put(writer, 'kept', told);
    await writer.durable();
    log.syncs.isHeld = isOfSegment;
    await put(writer, 'lost', told);
    await until(() => log.syncs.held.length === 1);
    await put(writer, 'behind', told);
    const failed = assert.rejects(writer.durable(), { code: 'unavailable' });
    log.files.fault = (operation, name) => (operation === 'sync' && name === '0000000000000000.blob' ? 'EIO' : undefined);
    await log.syncs.end();
    await failed;
    assert.deepEqual(told, ['kept durable', 'lost failed', 'behind failed']);
    const row = log.table.oldest('blob');
    assert.deepEqual([row?.state, row?.hasFailed, row?.records, row?.endOffset], ['failed', true, 1, segmentHeaderBytes + bytesOfBlob('kept')]);
    assert.equal(writer.unsyncedBytes, 0);
    log.syncs.isHeld = () => false;
    const place = await put(writer, 'later', told);
    await writer.durable();
    assert.deepEqual([told.at(-1), log.table.at(place.segment).id], ['later durable', 1]);
    assert.equal(log.log.errors.length, 1);
    await writer.close();
  });

  it('K1-08: a write that fails is as a sync that does, and what it took is not told within the call', async () => {
    await using log = await openTemporaryLog();
    const writer = log.writer();
    const told: Told = [];
    await put(writer, 'kept', told);
    await writer.durable();
    log.files.fault = (operation) => (operation === 'write' ? 'EIO' : undefined);
    await put(writer, 'lost', told);
    await assert.rejects(writer.durable(), { code: 'unavailable' });
    log.files.fault = () => undefined;
    await put(writer, 'later', told);
    await writer.durable();
    assert.deepEqual(told, ['kept durable', 'lost failed', 'later durable']);
    await writer.close();
  });

  it('a seal that fails loses no record, and the next segment is written', async () => {
    await using log = await openTemporaryLog();
    const writer = log.writer();
    const told: Told = [];
    await fill(writer, largePerSegment, told);
    log.files.fault = (operation, name) => (operation === 'sync' && name === '0000000000000000.blob' ? 'EIO' : undefined);
    await put(writer, large, told);
    await writer.durable();
    assert.deepEqual([told.length, told.every((line) => line.endsWith('durable'))], [largePerSegment + 1, true]);
    assert.deepEqual([log.table.oldest('blob')?.state, log.table.oldest('blob')?.records], ['failed', largePerSegment]);
    await writer.close();
  });

  it('K1-08: refuses writes when three fail in a row, tries again every five seconds, and goes on', async () => {
    await using log = await openTemporaryLog();
    const writer = log.writer();
    log.files.fault = (operation, name) => (operation === 'sync' && name.endsWith('.blob') ? 'EIO' : undefined);
    for (let tries = 0; tries < 3; tries += 1) {
      await put(writer, 'lost');
      await assert.rejects(writer.durable(), { code: 'unavailable' });
    }
    const refused = (): unknown => writer.claim(64, 'external');
    assert.throws(refused, { code: 'unavailable', details: [{ kind: 'retry_after', delayMs: 5_000 }] });
    log.files.fault = (operation, name) => (operation === 'sync' && name === 'segments/' ? 'EIO' : undefined);
    log.clock.advance(5_000);
    await until(() => log.clock.pendingTimers === 1);
    assert.throws(refused, { code: 'unavailable' });
    log.files.fault = () => undefined;
    log.clock.advance(4_999);
    assert.throws(refused, { code: 'unavailable' });
    log.clock.advance(1);
    await until(() => log.table.open('blob') !== undefined);
    const told: Told = [];
    await put(writer, 'kept', told);
    await writer.durable();
    assert.deepEqual([told, log.clock.pendingTimers], [['kept durable'], 0]);
    await writer.close();
  });

  it('a claim of a segment that failed is good for the next, and without one the record fails without an exception', async () => {
    await using log = await openTemporaryLog();
    const writer = log.writer();
    const claims = [await writer.claim(bytesOfBlob('held'), 'external'), await writer.claim(bytesOfBlob('held'), 'external')] as const;
    log.files.fault = (operation, name) => (operation === 'sync' && name.endsWith('.blob') ? 'EIO' : undefined);
    await put(writer, 'lost');
    await assert.rejects(writer.durable());
    log.files.fault = () => undefined;
    const told: Told = [];
    writer.append(claims[0], blobRecord('held'), ({ kind }) => told.push(kind));
    assert.equal(told.length, 0);
    await assert.rejects(writer.durable(), { code: 'unavailable' });
    await put(writer, 'next');
    writer.append(claims[1], blobRecord('held'), ({ kind }) => told.push(kind));
    await writer.durable();
    assert.deepEqual(told, ['failed', 'durable']);
    await writer.close();
  });

  it('lets nobody append more than may be unsynced, and goes on with the sync', async () => {
    await using log = await openTemporaryLog({ segmentBytes: 4 * shortSegmentBytes });
    const writer = log.writer();
    log.syncs.isHeld = isOfSegment;
    const told: Told = [];
    const puts = Array.from({ length: 100 }, () => put(writer, large, told));
    await until(() => log.syncs.held.length === 1 && log.table.countOf('blob') === 2);
    await turns(20);
    assert.ok(writer.unsyncedBytes <= writer.unsyncedBytesMax);
    assert.equal(writer.waiting, 100 - Math.floor((4 * shortSegmentBytes * 7) / 8 / bytesOfBlob(large)));
    log.syncs.isHeld = () => false;
    await log.syncs.end();
    await Promise.all(puts);
    await writer.durable();
    assert.equal(told.length, 100);
    await writer.close();
  });

  it('writes within the turn when there is much, and tells nobody within the call that it failed', async () => {
    await using log = await openTemporaryLog({ segmentBytes: 4 * shortSegmentBytes });
    const writer = log.writer();
    const told: Told = [];
    const writes = (): number => log.files.events.filter((event) => /^write .*\.blob/.test(event)).length;
    const claims: RoomClaim[] = [];
    while (claims.length < 56) claims.push(await writer.claim(bytesOfBlob(large), 'external'));
    const append = (from: number, to: number): void => {
      for (const claim of claims.slice(from, to)) writer.append(claim, blobRecord(large), ({ kind }) => told.push(kind));
    };
    append(0, 20);
    assert.equal(writes(), 2, 'two records for the disk that waits, and a MiB while it syncs them');
    log.files.fault = (operation) => (operation === 'write' ? 'EIO' : undefined);
    append(20, 56);
    assert.deepEqual([writes(), told.length], [3, 0]);
    await assert.rejects(writer.durable(), { code: 'unavailable' });
    assert.deepEqual([told.length, new Set(told)], [56, new Set(['failed'])]);
    log.files.fault = () => undefined;
    await writer.close();
  });

  it('K1-08: what waits for the next segment is lost with the one before, and its places are filled anew', async () => {
    await using log = await openTemporaryLog();
    const writer = log.writer();
    await fill(writer, largePerSegment - 1);
    await until(() => log.table.countOf('blob') === 2);
    log.syncs.isHeld = (name) => name === '0000000000000000.blob';
    const told: Told = [];
    await put(writer, large, told);
    const lost = await put(writer, large, told);
    assert.equal(log.table.at(lost.segment).id, 1);
    await until(() => log.syncs.held.length === 1);
    log.files.fault = (operation, name) => (operation === 'sync' && name === '0000000000000000.blob' ? 'EIO' : undefined);
    await log.syncs.end();
    assert.deepEqual(told.map((line) => line.split(' ')[1]), ['failed', 'failed']);
    const place = await put(writer, 'anew', told);
    assert.deepEqual([place.segment, place.offset], [lost.segment, lost.offset]);
    await writer.durable();
    await writer.close();
    const [, second] = await log.scan();
    assert.deepEqual(second?.records.map(({ payload }) => payload), ['anew']);
    assert.ok(second.end.kind === 'ended' && second.end.sealedRecords === 1);
  });

  it('a wait for room ends with its signal, and those behind it come', async () => {
    await using log = await openTemporaryLog();
    const waits = Promise.withResolvers<never>();
    log.freeSegment = () => waits.promise;
    const writer = log.writer();
    const abort = new AbortController();
    const cancelled = writer.claim(100, 'external', { signal: abort.signal });
    abort.abort();
    await assert.rejects(Promise.resolve(cancelled), { code: 'cancelled' });
    assert.throws(() => writer.claim(100, 'external', { signal: abort.signal }), { code: 'cancelled' });
    assert.equal(writer.waiting, 0);
    const waiting = writer.claim(100, 'external');
    waits.reject(new CacheError('disk_full', 'nothing may go'));
    await assert.rejects(Promise.resolve(waiting), { kind: 'disk_full' });
  });

  it('refuses who comes when 10,000 wait', async () => {
    await using log = await openTemporaryLog();
    const waits = Promise.withResolvers<never>();
    log.freeSegment = () => waits.promise;
    const writer = log.writer();
    const claims = Array.from({ length: 10_000 }, () => Promise.resolve(writer.claim(100, 'external')));
    assert.throws(() => writer.claim(100, 'external'), { kind: 'busy' });
    const ended = Promise.allSettled(claims);
    waits.reject(new CacheError('disk_full', 'nothing may go'));
    assert.ok((await ended).every(({ status }) => status === 'rejected'));
  });

  it('asks ahead at leisure, and hurries what it has asked for once somebody waits for it', async () => {
    await using log = await openTemporaryLog();
    log.syncAhead = (options) => new Promise((_, reject) => options?.signal?.addEventListener('abort', () => reject(new CacheError('cancelled', 'in line for the disk'))));
    const writer = log.writer();
    await fill(writer, largePerSegment);
    assert.equal(log.table.countOf('blob'), 1, 'the next one is not filled yet');
    const place = await put(writer, large, []);
    assert.equal(log.table.at(place.segment).id, 1);
    await writer.durable();
    await writer.close();
  });

  it('who makes room never waits for room, and nobody else takes what is kept for it', async () => {
    await using log = await openTemporaryLog({ maxBytes: 2 * shortSegmentBytes });
    log.supply.prepare();
    const writer = log.writer();
    await fill(writer, largePerSegment);
    const room = Promise.withResolvers<'free'>();
    log.freeSegment = () => room.promise;
    let got = false;
    const outside = Promise.resolve(writer.claim(bytesOfBlob(large), 'external')).then((claim) => {
      got = true;
      return claim;
    });
    using inside = await writer.claim(bytesOfBlob(large), 'internal');
    assert.deepEqual([log.supply.hasReserve, got], [false, false]);
    writer.append(inside, blobRecord(large));
    await writer.durable();
    const oldest = log.table.oldest('blob');
    assert.ok(oldest);
    assert.equal(oldest.state, 'sealed');
    assert.equal(got, false);
    await log.supply.giveBack(oldest);
    using claim = await outside;
    assert.ok(got);
    claim[Symbol.dispose]();
    room.resolve('free');
    await writer.close();
  });

  it('relaxed: tells the outside when it is written, and those who make room when it is durable, in order', async () => {
    await using log = await openTemporaryLog();
    const writer = log.writer({ durability: 'relaxed' });
    log.syncs.isHeld = isOfSegment;
    const told: Told = [];
    await put(writer, 'one', told);
    await until(() => log.syncs.held.length === 1);
    assert.deepEqual(told, ['one durable']);
    using inside = await writer.claim(bytesOfBlob('copy'), 'internal');
    writer.append(inside, blobRecord('copy'), ({ kind }) => told.push(`copy ${kind}`));
    await put(writer, 'two', told);
    let isMarked = false;
    const marked = writer.durable().then(() => (isMarked = true));
    await turns(10);
    assert.deepEqual([told, isMarked], [['one durable'], false]);
    log.syncs.isHeld = () => false;
    await log.syncs.end();
    await marked;
    assert.deepEqual(told, ['one durable', 'copy durable', 'two durable']);
    await writer.close();
  });

  it('relaxed: keeps what it has told of a segment whose sync fails', async () => {
    await using log = await openTemporaryLog();
    const writer = log.writer({ durability: 'relaxed' });
    log.files.fault = (operation, name) => (operation === 'sync' && name.endsWith('.blob') ? 'EIO' : undefined);
    const told: Told = [];
    await put(writer, 'one', told);
    await until(() => log.table.oldest('blob')?.state === 'failed');
    assert.deepEqual(told, ['one durable']);
    assert.equal(log.table.oldest('blob')?.endOffset, segmentHeaderBytes + bytesOfBlob('one'));
  });

  it('a copy keeps its number and checksum, an end of an intent the number of the intent; tombstones are counted', async () => {
    await using log = await openTemporaryLog();
    const writer = log.writer();
    using claim = await writer.claim(4_096, 'internal');
    const copied = writer.append(claim, { ...blobRecord('moved'), copyOf: { sequence: 77, payloadCrc: 0x1234 } });
    const intent = writer.append(claim, { ...blobRecord(''), kind: 'intent' });
    const commit = writer.append(claim, { ...blobRecord(''), kind: 'commit', sequence: intent.sequence });
    writer.append(claim, { ...blobRecord(encodeTombstone({ removed: 'commit', isGone: false })), kind: 'tombstone' });
    assert.deepEqual([copied.sequence, intent.sequence, commit.sequence, log.table.at(copied.segment).tombstones], [77, 1, 1, 0]);
    await writer.durable();
    assert.equal(log.table.at(copied.segment).tombstones, 1);
    assert.equal(log.table.at(copied.segment).youngestUseS, 1_700_000_000);
    const file = await new NodeLogFileSystem().openLog(`${log.directory}/0000000000000000.blob`);
    assert.ok(file);
    const head = Buffer.alloc(56);
    file.readNow(head, copied.offset);
    assert.deepEqual([head[9], head[11], head.readUInt32LE(48)], [recordKinds.blob, 2, 0x1234]);
    await file[Symbol.asyncDispose]();
  });

  it('seals on demand; what was claimed before finds its place in the next segment', async () => {
    await using log = await openTemporaryLog();
    const writer = log.writer();
    await writer.seal();
    const claim = await writer.claim(bytesOfBlob('later'), 'external');
    await put(writer, 'one');
    await writer.seal();
    const oldest = log.table.oldest('blob');
    assert.equal(oldest?.state, 'sealed');
    const { segment } = writer.append(claim, blobRecord('later'));
    await writer.durable();
    assert.notEqual(segment, oldest.ordinal);
    await writer.close();
  });

  it('waits for a seal that somebody else has asked for', async () => {
    await using log = await openTemporaryLog();
    const writer = log.writer();
    await put(writer, 'one');
    await Promise.all([writer.seal(), writer.seal().then(() => assert.equal(log.table.oldest('blob')?.state, 'sealed'))]);
    await writer.close();
  });

  it('tells a full disk from a sick one', async () => {
    await using log = await openTemporaryLog();
    const writer = log.writer();
    await put(writer, 'kept');
    await writer.durable();
    log.files.fault = (operation) => (operation === 'write' ? 'ENOSPC' : undefined);
    await put(writer, 'lost');
    await assert.rejects(writer.durable(), { kind: 'disk_full' });
    log.files.fault = () => undefined;
    await writer.close();
  });

  it('closes with everything sealed, and gives back segments that hold nothing', async () => {
    await using log = await openTemporaryLog();
    const writer = log.writer();
    await fill(writer, Math.ceil(largePerSegment * 0.8));
    await until(() => log.table.countOf('blob') === 2);
    const told: Told = [];
    const claim = await writer.claim(bytesOfBlob('last'), 'external');
    const closed = writer.close();
    assert.throws(() => writer.claim(64, 'internal'), { code: 'unavailable' });
    writer.append(claim, blobRecord('last'), ({ kind }) => told.push(kind));
    await closed;
    await writer.close();
    assert.deepEqual(told, ['durable']);
    const endings = (await log.names()).map((name) => name.replace(/^\d+\./, ''));
    assert.deepEqual([endings.filter((ending) => ending === 'blob').length, new Set(endings)], [1, new Set(['blob', 'free'])]);
    const [segment] = await log.scan();
    assert.ok(segment?.end.kind === 'ended' && segment.end.sealedRecords === segment.records.length);
    await log.supply.close();
  });

  it('closes while it waits for room, and refuses who waits', async () => {
    await using log = await openTemporaryLog();
    log.freeSegment = (options) => new Promise((_, reject) => options?.signal?.addEventListener('abort', () => reject(new CacheError('cancelled', 'closing'))));
    const writer = log.writer();
    const waiting = Promise.resolve(writer.claim(100, 'external'));
    const refused = assert.rejects(waiting, { code: 'unavailable' });
    await turns(1);
    await writer.close();
    await refused;
  });

  it('K1-03: over a real thread that syncs', async () => {
    await using log = await openTemporaryLog();
    await using syncs = new SyncThread('test-log-syncs');
    const writer = log.writer({}, syncs);
    const told: Told = [];
    await Promise.all(Array.from({ length: 500 }, (_, index) => put(writer, `record ${index}`, told)));
    await writer.durable();
    await writer.close();
    assert.equal(told.length, 500);
    const [segment] = await log.scan();
    assert.equal(segment?.records.length, 500);
  });
});
