// Segments are given up over a log in memory that is synced by hand: what is copied, what is dropped, and what happens between a
// copy and its sync. What cannot be read is in lost-records.test.ts.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CacheError } from '../base/cache-error.ts';
import { RecyclingRig as Rig, blobKey, hashOf, keyHex, leaseS, oldS, payloadOf, segmentBytes, settled, startS } from '../testing/recycling-rig.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import { damageName } from './damaged-bytes.ts';

describe('SegmentRecycler', () => {
  it('K2-14: moves what is leased, pinned or used on, and drops the rest', async () => {
    const rig = new Rig();
    for (const name of ['old', 'leased', 'pinned', 'used', 'tail']) rig.putBlob(name, name === 'leased' ? startS - 10 : oldS);
    const [first] = [rig.oldest()];
    rig.use('used', oldS + 16);
    rig.log.findBlob(hashOf('pinned'));
    rig.pinned.add(keyHex(rig, 'pinned'));
    const gone = await rig.giveUp();
    assert.deepEqual(['old', 'leased', 'pinned', 'used', 'tail'].map((name) => rig.hasBlob(name)), [false, true, true, true, false]);
    for (const name of ['leased', 'pinned', 'used']) assert.deepEqual(rig.readBlob(name), payloadOf(name));
    assert.equal(gone.droppedCount, 2);
    assert.deepEqual(rig.dropped.map(({ head }) => Buffer.from(head.hash).toString('hex')), [hashOf('old'), hashOf('tail')].map((hash) => Buffer.from(hash).toString('hex')));
    assert.deepEqual(rig.log.givenBack, [first.id]);
    assert.deepEqual(rig.hintsDropped, [first.id]);
    assert.equal(rig.log.entries.blobs.wasUsed(rig.log.findBlob(hashOf('used'))), false, 'the second round is over');
  });

  it('drops what is too long for the segments of a store that was made smaller, and asks no room for it', async () => {
    const rig = new Rig();
    for (const [name, bytes] of [['short', 500], ['long', 5_000], ['other', 700]] as const) rig.putBlob(name, startS, bytes);
    const { blob } = rig.log.logs;
    const claimed: number[] = [];
    const claim = blob.claim.bind(blob);
    Object.assign(blob, { claimBytesMax: 2_000, claim: (...asked: Parameters<typeof claim>) => (claimed.push(asked[0]), claim(...asked)) });
    assert.equal((await rig.giveUp()).droppedCount, 1);
    assert.deepEqual(['short', 'long', 'other'].map((name) => rig.hasBlob(name)), [true, false, true]);
    assert.ok(claimed.length > 0 && claimed.every((bytes) => bytes <= 2_000), String(claimed));
  });

  it('keeps number, last use and payload of what it copies, and says that it is a copy', async () => {
    const rig = new Rig();
    const { sequence } = rig.putBlob('leased', startS - 100);
    rig.use('leased', startS);
    await rig.giveUp();
    const { blobs } = rig.log.entries;
    const slot = rig.log.findBlob(hashOf('leased'));
    const record = rig.log.readAt({ segment: blobs.segmentOf(slot), offset: blobs.offsetOf(slot), bytes: rig.log.entries.recordBytes(blobs, slot) });
    assert.ok(record !== 'wrong');
    assert.equal(record.head.sequence, sequence);
    assert.equal(record.head.usedAtS, startS - 100);
    assert.equal(record.head.isCopy, true);
    assert.equal(blobs.wasTouched(slot), true, 'the index knows a later use than the record, and compaction of uses must too');
  });

  it('K2-04: a pin that ends while it is asked for keeps the entry once more: it was in use until then', async () => {
    const rig = new Rig();
    for (const name of ['pinned', 'old']) rig.putBlob(name);
    const name = keyHex(rig, 'pinned');
    // As LeaseBook does with a pin whose time is over.
    rig.isPinned = (key) => {
      if (key.hex() === name) rig.use('pinned', rig.nowS);
      return false;
    };
    await rig.giveUp();
    assert.deepEqual([rig.hasBlob('pinned'), rig.hasBlob('old')], [true, false]);
  });

  it('copies no tombstone and nothing that does not count', async () => {
    const rig = new Rig();
    rig.putBlob('removed', startS);
    rig.log.tombstone(hashOf('removed'));
    rig.log.entries.remove(rig.log.entries.blobs, rig.log.findBlob(hashOf('removed')));
    rig.log.seal('blob');
    const before = rig.log.appendedBytes;
    await rig.giveUp();
    assert.equal(rig.log.appendedBytes, before);
  });

  it('moves the intent of an upload that runs, and not that of one that ended', async () => {
    const rig = new Rig();
    for (const name of ['runs', 'ended']) {
      const intent = rig.log.append('blob', 'intent', { hash: hashOf(name), payload: new Uint8Array(0), usedAtS: startS, logicalBytes: 100_000 });
      rig.log.sync('blob');
      rig.log.intents.begin(intent);
      if (name === 'ended') rig.log.intents.end(intent.sequence);
    }
    const copied: string[] = [];
    rig.log.onAppend = ({ kind, hash }) => void copied.push(`${kind} ${Buffer.from(hash).equals(Buffer.from(hashOf('runs'))) ? 'runs' : 'ended'}`);
    await rig.giveUp();
    assert.deepEqual(copied, ['intent runs']);
    assert.equal(rig.oldest().liveCount, 1);
  });

  it('K1-02: copies no record whose checksum is wrong; keeps its bytes, forgets its entry, and moves the others on', async () => {
    const rig = new Rig();
    for (const name of ['before', 'spoilt', 'behind']) rig.putBlob(name, startS);
    const { ordinal, id } = rig.oldest();
    const { blobs } = rig.log.entries;
    const offset = blobs.offsetOf(rig.log.findBlob(hashOf('spoilt')));
    const file = rig.log.files.get(ordinal);
    assert.ok(file !== undefined);
    file[offset + 500] = (file[offset + 500] ?? 0) ^ 1;
    rig.log.seal('blob');
    await rig.giveUp();
    assert.equal(rig.hasBlob('spoilt'), false);
    for (const name of ['before', 'behind']) assert.deepEqual(rig.readBlob(name), payloadOf(name));
    assert.deepEqual(rig.kept, [{ name: damageName({ segmentId: id, offset }), bytes: 1_088 }]);
    assert.match(rig.lines.lines.join('\n'), /error a segment is damaged/);
  });

  it('K1-09: gives up a damaged segment though its ruins find no room: a full disk is why it goes', async () => {
    const rig = new Rig();
    rig.putBlob('spoilt', startS);
    const row = rig.oldest();
    rig.log.files.get(row.ordinal)?.fill(0xff, row.endOffset - 500);
    rig.keepsNothing = new CacheError('disk_full', 'the disk is full');
    rig.log.seal('blob');
    await rig.giveUp();
    assert.deepEqual([rig.hasBlob('spoilt'), rig.log.table.countOf('blob')], [false, 0]);
  });
});

