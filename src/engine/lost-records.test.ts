// Segments that are given up with places that are damaged or cannot be read: what stands around moves on, files stay, and nothing
// is absent because a disk fails for a moment.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RecyclingRig as Rig, hashOf, keyHex, payloadOf, settled, startS } from '../testing/recycling-rig.ts';

describe('the commit of a file that is damaged', () => {
  it('K1-03: writes the commit of a file anew where it is damaged: the file is right, and nothing else on disk says that it is there', async () => {
    const rig = new Rig();
    const { segment, offset } = rig.log.putFile(hashOf('file'), 100_000, startS);
    rig.log.files.get(segment)?.fill(0, offset, offset + 20);
    await rig.giveUp();
    const { blobs } = rig.log.entries;
    const slot = rig.log.findBlob(hashOf('file'));
    const record = rig.log.readAt({ segment: blobs.segmentOf(slot), offset: blobs.offsetOf(slot), bytes: rig.log.entries.recordBytes(blobs, slot) });
    assert.ok(record !== 'wrong');
    const { kind, logicalBytes, usedAtS, hash } = record.head;
    assert.deepEqual({ kind, logicalBytes, usedAtS, hash: Buffer.from(hash) }, { kind: 'commit', logicalBytes: 100_000, usedAtS: startS, hash: Buffer.from(hashOf('file')) });
    assert.deepEqual([rig.recycler.lostCount, rig.log.givenBack.length], [0, 1]);
  });

  it('K1-03: brings back no file that goes while its commit is written anew', async () => {
    const rig = new Rig();
    const { segment, offset } = rig.log.putFile(hashOf('file'), 100_000, startS);
    rig.log.files.get(segment)?.fill(0, offset, offset + 20);
    rig.log.seal('blob');
    const { blobs } = rig.log.entries;
    rig.log.onAppend = ({ kind }) => {
      assert.equal(kind, 'commit');
      rig.log.onAppend = () => undefined;
      // In the turn behind it, its removal.
      void Promise.resolve().then(() => rig.log.entries.remove(blobs, rig.log.findBlob(hashOf('file'))));
    };
    rig.log.syncsByItself = false;
    const giving = rig.recycler.giveUp(rig.oldest());
    for (let turns = 0; turns < 20; turns += 1) {
      await settled();
      rig.log.sync('blob');
    }
    await giving;
    assert.equal(rig.hasBlob('file'), false);
  });
});

describe('a disk that does not give back what it has', () => {
  /** Blocks of 4 KiB that cannot be read, by number. */
  function loseBlocks(rig: Rig, ...lost: readonly number[]): void {
    rig.log.beforeRead = (position, bytes) => {
      for (const block of lost) if (position < (block + 1) * 4_096 && position + bytes > block * 4_096) throw Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO', syscall: 'read' });
    };
  }

  /** Seven blobs of some 8 KiB, so that block 5 is in the middle of the third and nowhere else. */
  const names = ['one', 'two', 'three', 'four', 'five', 'six', 'seven'];

  it('waits whether it comes back, then gives up the segment all the same: what stands around moves on, what was there is lost and told of', async () => {
    const rig = new Rig();
    for (const name of names) rig.putBlob(name, startS, 8_000);
    const { id } = rig.oldest();
    rig.pinned.add(keyHex(rig, 'three'));
    loseBlocks(rig, 5);
    await assert.rejects(rig.giveUp(), { code: 'unavailable', message: /cannot be read/ });
    assert.ok(names.every((name) => rig.hasBlob(name)), 'nothing is absent because a disk fails');
    rig.nowS += 9;
    await assert.rejects(rig.recycler.giveUp(rig.oldest()), { code: 'unavailable' });
    rig.nowS += 1;
    await rig.recycler.giveUp(rig.oldest());
    assert.deepEqual(names.filter((name) => !rig.hasBlob(name)), ['three']);
    for (const name of names) if (name !== 'three') assert.deepEqual(rig.readBlob(name), payloadOf(name, 8_000));
    assert.deepEqual([rig.log.givenBack, rig.recycler.lostCount], [[id], 1]);
    assert.match(rig.lines.lines.join('\n'), /error a segment is damaged: entries of it are lost.*"entries":1,"leasedOrPinned":1/);
    assert.equal(rig.discarded, 1, 'a file with such places is not written again');
  });

  it('loses nothing where it comes back', async () => {
    const rig = new Rig();
    for (const name of names) rig.putBlob(name, startS, 8_000);
    loseBlocks(rig, 5);
    await assert.rejects(rig.giveUp(), { code: 'unavailable' });
    rig.log.beforeRead = () => undefined;
    rig.nowS += 10;
    await rig.recycler.giveUp(rig.oldest());
    for (const name of names) assert.deepEqual(rig.readBlob(name), payloadOf(name, 8_000));
    assert.equal(rig.recycler.lostCount, 0);
  });

  it('does not wait for what nothing counts on, nor where zeros are what stood there', async () => {
    const rig = new Rig();
    const kept = names.slice(0, 5);
    for (const name of kept) rig.putBlob(name, startS, 8_000);
    const whole = rig.log.putBlob(hashOf('zeros'), Buffer.alloc(12_000), startS);
    assert.equal(whole.segment, rig.oldest().ordinal);
    rig.log.entries.remove(rig.log.entries.blobs, rig.log.findBlob(hashOf('three')));
    loseBlocks(rig, 5, Math.ceil(whole.offset / 4_096) + 1);
    await rig.giveUp();
    assert.equal(rig.log.entries.blobs.count, kept.length);
    assert.deepEqual(rig.readBlob('zeros'), Buffer.alloc(12_000));
    assert.equal(rig.discarded, 1);
  });

  it('passes on what is no loss of bytes', async () => {
    const rig = new Rig();
    rig.putBlob('one', startS);
    rig.log.beforeRead = () => {
      throw Object.assign(new Error('EBADF: bad file descriptor, read'), { code: 'EBADF', syscall: 'read' });
    };
    await assert.rejects(rig.giveUp(), { code: 'unavailable', message: /EBADF/ });
    rig.nowS += 1_000;
    await assert.rejects(rig.recycler.giveUp(rig.oldest()), { code: 'unavailable', message: /EBADF/ });
    assert.ok(rig.hasBlob('one'));
  });
});
