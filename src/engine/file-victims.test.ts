// Which file goes next, and that what is promised, in use or held does not.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { HandSyncedLog } from '../testing/hand-synced-log.ts';
import { FileVictims } from './file-victims.ts';
import { KeyWords } from './key-words.ts';
import { SieveOrder } from './sieve-order.ts';

const nowS = 1_600_000_000;
const floorS = nowS - 3_600;
const oldS = floorS - 1_600;

function hashOf(name: string): Uint8Array {
  return createHash('sha256').update(name).digest();
}

function keyOf(name: string): KeyWords {
  const key = new KeyWords();
  key.setBytes(4, hashOf(name));
  return key;
}

class Rig {
  readonly log = new HandSyncedLog({ segmentBytes: 65_536, leaseS: 3_600, nowS: () => nowS });
  readonly order = new SieveOrder();
  readonly pinned = new Set<string>();
  isPinned = (key: KeyWords): boolean => this.pinned.has(key.hex());
  readonly held = new Set<string>();
  readonly removed: string[] = [];
  unpinnedCount = 0;
  looked = 0;
  turns = 0;
  /** While a removal waits for room in the log. */
  onRemove: () => void = () => undefined;
  /** What a removal comes to. */
  outcome: () => Promise<boolean> = () => Promise.resolve(true);
  readonly victims = new FileVictims({
    order: this.order,
    entries: this.log.entries,
    files: {
      remove: async (slot, _reason, mayGo) => {
        this.onRemove();
        if (!mayGo(slot)) return false;
        const key = new KeyWords();
        this.log.entries.blobs.keyOf(slot, key);
        const isRemoved = await this.outcome();
        if (isRemoved) {
          this.removed.push(key.hex());
          this.log.entries.remove(this.log.entries.blobs, this.log.entries.blobs.find(key));
        }
        return isRemoved;
      },
      isHeld: (key) => this.held.has(key.hex()),
    },
    leases: this.#leases(),
    nowS: () => nowS,
    nextTurn: () => {
      this.turns += 1;
      return Promise.resolve();
    },
  });

  #leases() {
    const rig = () => this;
    return {
      isPinned: (key: KeyWords) => this.isPinned(key),
      get unpinnedCount() {
        return rig().unpinnedCount;
      },
    };
  }

  put(name: string, usedAtS = oldS): void {
    this.log.putFile(hashOf(name), 100_000, usedAtS);
    const [low = 0, high = 0] = keyOf(name).words;
    this.order.append(low, high);
  }

  use(name: string, usedAtS: number): void {
    this.log.entries.use(this.log.entries.blobs, this.log.findBlob(hashOf(name)), usedAtS);
  }

  async evictAll(): Promise<string[]> {
    while ((await this.victims.find(floorS)) !== undefined) await this.victims.evict(floorS);
    return this.removed;
  }
}