describe('SegmentRecycler, between a copy and its sync', () => {
  it('lands a copy only when it is durable', async () => {
    const rig = new Rig();
    rig.putBlob('leased', startS);
    rig.log.seal('blob');
    const { ordinal } = rig.oldest();
    rig.log.syncsByItself = false;
    const giving = rig.giveUp();
    await settled();
    const { blobs } = rig.log.entries;
    assert.equal(blobs.segmentOf(rig.log.findBlob(hashOf('leased'))), ordinal);
    assert.deepEqual(rig.log.givenBack, []);
    rig.log.sync('blob');
    assert.notEqual(blobs.segmentOf(rig.log.findBlob(hashOf('leased'))), ordinal);
    await giving;
  });

  it('K1-03: does not bring back what was removed meanwhile', async () => {
    const rig = new Rig();
    rig.putBlob('leased', startS);
    rig.log.seal('blob');
    rig.log.syncsByItself = false;
    const giving = rig.giveUp();
    await settled();
    rig.log.entries.remove(rig.log.entries.blobs, rig.log.findBlob(hashOf('leased')));
    rig.log.tombstone(hashOf('leased'));
    rig.log.sync('blob');
    await giving;
    assert.equal(rig.hasBlob('leased'), false);
  });

  it('does not put an old value over one that came meanwhile', async () => {
    const rig = new Rig();
    const hash = hashOf('key');
    rig.log.putValue(hash, payloadOf('one'), startS);
    rig.log.seal('value');
    rig.log.syncsByItself = false;
    const giving = rig.giveUp({}, 'value');
    await settled();
    const { sequence } = rig.log.putValue(hash, payloadOf('two'), startS);
    rig.log.sync('value');
    await giving;
    const { values } = rig.log.entries;
    assert.equal(values.sequenceOf(values.find(rig.log.valueKey(hash))), sequence);
  });

  it('copies no value behind a put of it that is under way: it would be the newest once that is given up', async () => {
    for (const outcome of ['durable', 'failed'] as const) {
      const rig = new Rig();
      const hash = hashOf('key');
      const { sequence: first } = rig.log.putValue(hash, payloadOf('one'), startS);
      rig.log.seal('value');
      rig.log.syncsByItself = false;
      const { sequence: second } = rig.log.putValue(hash, payloadOf('two'), startS);
      const name = rig.log.valueKey(hash).hex();
      rig.beingPut.add(name);
      const copies: number[] = [];
      rig.log.onAppend = ({ copyOf }) => void copies.push(copyOf?.sequence ?? -1);
      const giving = rig.recycler.giveUp(rig.oldest('value'));
      await settled();
      assert.deepEqual(copies, []);
      rig.beingPut.delete(name);
      rig.log.syncsByItself = true;
      if (outcome === 'durable') rig.log.sync('value');
      else rig.log.fail('value');
      // What failed was waited for; the segment is given up when that is tried again.
      if (outcome === 'durable') await giving;
      else {
        await assert.rejects(giving, { code: 'unavailable' });
        await rig.recycler.giveUp(rig.oldest('value'));
      }
      const { values } = rig.log.entries;
      assert.equal(values.sequenceOf(values.find(rig.log.valueKey(hash))), outcome === 'durable' ? second : first);
      assert.deepEqual(copies, outcome === 'durable' ? [] : [first]);
    }
  });

  it('takes nothing for lost that was only left for another pass', async () => {
    const rig = new Rig();
    const hash = hashOf('key');
    const { sequence } = rig.log.putValue(hash, payloadOf('one'), startS);
    rig.log.seal('value');
    rig.putsSeen = 4;
    await rig.recycler.giveUp(rig.oldest('value'));
    const { values } = rig.log.entries;
    assert.equal(values.sequenceOf(values.find(rig.log.valueKey(hash))), sequence);
  });

  it('K1-08: leaves the segment and its entries as they are when the copies cannot be synced', async () => {
    const rig = new Rig();
    rig.putBlob('leased', startS);
    rig.log.seal('blob');
    const { ordinal, id } = rig.oldest();
    rig.log.syncsByItself = false;
    const giving = rig.giveUp();
    await settled();
    rig.log.fail('blob');
    await assert.rejects(giving, { code: 'unavailable' });
    assert.equal(rig.log.entries.blobs.segmentOf(rig.log.findBlob(hashOf('leased'))), ordinal);
    assert.equal(rig.oldest().state, 'sealed');
    rig.log.syncsByItself = true;
    await rig.recycler.giveUp(rig.oldest());
    assert.deepEqual(rig.log.givenBack, [id]);
    assert.deepEqual(rig.readBlob('leased'), payloadOf('leased'));
  });

  it('K2-15: waits for who reads the segment, and for files that it says are removed', async () => {
    const rig = new Rig();
    rig.putBlob('old');
    rig.log.seal('blob');
    const { ordinal } = rig.oldest();
    rig.log.table.beginRead(ordinal);
    rig.log.table.beginRemoval(ordinal);
    const giving = rig.giveUp();
    await settled();
    assert.deepEqual(rig.log.givenBack, []);
    rig.log.table.endRead(ordinal);
    await settled();
    assert.deepEqual(rig.log.givenBack, []);
    rig.log.table.endRemoval(ordinal);
    await giving;
    assert.equal(rig.log.givenBack.length, 1);
  });

  it('moves on what comes back while it waits', async () => {
    const rig = new Rig();
    const { segment, offset } = rig.log.putFile(hashOf('file'), 100_000, startS);
    const { blobs } = rig.log.entries;
    rig.log.seal('blob');
    // Its removal is under way, and fails.
    rig.log.table.beginRemoval(segment);
    rig.log.entries.remove(blobs, rig.log.findBlob(hashOf('file')));
    const giving = rig.giveUp();
    await settled();
    rig.log.entries.put(blobs, blobKey(rig, 'file'), { segment, offset, sizeBytes: 100_000, usedAtS: startS, sequence: 0, isFile: true, isPointer: false, isVerified: true });
    rig.log.table.endRemoval(segment);
    await giving;
    assert.equal(rig.log.givenBack.length, 1);
    const slot = rig.log.findBlob(hashOf('file'));
    assert.equal(rig.log.table.at(blobs.segmentOf(slot)).state, 'open');
  });

  it('gives up the segments of one stream one after the other, oldest first', async () => {
    const rig = new Rig();
    for (let number = 0; number < 3; number += 1) {
      rig.putBlob(`blob ${number}`, startS);
      rig.log.seal('blob');
    }
    const rows = [...rig.log.table.of('blob')];
    rig.log.table.beginRead(rows[0]?.ordinal ?? -1);
    const first = rig.recycler.giveUp(rig.oldest());
    const second = first.then(() => rig.recycler.giveUp(rig.oldest()));
    await settled();
    assert.deepEqual(rig.log.givenBack, []);
    rig.log.table.endRead(rows[0]?.ordinal ?? -1);
    await second;
    assert.deepEqual(rig.log.givenBack, [rows[0]?.id, rows[1]?.id]);
  });

  it('refuses to give up a younger segment in which something counts', async () => {
    const rig = new Rig();
    for (let number = 0; number < 2; number += 1) {
      rig.putBlob(`blob ${number}`, startS);
      rig.log.seal('blob');
    }
    const younger = [...rig.log.table.of('blob')][1];
    assert.ok(younger !== undefined);
    await assert.rejects(rig.recycler.giveUp(younger), /oldest first/);
  });
});

