// The order of large files beside the plain algorithm.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AssertionError } from '../base/assert.ts';
import { SeededRandom, seededRandom } from '../testing/seeded-random.ts';
import { SieveOrder } from './sieve-order.ts';
import type { SieveLook } from './sieve-order.ts';

/** SIEVE as in its paper: one list from old to new and a hand. */
class PlainSieve {
  readonly #entries: number[] = [];
  #hand = 0;

  append(entry: number): void {
    this.#entries.push(entry);
  }

  victim(look: (entry: number) => SieveLook, looksMax: number): number | undefined {
    for (let looks = 0; looks < looksMax && this.#entries.length > 0; looks += 1) {
      const entry = this.#entries[this.#hand] ?? 0;
      const found = look(entry);
      if (found === 'used' || found === 'kept') this.#hand += 1;
      else this.#entries.splice(this.#hand, 1);
      if (this.#hand >= this.#entries.length) this.#hand = 0;
      if (found === 'take') return entry;
    }
    return undefined;
  }

  get count(): number {
    return this.#entries.length;
  }
}

/** What is known of the entries of one run, so that both orders are answered alike. */
class Library {
  readonly used = new Set<number>();
  readonly gone = new Set<number>();
  readonly kept = new Set<number>();

  look(entry: number): SieveLook {
    if (this.gone.has(entry)) return 'gone';
    if (this.kept.has(entry)) return 'kept';
    return this.used.delete(entry) ? 'used' : 'take';
  }
}

function compareRuns(random: SeededRandom, steps: number): void {
  const [order, plain] = [new SieveOrder(), new PlainSieve()];
  const [ours, theirs] = [new Library(), new Library()];
  let made = 0;
  // Now more comes than goes, now the other way round, so that blocks are begun and given up.
  for (let step = 0; step < steps; step += 1) {
    const chance = random.fraction();
    if (chance < (step % 8_000 < 5_000 ? 0.5 : 0.2)) {
      order.append(made, ~made >>> 0);
      plain.append(made);
      made += 1;
    } else if (chance < 0.6) {
      const entry = random.integer(Math.max(0, made - 5_000), made);
      const mark = random.pick(['used', 'used', 'used', 'gone', 'kept'] as const);
      for (const library of [ours, theirs]) library[mark].add(entry);
    } else if (chance < 0.65) {
      for (const library of [ours, theirs]) library.kept.clear();
    } else {
      const looksMax = random.integer(0, 40);
      const taken = order.victim((low, high) => {
        assert.equal(high, ~low >>> 0);
        return ours.look(low);
      }, looksMax);
      assert.equal(taken?.low, plain.victim((entry) => theirs.look(entry), looksMax));
    }
    assert.equal(order.count, plain.count);
  }
}

describe('SieveOrder', () => {
  it('K2-01: takes what the plain algorithm takes', (t) => compareRuns(seededRandom(t), 60_000));

  for (const seed of [1, 2, 3]) it(`takes what the plain algorithm takes, seed ${seed}`, () => compareRuns(new SeededRandom(seed), 20_000));

  it('gives what was used one more round, in place, and takes the oldest that was not', () => {
    const order = new SieveOrder();
    const used = new Set([1, 2]);
    const look = (low: number): SieveLook => (used.delete(low) ? 'used' : 'take');
    for (const entry of [1, 2, 3, 4]) order.append(entry, 0);
    assert.equal(order.victim(look, 10)?.low, 3);
    order.append(5, 0);
    assert.equal(order.victim(look, 10)?.low, 4);
    assert.equal(order.victim(look, 10)?.low, 5);
    assert.equal(order.victim(look, 10)?.low, 1);
    assert.equal(order.victim(look, 10)?.low, 2);
    assert.equal(order.victim(look, 10), undefined);
  });

  it('begins anew with the oldest, even if something came when the hand had passed all', () => {
    const order = new SieveOrder();
    order.append(1, 0);
    order.append(2, 0);
    assert.equal(order.victim(() => 'kept', 2), undefined);
    order.append(3, 0);
    assert.equal(order.victim(() => 'take', 1)?.low, 1);
  });

  it('looks at no more than it is allowed to, and goes on from there', () => {
    const order = new SieveOrder();
    for (let entry = 0; entry < 10; entry += 1) order.append(entry, 0);
    const seen: number[] = [];
    const look = (low: number): SieveLook => {
      seen.push(low);
      return 'kept';
    };
    assert.equal(order.victim(look, 4), undefined);
    assert.equal(order.victim(look, 8), undefined);
    assert.deepEqual(seen, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]);
    assert.equal(order.count, 10);
  });

  it('keeps the entry under the hand when looking at it fails, and can go on', () => {
    const order = new SieveOrder();
    order.append(7, 8);
    assert.throws(() => order.victim(() => { throw new RangeError('unreadable'); }, 1), RangeError);
    assert.deepEqual(order.victim(() => 'take', 1), { low: 7, high: 8 });
  });

  it('refuses to be changed by who looks', () => {
    const order = new SieveOrder();
    order.append(1, 1);
    assert.throws(() => order.victim(() => {
      order.append(2, 2);
      return 'kept';
    }, 1), AssertionError);
    assert.throws(() => order.victim(() => {
      order.victim(() => 'take', 1);
      return 'kept';
    }, 1), AssertionError);
    assert.equal(order.count, 1);
  });

  it('takes 8 bytes for an entry and a few blocks, and gives back what it does not need', () => {
    const order = new SieveOrder();
    for (let entry = 0; entry < 100_000; entry += 1) order.append(entry, entry);
    for (let turn = 0; turn < 3; turn += 1) {
      order.victim(() => 'kept', 37_000);
      assert.ok(order.allocatedBytes <= 8 * 100_000 + 4 * 8_192, `${order.allocatedBytes} bytes`);
    }
    while (order.victim(() => 'take', 10) !== undefined);
    assert.equal(order.count, 0);
    assert.ok(order.allocatedBytes <= 2 * 8_192, `${order.allocatedBytes} bytes`);
  });
});
