// What eviction lets go and what it keeps: leases, pins, age and number of entries, over a log in memory, a real ledger and the real recycler.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { EvictionRig as Rig, fileBytes, hashOf, keyOf, leaseS, segmentBytes } from '../testing/eviction-rig.ts';
import { seededRandom } from '../testing/seeded-random.ts';

describe('Evictor, what is promised', () => {
  it('K2-14: lets an unleased file go rather than a leased one, whatever SIEVE says', async () => {
    const rig = new Rig({ maxBytes: segmentBytes + 3 * fileBytes });
    rig.putFile('leased', rig.nowS);
    rig.putFile('old');
    rig.putFile('also leased', rig.nowS);
    using _room = await rig.evictor.reserve(fileBytes);
    assert.deepEqual(['leased', 'old', 'also leased'].map((name) => rig.has(name)), [true, false, true]);
  });

  it('shortens leases when everything is leased, rather than refuse a write; strict ones refuse', async () => {
    const shortening = new Rig({ maxBytes: segmentBytes + 3 * fileBytes });
    for (const name of ['one', 'two', 'three']) shortening.putFile(name, shortening.nowS);
    using _room = await shortening.evictor.reserve(fileBytes);
    assert.match(shortening.lines.lines.join('\n'), /warn leases are shorter than promised/);

    const strict = new Rig({ maxBytes: segmentBytes + 3 * fileBytes, leases: 'strict' });
    for (const name of ['one', 'two', 'three']) strict.putFile(name, strict.nowS);
    await assert.rejects(async () => strict.evictor.reserve(fileBytes), { kind: 'disk_full', code: 'resource_exhausted' });
    assert.deepEqual(['one', 'two', 'three'].map((name) => strict.has(name)), [true, true, true]);
    strict.clock.advance(2 * leaseS * 1_000);
    using room = await strict.evictor.reserve(fileBytes);
    assert.equal(room.bytes, fileBytes);
  });

  it('does not leave leases short for as long as writers never stop', async () => {
    const rig = new Rig({ maxBytes: segmentBytes + 6 * fileBytes });
    const names = ['one', 'two', 'three'];
    for (const name of names) rig.putFile(name, rig.nowS);
    rig.ledger.place('uploads', 3 * fileBytes);
    rig.deletesAtOnce = false;
    const isShort = () => rig.leases.leaseFloorS(rig.nowS) > rig.nowS - leaseS + 1;
    assert.equal(isShort(), false);
    const waiting = Promise.resolve(rig.evictor.reserve(fileBytes));
    await rig.pass(5_000);
    rig.free(0);
    await rig.pass(4_000);
    assert.deepEqual([isShort(), rig.evictor.waiting], [true, 1]);
    await rig.pass(2_000);
    assert.deepEqual([isShort(), rig.evictor.waiting], [false, 1]);
    rig.free(fileBytes);
    await rig.pass(1_000);
    using _room = await waiting;
    assert.deepEqual(names.map((name) => rig.has(name)), [false, true, true]);
  });

  it('shortens no lease for the low watermark alone', async () => {
    const rig = new Rig({ maxBytes: 4 * segmentBytes, limits: { lowWatermarkBytes: 3 * segmentBytes } });
    for (const name of ['one', 'two']) rig.putFile(name, rig.nowS);
    rig.evictor.trim();
    await rig.evictor.idle();
    assert.deepEqual(['one', 'two'].map((name) => rig.has(name)), [true, true]);
  });

  it('K2-04: lets nothing pinned go, even when leases are shortened to nothing', async () => {
    const rig = new Rig({ maxBytes: segmentBytes + 5 * fileBytes });
    for (const name of ['one', 'two', 'three', 'four', 'pinned']) rig.putFile(name, rig.nowS);
    using _pin = rig.leases.pin([{ key: keyOf('pinned'), bytes: fileBytes }]);
    using _room = await rig.evictor.reserve(4 * fileBytes);
    assert.deepEqual(['one', 'two', 'three', 'four', 'pinned'].map((name) => rig.has(name)), [false, false, false, false, true]);
  });

  it('K2-10: warns when what is young has to go, once a minute', async () => {
    const rig = new Rig({ maxBytes: segmentBytes + 3 * fileBytes });
    for (const name of ['one', 'two', 'three']) rig.putFile(name, rig.nowS);
    using _room = await rig.evictor.reserve(2 * fileBytes);
    assert.equal(rig.lines.lines.filter((line) => line.startsWith('warn what was stored or used a moment ago had to go')).length, 1);
  });
});

