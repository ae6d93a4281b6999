// Room is made and given out in order, over a log in memory, a real ledger and the real recycler.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CacheError } from '../base/cache-error.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import { EvictionRig as Rig, fileBytes, leaseS, segmentBytes } from '../testing/eviction-rig.ts';

/** What a call was refused with so far. */
function refusalOf(call: MaybePromise<unknown>): { error: unknown } {
  const refusal: { error: unknown } = { error: undefined };
  Promise.resolve(call).catch((thrown: unknown) => void (refusal.error = thrown));
  return refusal;
}

describe('Evictor, room', () => {
  it('gives what there is at once', () => {
    const rig = new Rig();
    const room = rig.evictor.reserve(1_000);
    assert.ok(!(room instanceof Promise));
    assert.equal(rig.ledger.reservedBytes, 1_000);
  });

  it('lets files go for a write, and no more than it takes', async () => {
    const rig = new Rig({ maxBytes: segmentBytes + 4 * fileBytes });
    for (const name of ['one', 'two', 'three', 'four']) rig.putFile(name);
    using room = await rig.evictor.reserve(fileBytes + 1);
    assert.equal(room.bytes, fileBytes + 1);
    await rig.evictor.idle();
    assert.deepEqual(['one', 'two', 'three', 'four'].map((name) => rig.has(name)), [false, false, true, true]);
    assert.deepEqual([rig.journal.count, rig.journal.bytes], [2, 2 * fileBytes]);
  });

  it('gives up segments, and makes room for a file of what is free then', async () => {
    const rig = new Rig();
    rig.fillSegments(7);
    using _room = await rig.evictor.reserve(segmentBytes);
    await rig.evictor.idle();
    assert.equal(rig.freeCount, 0);
    assert.equal(rig.log.table.countOf('blob'), 7);
  });

  it('gives a free file to who needs a segment, without deleting it', async () => {
    const rig = new Rig();
    rig.fillSegments(7);
    assert.equal(await rig.evictor.freeSegment(), 'free');
    assert.equal(rig.freeCount, 1);
  });

  it('gives a free file to who needs a segment at once, though others wait for room', async () => {
    const rig = new Rig({ maxBytes: 3 * segmentBytes });
    rig.putFile('one');
    rig.ledger.place('free', segmentBytes);
    rig.freeCount = rig.stockCount = 1;
    rig.deletesAtOnce = false;
    const waiting = Promise.resolve(rig.evictor.reserve(segmentBytes));
    assert.equal(rig.evictor.waiting, 1);
    assert.equal(await rig.evictor.freeSegment(), 'free');
    rig.free(0);
    await rig.evictor.close();
    await waiting.catch(() => undefined);
  });

  it('lets a file go for a large write rather than a segment that the log will need soon', async () => {
    const rig = new Rig({ maxBytes: 4 * segmentBytes });
    for (const name of ['one', 'two']) rig.putFile(name);
    rig.ledger.place('free', 2 * segmentBytes);
    rig.freeCount = 2;
    rig.stockCount = 1;
    using _first = await rig.evictor.reserve(segmentBytes);
    await rig.evictor.idle();
    assert.deepEqual([rig.freeCount, rig.has('one'), rig.has('two')], [1, true, true], 'one that is to spare');
    using _second = await rig.evictor.reserve(fileBytes);
    await rig.evictor.idle();
    assert.deepEqual([rig.freeCount, rig.has('one'), rig.has('two')], [1, false, true]);
    using _third = await rig.evictor.reserve(fileBytes + 1);
    await rig.evictor.idle();
    assert.deepEqual([rig.freeCount, rig.has('two')], [0, false], 'but before it refuses anybody');
  });

  it('K2-13: makes room ahead for segments that will be needed and are not there, and says when it may be there', async () => {
    const rig = new Rig();
    rig.fillSegments(7);
    rig.stockCount = 1;
    rig.evictor.trim();
    await rig.evictor.idle();
    assert.deepEqual([rig.freeCount, rig.refills > 0], [1, true]);
  });

  it('serves in the order of asking: a small write does not overtake a large one', async () => {
    // There is room for the small one.
    const rig = new Rig({ maxBytes: segmentBytes + 4 * fileBytes + 10 });
    for (const name of ['one', 'two', 'three', 'four']) rig.putFile(name);
    const served: string[] = [];
    const large = Promise.resolve(rig.evictor.reserve(3 * fileBytes)).then(() => served.push('large'));
    const small = Promise.resolve(rig.evictor.reserve(1)).then(() => served.push('small'));
    await Promise.all([large, small]);
    assert.deepEqual(served, ['large', 'small']);
  });

  it('K2-13: keeps the low watermark free ahead of writes, and counts free segments as such', async () => {
    const rig = new Rig({ limits: { lowWatermarkBytes: 2 * segmentBytes } });
    rig.fillSegments(7);
    rig.evictor.trim();
    await rig.evictor.idle();
    assert.equal(rig.freeCount, 2);
    assert.equal(rig.log.table.countOf('blob'), 6);
  });

  it('comes down to a bound that was lowered, free files included', async () => {
    const rig = new Rig({ maxBytes: 3 * segmentBytes + 100 });
    rig.fillSegments(7);
    rig.ledger.place('free', 2 * segmentBytes);
    rig.freeCount = 2;
    rig.evictor.trim();
    await rig.evictor.idle();
    assert.ok(rig.ledger.usedBytes <= rig.ledger.maxBytes, `${rig.ledger.usedBytes} of ${rig.ledger.maxBytes} bytes`);
    assert.ok(rig.log.table.countOf('blob') >= 1);
  });

  it('K1-07: heeds what the disk has left, whoever else fills it', async () => {
    const rig = new Rig({ maxBytes: 100 * fileBytes });
    for (const name of ['one', 'two', 'three', 'four']) rig.putFile(name);
    rig.diskBytes = rig.ledger.placedBytes + 1_000 + 10;
    rig.evictor.start();
    await rig.evictor.idle();
    assert.ok(!(rig.evictor.reserve(10) instanceof Promise));
    using room = await rig.evictor.reserve(fileBytes);
    assert.equal(room.bytes, fileBytes);
    assert.equal(rig.has('one'), false);
    await rig.evictor.close();
  });

  it('K1-07: refuses what the disk has no room for even if all went, before anything goes for it', async () => {
    const rig = new Rig({ maxBytes: 100 * fileBytes });
    for (const name of ['one', 'two', 'three', 'four']) rig.putFile(name);
    rig.diskBytes = rig.ledger.placedBytes + 1_000 + 10;
    rig.evictor.start();
    await rig.evictor.idle();
    await assert.rejects(async () => rig.evictor.reserve(4 * fileBytes + 11), { kind: 'disk_full' });
    assert.deepEqual(['one', 'two', 'three', 'four'].map((name) => rig.has(name)), [true, true, true, true]);
    using room = await rig.evictor.reserve(4 * fileBytes + 10);
    assert.equal(room.bytes, 4 * fileBytes + 10);
    await rig.evictor.close();
  });

  it('refuses what can never fit, before anything goes for it', () => {
    const rig = new Rig();
    rig.putBlob('blob');
    rig.ledger.place('quarantine', segmentBytes);
    assert.throws(() => rig.evictor.reserve(6 * segmentBytes + 1), { kind: 'disk_full' });
    const room = rig.evictor.reserve(6 * segmentBytes);
    assert.ok(!(room instanceof Promise));
    room[Symbol.dispose]();
    // Neither do times of use go, nor a free file that is kept for copies.
    rig.log.append('touch', 'touches', { hash: new Uint8Array(0), payload: Buffer.alloc(100), usedAtS: rig.nowS });
    rig.ledger.place('free', segmentBytes);
    rig.freeCount = rig.reservedCount = 1;
    assert.throws(() => rig.evictor.reserve(4 * segmentBytes + 1), { kind: 'disk_full' });
    assert.ok(rig.has('blob'));
  });

  it('tells who waits to come again when a segment that is to go is read without end', async () => {
    const rig = new Rig();
    rig.fillSegments(7);
    const { ordinal = -1 } = rig.log.table.oldest('blob') ?? {};
    rig.log.table.beginRead(ordinal);
    const refused = assert.rejects(async () => rig.evictor.reserve(segmentBytes), { kind: 'busy' });
    await rig.pass(10_000);
    await refused;
    rig.log.table.endRead(ordinal);
    await rig.evictor.idle();
    using room = await rig.evictor.reserve(segmentBytes);
    assert.equal(room.bytes, segmentBytes);
  });

  it('waits two seconds for what writes under way hold, then tells who waits to come again', async () => {
    const rig = new Rig({ maxBytes: 100_000 });
    const held = await rig.evictor.reserve(90_000);
    const first = Promise.resolve(rig.evictor.reserve(20_000));
    await rig.pass(1_000);
    held[Symbol.dispose]();
    await rig.pass(100);
    using _first = await first;
    for (let round = 0; round < 2; round += 1) {
      const refusal = refusalOf(rig.evictor.reserve(90_000));
      await rig.pass(1_900);
      assert.equal(refusal.error, undefined, 'who comes after a refusal is waited for as long');
      await rig.pass(300);
      assert.match(String(refusal.error), /taken by writes in progress/);
    }
  });

  it('closes without waiting for those', async () => {
    const rig = new Rig({ maxBytes: 100_000 });
    using _held = await rig.evictor.reserve(90_000);
    const refused = assert.rejects(async () => rig.evictor.reserve(20_000), { kind: 'busy', message: /closing/ });
    await rig.pass(0);
    await rig.evictor.close();
    await refused;
  });

  it('ends the wait of a call that is cancelled', async () => {
    const rig = new Rig({ maxBytes: segmentBytes + fileBytes });
    rig.putFile('one');
    const abort = new AbortController();
    const waiting = Promise.resolve(rig.evictor.reserve(fileBytes, { signal: abort.signal }));
    abort.abort();
    await assert.rejects(waiting, { kind: 'cancelled' });
    assert.equal(rig.evictor.waiting, 0);
  });

  it('says that nothing can be deleted, and tries again after a while', async () => {
    const rig = new Rig({ maxBytes: segmentBytes + fileBytes });
    rig.putFile('one');
    rig.removeFails = true;
    await assert.rejects(async () => rig.evictor.reserve(fileBytes), { kind: 'unavailable' });
    rig.removeFails = false;
    rig.clock.advance(500);
    using room = await rig.evictor.reserve(fileBytes);
    assert.equal(room.bytes, fileBytes);
  });

  it('takes no file out of service at every try where the disk removes none: it rests longer and longer, up to a minute', async () => {
    const rig = new Rig({ maxBytes: segmentBytes + 4 * fileBytes });
    for (const name of ['one', 'two', 'three', 'four']) rig.putFile(name);
    rig.removeFails = true;
    for (let seconds = 0; seconds < 3_600; seconds += 1) {
      await assert.rejects(async () => rig.evictor.reserve(fileBytes), { kind: 'unavailable' });
      rig.clock.advance(1_000);
    }
    assert.ok(rig.removals <= 70, `${rig.removals} in an hour`);
    rig.removeFails = false;
    rig.clock.advance(60_000);
    using _first = await rig.evictor.reserve(fileBytes);
    using _second = await rig.evictor.reserve(fileBytes);
    assert.deepEqual(['one', 'two', 'three', 'four'].filter((name) => rig.has(name)).length, 2);
  });

  it('gives up segments where the disk removes no file, and breaks no promise for that', async () => {
    const rig = new Rig();
    rig.putFile('old', rig.nowS - 3 * leaseS);
    rig.putFile('leased', rig.nowS);
    rig.fillSegments(6);
    rig.removeFails = true;
    using room = await rig.evictor.reserve(segmentBytes);
    assert.deepEqual([room.bytes, rig.removals, rig.has('leased')], [segmentBytes, 1, true]);
    assert.doesNotMatch(rig.lines.lines.join('\n'), /leases are shorter/);
    assert.equal(rig.lines.errors.length, 1, 'it is told of');
  });

  it('tells who waits to come again when the disk does not say what is free on it', async () => {
    const rig = new Rig({ maxBytes: segmentBytes + fileBytes });
    rig.putFile('one');
    const answers = Promise.withResolvers<void>();
    rig.diskAnswers = answers.promise;
    const refusal = refusalOf(rig.evictor.reserve(fileBytes));
    await rig.pass(9_900);
    assert.ok(refusal.error === undefined);
    await rig.pass(200);
    const { error } = refusal as { error: unknown };
    assert.ok(error instanceof CacheError && error.kind === 'busy', String(error));
    answers.resolve();
    using room = await rig.evictor.reserve(fileBytes);
    assert.equal(room.bytes, fileBytes);
  });

  it('tells who waits to come again when a segment that is to go is not sealed', async () => {
    const rig = new Rig({ maxBytes: segmentBytes + fileBytes, limits: { countMax: 1 } });
    for (const name of ['one', 'two', 'three']) rig.putBlob(name);
    rig.putFile('file');
    const sealing = Promise.withResolvers<void>();
    rig.sealing = sealing.promise;
    rig.evictor.trim();
    await rig.pass(100);
    const refusal = refusalOf(rig.evictor.reserve(fileBytes));
    await rig.pass(10_100);
    assert.ok(refusal.error instanceof CacheError && refusal.error.kind === 'busy', String(refusal.error));
    sealing.resolve();
    await rig.evictor.close();
  });

  it('does not wait for what is deleted but still read: something else goes', async () => {
    const rig = new Rig({ maxBytes: segmentBytes + 2 * fileBytes });
    rig.putFile('one');
    rig.putFile('two');
    rig.deletesAtOnce = false;
    rig.isTrashRead = true;
    const waiting = Promise.resolve(rig.evictor.reserve(fileBytes));
    await rig.pass(100);
    assert.deepEqual([rig.has('one'), rig.has('two')], [false, false]);
    rig.ledger.remove('trash', fileBytes);
    await rig.pass(200);
    using room = await waiting;
    assert.equal(room.bytes, fileBytes);
  });

  it('waits ten seconds for a disk that deletes nothing, and lets no more go for it', async () => {
    const rig = new Rig({ maxBytes: segmentBytes + 3 * fileBytes });
    const names = ['one', 'two', 'three'];
    for (const name of names) rig.putFile(name);
    rig.deletesAtOnce = false;
    for (let round = 0; round < 2; round += 1) {
      const refusal = refusalOf(rig.evictor.reserve(fileBytes));
      await rig.pass(9_000);
      assert.ok(refusal.error === undefined);
      await rig.pass(1_500);
      const { error } = refusal as { error: unknown };
      assert.ok(error instanceof CacheError && error.kind === 'busy', String(error));
      assert.match(error.message, new RegExp(`${fileBytes} bytes that were deleted are still on the disk`));
    }
    assert.deepEqual(names.map((name) => rig.has(name)), [false, true, true]);
  });

  it('says how much is deleted and still on the disk, when that is what is missing', async () => {
    const rig = new Rig({ maxBytes: segmentBytes + 2 * fileBytes });
    for (const name of ['one', 'two']) rig.putFile(name);
    rig.deletesAtOnce = false;
    rig.isTrashRead = true;
    const refusal = refusalOf(rig.evictor.reserve(fileBytes));
    await rig.pass(4_000);
    assert.ok(refusal.error instanceof CacheError && refusal.error.kind === 'busy', String(refusal.error));
    assert.match(refusal.error.message, new RegExp(`${2 * fileBytes} bytes that were deleted are still on the disk`));
  });

  it('K2-14: waits for what is being deleted before it breaks a promise', async () => {
    const rig = new Rig({ maxBytes: segmentBytes + 2 * fileBytes });
    rig.putFile('old');
    rig.putFile('leased', rig.nowS);
    rig.deletesAtOnce = false;
    rig.isTrashRead = true;
    const waiting = Promise.resolve(rig.evictor.reserve(fileBytes));
    await rig.pass(1_500);
    rig.ledger.remove('trash', fileBytes);
    await rig.pass(200);
    using _room = await waiting;
    assert.deepEqual([rig.has('old'), rig.has('leased')], [false, true]);
    assert.doesNotMatch(rig.lines.lines.join('\n'), /leases are shorter/);
  });

  it('lets nothing more go for the low watermark while what was deleted is still on the disk', async () => {
    const rig = new Rig({ maxBytes: segmentBytes + 4 * fileBytes, limits: { lowWatermarkBytes: fileBytes } });
    const names = ['one', 'two', 'three', 'four'];
    for (const name of names) rig.putFile(name);
    rig.putBlob('blob');
    rig.deletesAtOnce = false;
    for (let looks = 0; looks < 5; looks += 1) {
      rig.evictor.trim();
      await rig.pass(2_000);
    }
    assert.deepEqual(names.map((name) => rig.has(name)), [false, true, true, true]);
  });

  it('gives up uploads that nobody goes on with before it breaks a promise', async () => {
    const rig = new Rig({ maxBytes: segmentBytes + 3 * fileBytes });
    for (const name of ['one', 'two']) rig.putFile(name, rig.nowS);
    rig.ledger.place('uploads', fileBytes);
    rig.idleUploadsBytes = fileBytes;
    using _room = await rig.evictor.reserve(fileBytes);
    assert.deepEqual([rig.has('one'), rig.has('two'), rig.idleUploadsBytes], [true, true, 0]);
  });

  it('closes while a segment that is to go is read without end', async () => {
    const rig = new Rig();
    rig.fillSegments(7);
    const oldest = rig.log.table.oldest('blob');
    assert.ok(oldest);
    rig.log.table.beginRead(oldest.ordinal);
    const refused = assert.rejects(async () => rig.evictor.reserve(segmentBytes), { kind: 'busy', message: /closing/ });
    while (oldest.state !== 'draining') await new Promise((resolve) => void setImmediate(resolve));
    await rig.evictor.close();
    await refused;
    assert.equal(oldest.state, 'sealed');
    assert.deepEqual(rig.lines.errors, []);
  });

  it('refuses who waits when the store closes', async () => {
    const rig = new Rig({ maxBytes: segmentBytes + fileBytes });
    rig.putFile('one');
    const waiting = Promise.resolve(rig.evictor.reserve(fileBytes));
    const refused = assert.rejects(waiting, { kind: 'busy', message: /closing/ });
    await rig.evictor.close();
    await refused;
  });
});
