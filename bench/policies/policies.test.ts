// Each policy against sequences worked out by hand from its paper, and what holds for all of them on random requests.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SeededRandom, seededRandom } from '../../src/testing/seeded-random.ts';
import { Lru } from './lru.ts';
import { ObjectOrder } from './object-order.ts';
import type { EvictionPolicy, PolicyOptions } from './policy.ts';
import { footprintBytes, replay } from './replay.ts';
import { S3Fifo } from './s3-fifo.ts';
import { SegmentedScheme } from './segmented-scheme.ts';
import { Sieve } from './sieve.ts';
import { incrementalBuilds, scannedZipf, slidingWindow } from './traces.ts';
import { UseSketch } from './use-sketch.ts';
import { WTinyLfu } from './w-tiny-lfu.ts';

const [A, B, C, D, E, F, G] = [0, 1, 2, 3, 4, 5, 6] as const;

/** Objects of one byte each. */
function options(capacityBytes: number, objects = 200): PolicyOptions {
  return { sizes: new Float64Array(objects).fill(1), capacityBytes };
}

/** Of each request: `+` a hit, `-` a miss. */
function outcomes(policy: EvictionPolicy, objects: readonly number[]): string {
  return objects.map((object) => (policy.request(object, 0) ? '+' : '-')).join('');
}

describe('LRU', () => {
  it('lets go what was not used for longest', () => {
    // Of three places: A and B and C; A is used; D takes that of B; B that of C.
    assert.equal(outcomes(new Lru(options(3)), [A, B, C, A, D, A, B, C]), '---+-+--');
  });

  it('counts every hit as a move', () => {
    const lru = new Lru(options(3));
    outcomes(lru, [A, B, A, A]);
    assert.equal(lru.movedBytes, 2);
  });
});

describe('SIEVE', () => {
  it('takes marks away from the oldest on, and evicts the first object without one', () => {
    // Of seven: A, B and G are used. H: A and B lose their marks, C goes, the hand is at D. A and D are used. I: D loses its mark, E goes, the
    // hand is at F. E: F goes, the hand is at G. D and H are used. F: G and H lose their marks, I goes, the hand is at E. I: E goes.
    const [H, I] = [7, 8];
    const asked = [A, B, C, D, E, F, G, A, B, G, H, A, D, I, E, D, H, F, I];
    assert.equal(outcomes(new Sieve(options(7)), asked), '-------+++-++--++--');
  });

  it('goes on where it stopped, and begins anew behind the newest', () => {
    // Of three: A used; D: A loses its mark, B goes. The hand is at C. E: C goes. The hand is at D. F: D goes. Then E, then at the oldest again: A.
    const sieve = new Sieve(options(3));
    assert.equal(outcomes(sieve, [A, B, C, A, D, E]), '---+--');
    assert.equal(outcomes(sieve, [F]), '-');
    // There are A, E, F; the hand is at E.
    assert.equal(outcomes(sieve, [A, E, F]), '+++');
    // All are marked: E and F lose theirs, then A, then E goes.
    assert.equal(outcomes(sieve, [G, A, F, E]), '-++-');
  });

  it('moves nothing', () => assert.equal(new Sieve(options(3)).movedBytes, 0));
});

describe('S3-FIFO', () => {
  it('lets objects of one use out of its small queue, and takes them into the main one when they come back soon', () => {
    // Ten places, of which one is the small queue's. Ten objects fill the small queue; the eleventh evicts the oldest of it.
    const s3 = new S3Fifo(options(10));
    const ten = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
    assert.equal(outcomes(s3, ten), '----------');
    assert.equal(outcomes(s3, [10]), '-');
    // 0 is remembered: it comes into the main queue, and 1 goes for it.
    assert.equal(outcomes(s3, [0]), '-');
    // However many pass through the small queue, 0 stays.
    assert.equal(outcomes(s3, Array.from({ length: 50 }, (_, number) => 20 + number)), '-'.repeat(50));
    assert.equal(outcomes(s3, [0, 1]), '+-');
  });

  it('moves on from the small queue what was used more than once there, and not what was used once', () => {
    const s3 = new S3Fifo(options(10));
    const ten = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
    outcomes(s3, ten);
    assert.equal(outcomes(s3, [0, 0, 1]), '+++');
    // 0 moves on, and 1 goes, for 10. 2 to 9 go for what follows.
    assert.equal(outcomes(s3, [10, 11, 12, 13, 14, 15, 16, 17, 18]), '---------');
    assert.equal(s3.movedBytes, 1);
    assert.equal(outcomes(s3, [0]), '+');
    assert.equal(outcomes(s3, [1]), '-');
  });

  it('lets an object of the main queue go around once for each use', () => {
    const s3 = new S3Fifo(options(10));
    // 0 to 8 come back from the ghost queue: each falls out of the small queue when the one before it comes back.
    assert.equal(outcomes(s3, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0, 1, 2, 3, 4, 5, 6, 7, 8]), '-'.repeat(20));
    // 9 comes back as well, for 10; the small queue is empty then.
    assert.equal(outcomes(s3, [0, 0, 1, 9]), '+++-');
    assert.equal(s3.movedBytes, 0);
    // For 30 the main queue lets 0 and 1 go around, and 2 go.
    assert.equal(outcomes(s3, [30]), '-');
    assert.equal(s3.movedBytes, 2);
    assert.equal(outcomes(s3, [0, 1, 2]), '++-');
  });
});