describe('Evictor, by age and count', () => {
  it('K2-13: lets go what was not used for too long, at the latest five seconds later', async () => {
    const rig = new Rig({ limits: { ageMaxMs: 10_000_000 } });
    rig.putFile('file', rig.nowS);
    rig.putBlob('blob', rig.nowS);
    rig.evictor.start();
    await rig.evictor.idle();
    rig.clock.advance(9_990_000);
    await rig.evictor.idle();
    assert.deepEqual([rig.has('file'), rig.has('blob')], [true, true]);
    rig.clock.advance(40_000);
    await rig.evictor.idle();
    assert.deepEqual([rig.has('file'), rig.has('blob')], [false, false]);
    await rig.evictor.close();
  });

  it('K2-13: lets a file go that was not used for too long, though SIEVE would let a younger one go first', async () => {
    const rig = new Rig({ limits: { ageMaxMs: 40_000_000 } });
    rig.putFile('younger', rig.nowS - 20_000);
    rig.putFile('too old', rig.nowS - 41_000);
    rig.putFile('nearly', rig.nowS - 39_000);
    rig.evictor.start();
    await rig.evictor.idle();
    assert.deepEqual(['younger', 'too old', 'nearly'].map((name) => rig.has(name)), [true, false, true]);
    rig.clock.advance(1_700_000);
    await rig.evictor.idle();
    assert.deepEqual(['younger', 'nearly'].map((name) => rig.has(name)), [true, false], 'at most a 64th later');
    await rig.evictor.close();
  });

  it('K2-13: keeps no more entries than allowed, and stops a little below', async () => {
    const rig = new Rig({ limits: { countMax: 64 } });
    for (let number = 0; number < 64; number += 1) rig.putBlob(`blob ${number}`, undefined, 100);
    rig.evictor.trim();
    await rig.evictor.idle();
    assert.equal(rig.log.entries.count, 64);
    rig.putBlob('one more', undefined, 100);
    rig.evictor.trim();
    await rig.evictor.idle();
    assert.equal(rig.log.entries.count, 60);
    assert.equal(rig.has('one more'), true);
    assert.equal(rig.has('blob 0'), false);
  });
});

describe('Evictor, where everything is promised', () => {
  it('K2-13: lets nothing go for the number of entries, and copies nothing for it either, until leases have ended', async () => {
    const rig = new Rig({ limits: { countMax: 16 } });
    for (let number = 0; number < 32; number += 1) rig.putBlob(`blob ${number}`, rig.nowS, 100);
    rig.evictor.trim();
    await rig.evictor.idle();
    assert.equal(rig.log.entries.count, 32);
    assert.deepEqual(rig.log.givenBack, []);
    rig.clock.advance(2 * leaseS * 1_000);
    rig.evictor.trim();
    await rig.evictor.idle();
    assert.equal(rig.log.entries.count, 15);
  });

  it('goes around once for room, and then refuses, with strict leases', async () => {
    const rig = new Rig({ leases: 'strict' });
    rig.fillSegments(7, rig.nowS);
    await assert.rejects(async () => rig.evictor.reserve(segmentBytes), { kind: 'disk_full' });
    await assert.rejects(async () => rig.evictor.reserve(segmentBytes), { kind: 'disk_full' });
    assert.ok(rig.log.givenBack.length <= 12, `${rig.log.givenBack.length} segments were given up`);
    rig.clock.advance(2 * leaseS * 1_000);
    using room = await rig.evictor.reserve(segmentBytes);
    assert.equal(room.bytes, segmentBytes);
  });
});

describe('Evictor, under a writer that never stops', () => {
  it('is never without room while anything unleased can go, and never above the bound by more than a segment', async (t) => {
    const random = seededRandom(t);
    const maxBytes = 24 * segmentBytes;
    const rig = new Rig({ maxBytes });
    const names: string[] = [];
    rig.ledger.place('free', segmentBytes);
    rig.freeCount = rig.reservedCount = 1;
    for (let number = 0; number < 1_500; number += 1) {
      const name = `entry ${number}`;
      names.push(name);
      if (random.fraction() < 0.15) {
        using _room = await rig.evictor.reserve(fileBytes);
        rig.putFile(name, rig.nowS);
      } else {
        // As the supply does for a new segment.
        const open = rig.log.table.open('blob');
        if (open === undefined || open.endOffset + 8_200 > segmentBytes) {
          const room = await rig.evictor.freeSegment();
          if (room !== 'free') {
            room.settle('free', segmentBytes);
            rig.freeCount += 1;
          }
        }
        rig.putBlob(name, rig.nowS, random.integer(100, 8_000));
      }
      for (let uses = random.integer(0, 3); uses > 0; uses -= 1) {
        const slot = rig.log.findBlob(hashOf(random.pick(names)));
        if (slot !== -1) rig.log.entries.use(rig.log.entries.blobs, slot, rig.nowS);
      }
      rig.clock.advance(random.integer(0, 20_000));
      assert.ok(rig.ledger.usedBytes <= maxBytes + segmentBytes, `${rig.ledger.usedBytes} bytes of ${maxBytes}`);
    }
    await rig.evictor.idle();
    assert.ok(rig.journal.count > 0);
    assert.deepEqual(rig.lines.lines.filter((line) => line.startsWith('error')), []);
  });
});