describe('FileVictims', () => {
  it('lets go the oldest that was not used', async () => {
    const rig = new Rig();
    for (const name of ['one', 'two', 'three']) rig.put(name);
    rig.use('one', oldS + 16);
    assert.deepEqual(await rig.victims.find(floorS), { digest: `sha256/${keyOf('two').hex()}`, usedAtS: oldS, sizeBytes: 100_000 });
    assert.deepEqual(await rig.victims.evict(floorS), { digest: `sha256/${keyOf('two').hex()}`, usedAtS: oldS, sizeBytes: 100_000 });
    assert.deepEqual(rig.removed, [keyOf('two').hex()]);
    assert.deepEqual(await rig.evictAll(), ['two', 'three', 'one'].map((name) => keyOf(name).hex()));
  });

  it('K2-14: never takes what is leased, pinned or held', async () => {
    const rig = new Rig();
    rig.put('leased', floorS);
    for (const name of ['pinned', 'held', 'free']) rig.put(name);
    rig.pinned.add(keyOf('pinned').hex());
    rig.held.add(keyOf('held').hex());
    assert.deepEqual(await rig.evictAll(), [keyOf('free').hex()]);
  });

  it('K2-04: a pin that comes between the choice and the removal keeps the file', async () => {
    const rig = new Rig();
    rig.put('file');
    assert.ok((await rig.victims.find(floorS)) !== undefined);
    rig.pinned.add(keyOf('file').hex());
    assert.equal(await rig.victims.evict(floorS), undefined);
    assert.deepEqual(rig.removed, []);
    rig.pinned.clear();
    rig.unpinnedCount += 1;
    assert.equal((await rig.evictAll()).length, 1);
  });

  it('K2-04: so does one that comes while the removal waits', async () => {
    const rig = new Rig();
    rig.put('file');
    await rig.victims.find(floorS);
    rig.onRemove = () => void rig.pinned.add(keyOf('file').hex());
    assert.equal(await rig.victims.evict(floorS), undefined);
    assert.deepEqual(rig.removed, []);
  });

  it('leaves alone what was used after it was chosen, and goes on with the next', async () => {
    const rig = new Rig();
    rig.put('one');
    rig.put('two');
    await rig.victims.find(floorS);
    rig.use('one', nowS);
    await rig.victims.find(floorS);
    await rig.victims.evict(floorS);
    assert.deepEqual(rig.removed, [keyOf('two').hex()]);
    assert.equal(await rig.victims.find(floorS), undefined);
  });

  it('forgets what is gone, and keeps what could not be removed', async () => {
    const rig = new Rig();
    for (const name of ['gone', 'stays']) rig.put(name);
    rig.log.entries.remove(rig.log.entries.blobs, rig.log.findBlob(hashOf('gone')));
    await rig.victims.find(floorS);
    rig.outcome = () => Promise.reject(new Error('EIO'));
    await assert.rejects(rig.victims.evict(floorS), /EIO/);
    await rig.victims.find(floorS);
    rig.outcome = () => Promise.resolve(false);
    assert.equal(await rig.victims.evict(floorS), undefined);
    rig.outcome = () => Promise.resolve(true);
    assert.deepEqual(await rig.evictAll(), [keyOf('stays').hex()]);
  });

  it('looks at a thousand or so in one turn, and not again at once when it found none', async () => {
    const rig = new Rig();
    for (let number = 0; number < 10_000; number += 1) rig.put(`file ${number}`, nowS);
    assert.equal(await rig.victims.find(floorS), undefined);
    assert.ok(rig.turns >= 16);
    rig.turns = 0;
    assert.equal(await rig.victims.find(floorS), undefined);
    assert.equal(rig.turns, 0);
    assert.equal(await rig.victims.find(floorS + 16), undefined);
    assert.ok(rig.turns >= 16);
  });

  it('takes what has fallen out of its lease at once, however the floor stands to the steps in which uses are known', async () => {
    for (const before of [0, 1, 15]) {
      const rig = new Rig();
      rig.put('file', floorS);
      assert.equal(await rig.victims.find(floorS - before), undefined);
      assert.equal(await rig.victims.find(floorS), undefined);
      assert.ok((await rig.victims.find(floorS + 1)) !== undefined, `first looked ${before} s before`);
    }
  });

  it('takes what came after it found none, when leases are shortened to nothing', async () => {
    const rig = new Rig();
    assert.equal(await rig.victims.find(nowS + 16), undefined);
    rig.put('file', nowS);
    assert.ok((await rig.victims.find(nowS + 16)) !== undefined);
  });

  it('K2-04: a pin that ends while it is asked for keeps the file once more: it was in use until then', async () => {
    for (const asked of [1, 2, 3, 4]) {
      const rig = new Rig();
      rig.put('file');
      let asks = 0;
      rig.isPinned = () => {
        asks += 1;
        if (asks === asked) rig.use('file', nowS);
        return false;
      };
      if ((await rig.victims.find(floorS)) !== undefined) assert.equal(await rig.victims.evict(floorS), undefined, `asked ${asked} times`);
      assert.deepEqual(rig.removed, []);
    }
  });

  it('takes what has fallen out of its lease', async () => {
    const rig = new Rig();
    rig.put('file', floorS + 32);
    assert.equal(await rig.victims.find(floorS), undefined);
    assert.ok((await rig.victims.find(floorS + 64)) !== undefined);
  });
});