describe('SegmentRecycler, at its pace', () => {
  it('looks at no more than 256 records in one turn of the loop', async () => {
    const rig = new Rig();
    for (let number = 0; number < 600; number += 1) rig.putBlob(`blob ${number}`, startS, 1);
    let [inTurn, most] = [0, 0];
    rig.log.onAppend = () => (most = Math.max(most, ++inTurn));
    rig.onTurn = () => (inTurn = 0);
    await rig.giveUp();
    assert.ok(most > 0 && most <= 256, `${most} records in one turn`);
    assert.equal(rig.log.entries.blobs.count, 600);
  });

  it('K2-13: drops no more entries than it is told', async () => {
    const rig = new Rig();
    for (let number = 0; number < 20; number += 1) rig.putBlob(`blob ${number}`);
    const { droppedCount } = await rig.giveUp({ dropsMax: 7 });
    assert.equal(droppedCount, 7);
    assert.equal(rig.log.entries.blobs.count, 13);
  });

  it('K2-13: keeps what was used since a given time', async () => {
    const rig = new Rig();
    rig.putBlob('older', oldS - 1_000);
    rig.putBlob('younger', oldS);
    await rig.giveUp({ keepFromS: oldS - 100 });
    assert.deepEqual([rig.hasBlob('older'), rig.hasBlob('younger')], [false, true]);
  });

  it('frees at least a quarter in a full round, and writes no more again than comes, with half of the store leased and all of it used', async (t) => {
    const random = seededRandom(t);
    const rig = new Rig();
    const segmentsMax = 20;
    let [putBytes, number] = [0, 0];
    const names: string[] = [];
    const leaseSome = (): void => {
      // Any half of all is leased, everything was used.
      for (const name of names) if (rig.hasBlob(name)) rig.use(name, random.fraction() < 0.5 ? rig.nowS : rig.nowS - 2 * leaseS);
    };
    while (rig.log.givenBack.length < 10 * segmentsMax) {
      while (rig.log.table.countOf('blob') < segmentsMax) {
        const name = `blob ${(number += 1)}`;
        putBytes += rig.putBlob(name, rig.nowS - 2 * leaseS, random.integer(100, 4_000)).bytes;
        names.push(name);
      }
      leaseSome();
      const before = rig.log.givenBack.length;
      while (rig.log.table.countOf('blob') >= segmentsMax) {
        await rig.recycler.giveUp(rig.oldest());
        assert.ok(rig.log.givenBack.length - before <= segmentsMax, 'a round without room');
      }
    }
    const copiedBytes = rig.log.appendedBytes - putBytes;
    // Marks are set anew before each segment, so this is worse than any real use; a round more is for how it begins.
    assert.ok(copiedBytes <= putBytes + segmentsMax * segmentBytes, `${copiedBytes} bytes were copied for ${putBytes} that came`);
    for (const name of names) if (rig.hasBlob(name)) rig.readBlob(name);
  });
});
