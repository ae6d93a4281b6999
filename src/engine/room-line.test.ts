// Who is served first, of those who wait for segments and for other room.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CacheError } from '../base/cache-error.ts';
import { RoomLine } from './room-line.ts';
import { SpaceLedger } from './space-ledger.ts';

const segmentBytes = 10;

class Rig {
  readonly ledger = new SpaceLedger({ maxBytes: 1_000, diskFloorBytes: 0 });
  readonly supply = { freeCount: 0, segmentBytes };
  readonly line = new RoomLine(this.ledger, this.supply);
  readonly served: string[] = [];

  constructor() {
    this.ledger.place('files', 1_000);
  }

  file(name: string, bytes: number): void {
    void this.line.wait(bytes).then(() => this.served.push(name));
  }

  segment(name: string): void {
    void this.line.waitForSegment().then((room) => this.served.push(room === 'free' ? `${name} free` : name));
  }

  /** So much comes free; who got room by that. */
  async free(bytes: number): Promise<readonly string[]> {
    this.ledger.remove('files', bytes);
    return this.serve();
  }

  async serve(): Promise<readonly string[]> {
    this.served.length = 0;
    this.line.serve();
    await new Promise((resolve) => setImmediate(resolve));
    return [...this.served];
  }
}

describe('RoomLine', () => {
  it('serves each line in the order of asking', async () => {
    const rig = new Rig();
    rig.file('large', 30);
    rig.file('small', 1);
    assert.deepEqual(await rig.free(20), []);
    assert.equal(rig.line.firstBytes, 30);
    assert.deepEqual(await rig.free(11), ['large', 'small']);
    assert.equal(rig.line.count, 0);
  });

  it('lets segments pass a large file that waits, so that small writes do not wait for all of its room', async () => {
    const rig = new Rig();
    rig.file('large', 100);
    rig.segment('one');
    rig.segment('two');
    assert.equal(rig.line.firstBytes, segmentBytes, 'what is made room for first');
    assert.deepEqual(await rig.free(25), ['one', 'two']);
    assert.equal(rig.line.firstBytes, 100);
  });

  it('lets no more of them pass than take what the file waits for: neither starves the other', async () => {
    const rig = new Rig();
    rig.file('large', 30);
    rig.file('next', 15);
    for (const name of ['one', 'two', 'three', 'four', 'five', 'six']) rig.segment(name);
    assert.deepEqual(await rig.free(30), ['one', 'two', 'three']);
    assert.equal(rig.line.firstBytes, 30, 'now it is the turn of the file');
    assert.deepEqual(await rig.free(20), []);
    assert.deepEqual(await rig.free(10), ['large']);
    assert.deepEqual(await rig.free(20), ['four', 'five'], 'and then the next file is passed as it was');
    assert.deepEqual(await rig.free(15), ['next']);
    assert.deepEqual(await rig.free(10), ['six']);
  });

  it('gives one segment that is free at a time: who was told of it takes it first', async () => {
    const rig = new Rig();
    rig.segment('one');
    rig.segment('two');
    rig.supply.freeCount = 1;
    assert.deepEqual(await rig.serve(), ['one free']);
    assert.equal(rig.line.segmentCount, 1);
  });

  it('refuses all, or the first of the files alone', async () => {
    const rig = new Rig();
    const why = new CacheError('busy', 'a reason');
    const segment = rig.line.waitForSegment();
    const [first, second] = [rig.line.wait(20), rig.line.wait(30)];
    assert.equal(rig.line.firstFileBytes, 20);
    rig.line.refuseFirstFile(why);
    await assert.rejects(first, why);
    assert.deepEqual([rig.line.firstFileBytes, rig.line.segmentCount], [30, 1]);
    rig.line.refuseAll(why);
    await assert.rejects(second, why);
    await assert.rejects(segment, why);
    assert.deepEqual([rig.line.count, rig.line.firstFileBytes, rig.line.firstBytes], [0, 0, undefined]);
  });
});
