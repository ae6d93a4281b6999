// Looks for files that were not used for longer than is allowed. SIEVE's order is no order of age: a file that was used once stays
// for another round, and what is behind it may be older. So all of it is gone through, and then not again before the oldest that was
// met may have become too old, or a 64th of the age has passed.
import type { KeyPrefix, SieveOrder } from './sieve-order.ts';

/** What becomes of one that is too old: `take`, or it may not go now, or there is none of that name any more. */
export type AgedLook = 'take' | 'kept' | 'gone';

/** How much longer a file may stay than it should, at most. */
const lateShare = 1 / 64;

export class AgedFiles {
  readonly #order: SieveOrder;
  /** No round begins before. */
  #nextS = -Infinity;
  /** Of the round under way. */
  #looksLeft = 0;
  #oldestS = Infinity;

  constructor(order: SieveOrder) {
    this.#order = order;
  }

  /** Whether there may be one. Then `step` is called until it finds one, or this says no. */
  isDue(nowS: number, ageFloorS: number): boolean {
    if (ageFloorS === -Infinity) return false;
    if (this.#looksLeft === 0 && nowS >= this.#nextS) {
      this.#looksLeft = this.#order.count;
      this.#oldestS = Infinity;
      if (this.#looksLeft === 0) this.#end(nowS, ageFloorS);
    }
    return this.#looksLeft > 0;
  }

  /**
   * Looks at so many at most. The marks of use stay as they are, and so does the order: a whole round brings the hand to where it was.
   * @param usedAtS of a name, undefined: there is no file of that name any more. `look`: of one that is too old.
   */
  step(times: { readonly nowS: number; readonly ageFloorS: number }, looksMax: number, usedAtS: (low: number, high: number) => number | undefined, look: (low: number, high: number) => AgedLook): KeyPrefix | undefined {
    const { nowS, ageFloorS } = times;
    const found = this.#order.victim((low, high) => {
      this.#looksLeft -= 1;
      const usedS = usedAtS(low, high);
      if (usedS === undefined) return 'gone';
      const outcome = usedS < ageFloorS ? look(low, high) : 'kept';
      if (outcome === 'kept') this.#oldestS = Math.min(this.#oldestS, usedS);
      return outcome;
    }, Math.min(looksMax, this.#looksLeft));
    // One that could not be removed after all was put at the end, and what came meanwhile is not too old.
    if (this.#looksLeft === 0) this.#end(nowS, ageFloorS);
    return found;
  }

  #end(nowS: number, ageFloorS: number): void {
    const ageS = nowS - ageFloorS;
    this.#nextS = Math.max(nowS + Math.ceil(ageS * lateShare), Math.min(this.#oldestS, nowS) + ageS);
  }
}