describe('UseSketch', () => {
  it('counts up to 15 and halves all counts after ten times as many requests as there are objects', () => {
    const sketch = new UseSketch(16);
    for (let times = 0; times < 20; times += 1) sketch.add(A);
    assert.equal(sketch.count(A), 15);
    sketch.add(B);
    for (let times = 21; times < 160; times += 1) sketch.add(C);
    assert.equal(sketch.count(A), 7);
    assert.ok(sketch.count(B) <= 1);
  });
});

describe('W-TinyLFU', () => {
  it('lets a newcomer in only if it was asked for more often than what would have to go', () => {
    // A hundred places: one is the window's, 99 the main part's. A hundred and one objects, each asked for twice: the main part is full.
    const lfu = new WTinyLfu(options(100));
    for (let object = 0; object < 100; object += 1) outcomes(lfu, [object, object]);
    assert.equal(lfu.usedBytes, 100);
    // 150 is asked for once. It goes into the window; when 151 comes, it falls out, and everything else was used more often.
    assert.equal(outcomes(lfu, [150, 151, 150]), '---');
    // Asked for again and again it gets into the main part, and 98 others stay.
    outcomes(lfu, [150, 150, 150, 150, 151]);
    assert.equal(outcomes(lfu, [150]), '+');
  });

  it('protects what is used in its main part', () => {
    const lfu = new WTinyLfu(options(100));
    for (let object = 0; object < 100; object += 1) outcomes(lfu, [object]);
    const before = lfu.movedBytes;
    // On probation, so it moves to the protected part; the second use moves it there.
    assert.equal(outcomes(lfu, [5, 5]), '++');
    assert.equal(lfu.movedBytes - before, 2);
  });
});

describe('ObjectOrder', () => {
  it('is a list, whatever comes and goes', (t) => {
    const random = seededRandom(t);
    const order = new ObjectOrder(Float64Array.from({ length: 50 }, (_, object) => object + 1));
    const list: number[] = [];
    for (let step = 0; step < 3_000; step += 1) {
      const object = random.integer(0, 49);
      const at = list.indexOf(object);
      assert.equal(order.has(object), at !== -1);
      if (at === -1) {
        order.add(object);
        list.push(object);
      } else if (random.fraction() < 0.5) {
        order.remove(object);
        list.splice(at, 1);
      } else {
        order.renew(object);
        list.push(...list.splice(at, 1));
      }
      assert.equal(order.bytes, list.reduce((sum, one) => sum + one + 1, 0));
      assert.equal(order.oldest, list[0] ?? -1);
      for (const [index, one] of list.entries()) assert.equal(order.newerThan(one), list[index + 1] ?? -1);
    }
  });
});

const makers: Readonly<Record<string, (options: PolicyOptions) => EvictionPolicy>> = {
  'LRU': (given) => new Lru(given),
  'S3-FIFO': (given) => new S3Fifo(given),
  'SIEVE': (given) => new Sieve(given),
  'W-TinyLFU': (given) => new WTinyLfu(given),
  'Kiln’s scheme': (given) => new SegmentedScheme(given, { leaseS: 0, hasSecondRound: true }),
  'Kiln’s scheme with leases': (given) => new SegmentedScheme(given, { leaseS: 10_800, hasSecondRound: true }),
};

describe('every policy', () => {
  for (const [name, make] of Object.entries(makers)) {
    it(`${name} never holds more than it may, and finds everything again where there is room for all`, () => {
      for (const makeTrace of [incrementalBuilds, scannedZipf, slidingWindow]) {
        const trace = makeTrace(new SeededRandom(7), 0.02);
        const footprint = footprintBytes(trace);
        // `replay` throws where the bound is broken.
        const capacityBytes = Math.max(25_000_000, Math.floor(0.2 * footprint));
        replay(trace, make({ sizes: trace.sizes, capacityBytes }), capacityBytes);
        const roomy = 4 * footprint + 200_000_000;
        const { repeated, hits } = replay(trace, make({ sizes: trace.sizes, capacityBytes: roomy }), roomy);
        // Objects above the window of W-TinyLFU are compared with nobody as long as there is room.
        assert.equal(hits, repeated);
      }
    });
  }

  it('Kiln’s scheme writes no byte again for more than one that comes', () => {
    for (const makeTrace of [incrementalBuilds, scannedZipf, slidingWindow]) {
      for (const leaseS of [0, 10_800]) {
        const trace = makeTrace(new SeededRandom(3), 0.05);
        const capacityBytes = Math.max(25_000_000, Math.floor(0.1 * footprintBytes(trace)));
        const scheme = new SegmentedScheme({ sizes: trace.sizes, capacityBytes }, { leaseS, hasSecondRound: true });
        const { missedBytes } = replay(trace, scheme, capacityBytes);
        assert.ok(scheme.movedBytes <= missedBytes, `${scheme.movedBytes} bytes moved, ${missedBytes} stored`);
      }
    }
  });
});

describe('traces', () => {
  it('are the same for the same seed, and times never go back', () => {
    for (const makeTrace of [incrementalBuilds, scannedZipf, slidingWindow]) {
      const [one, two, other] = [5, 5, 6].map((seed) => makeTrace(new SeededRandom(seed), 0.02));
      assert.deepEqual(one, two);
      assert.notDeepEqual(one?.objects, other?.objects);
      one?.timesS.forEach((timeS, at) => assert.ok(at === 0 || timeS >= (one.timesS[at - 1] ?? 0)));
    }
  });
});
