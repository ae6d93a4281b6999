// When all files are looked at for their age, what is found then, and that the order of SIEVE stays what it was.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AgedFiles } from './aged-files.ts';
import { SieveOrder } from './sieve-order.ts';

const ageS = 6_400;

class Rig {
  readonly order = new SieveOrder();
  readonly aged = new AgedFiles(this.order);
  readonly usedAtS = new Map<number, number>();
  readonly kept = new Set<number>();
  nowS = 100_000;
  looks = 0;

  put(name: number, unusedS: number): void {
    this.order.append(name, 0);
    this.usedAtS.set(name, this.nowS - unusedS);
  }

  /** All that are found to be too old now. */
  found(looksMax = 1_000): readonly number[] {
    const found: number[] = [];
    const ageFloorS = this.nowS - ageS;
    while (this.aged.isDue(this.nowS, ageFloorS)) {
      const one = this.aged.step({ nowS: this.nowS, ageFloorS }, looksMax, (low) => {
        this.looks += 1;
        return this.usedAtS.get(low);
      }, (low) => (this.kept.has(low) ? 'kept' : 'take'));
      if (one === undefined) continue;
      this.usedAtS.delete(one.low);
      found.push(one.low);
    }
    return found;
  }

  /** In the order in which they would go if none was used. */
  rest(): readonly number[] {
    const rest: number[] = [];
    for (let one = this.order.victim(() => 'take', 1); one !== undefined; one = this.order.victim(() => 'take', 1)) rest.push(one.low);
    return rest;
  }
}

describe('AgedFiles', () => {
  it('finds all that are too old wherever they stand, and leaves the others in their order', () => {
    for (const looksMax of [1, 2, 1_000]) {
      const rig = new Rig();
      [100, ageS + 1, ageS, ageS + 500, 0].forEach((unusedS, name) => rig.put(name, unusedS));
      assert.deepEqual(rig.found(looksMax), [1, 3]);
      assert.equal(rig.looks, 5);
      assert.deepEqual(rig.rest(), [0, 2, 4]);
    }
  });

  it('looks again when the oldest may have become too old, and not before', () => {
    const rig = new Rig();
    rig.put(1, 1_000);
    rig.put(2, 3_000);
    assert.deepEqual(rig.found(), []);
    for (; rig.nowS < 100_000 + ageS - 3_000; rig.nowS += 10) assert.deepEqual(rig.found(), []);
    assert.equal(rig.looks, 2);
    rig.nowS += 1;
    assert.deepEqual(rig.found(), [2]);
  });

  it('looks no more often than is needed to be a 64th late, however old the oldest is', () => {
    const rig = new Rig();
    rig.put(1, ageS - 1);
    rig.put(2, ageS + 10);
    rig.kept.add(2);
    for (let seconds = 0; seconds < 1_000; seconds += 1, rig.nowS += 1) {
      rig.usedAtS.set(1, rig.nowS - ageS + 1);
      assert.deepEqual(rig.found(), []);
    }
    assert.equal(rig.looks, 2 * 10);
  });

  it('forgets what is gone, and looks at nothing without a limit', () => {
    const rig = new Rig();
    rig.put(1, ageS + 1);
    rig.put(2, ageS + 1);
    rig.usedAtS.delete(1);
    assert.equal(rig.aged.isDue(rig.nowS, -Infinity), false);
    assert.deepEqual(rig.found(), [2]);
    assert.equal(rig.order.count, 0);
  });
});
