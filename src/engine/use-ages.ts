// How many bytes were used how long ago, in steps of 16 seconds: enough to say what is leased, and how far leases must be
// shortened so that no more than a given number of bytes is. Times are seconds since 1970 and never in the future. Nothing
// asked or changed looks at more than some twenty numbers, for a lease of a year too: each put and each step of eviction asks.
import { assert } from '../base/assert.ts';
import { useStepS } from './entry-codec.ts';
import { PrefixSums } from './prefix-sums.ts';

export class UseAges {
  readonly leaseS: number;
  /** Bytes by step of use, a ring; a step is the 16 seconds up to and with its number times 16. */
  readonly #ring: PrefixSums;
  /** The ring has this step and those before it. */
  #newestStep = 0;
  /** Bytes used before all steps of the ring: no lease reaches there. */
  #olderBytes = 0;
  #totalBytes = 0;

  constructor(leaseS: number) {
    assert(Number.isSafeInteger(leaseS) && leaseS >= 0, 'a lease is a whole number of seconds');
    this.leaseS = leaseS;
    this.#ring = new PrefixSums(Math.ceil(leaseS / useStepS) + 2);
  }

  get totalBytes(): number {
    return this.#totalBytes;
  }

  /** `usedAtS` as it is, or rounded up to a multiple of 16 as the index keeps it: both are one step. */
  add(bytes: number, usedAtS: number): void {
    assert(Number.isSafeInteger(bytes) && bytes >= 0, 'bytes are counted exactly');
    const step = stepOf(usedAtS);
    if (step > this.#newestStep) this.#advance(step);
    this.#change(step, bytes);
  }

  /** Takes back what was added for that time of use. */
  take(bytes: number, usedAtS: number): void {
    assert(Number.isSafeInteger(bytes) && bytes >= 0, 'bytes are counted exactly');
    this.#change(stepOf(usedAtS), -bytes);
  }

  /** What was used at `fromS` was used again at `toS`. */
  move(bytes: number, fromS: number, toS: number): void {
    this.take(bytes, fromS);
    this.add(bytes, toS);
  }

  /**
   * The least time of use that is leased, when at most `bytesMax` bytes may be: leased is what was used at that time or
   * later. All steps that fit, from the newest on; never further back than the lease.
   */
  leaseFloorS(nowS: number, bytesMax: number): number {
    const floorS = nowS - this.leaseS + 1;
    if (this.#bytesSince(floorS) <= bytesMax) return floorS;
    const sums = this.#ring;
    const newest = this.#placeOf(this.#newestStep);
    const beyond = sums.before(newest + 1) - bytesMax;
    // The last place from which on too much was used: up to the newest one, or behind it, where the ring goes on with older ones.
    const place = beyond > 0 ? sums.lastBelow(beyond) : sums.lastBelow(sums.total + beyond);
    const back = (newest - place + sums.length) % sums.length;
    return (this.#newestStep - back) * useStepS + 1;
  }

  /** How long a lease is at the moment, for people: the full one unless it would take more than `bytesMax`; 0 to `leaseS`. */
  effectiveLeaseS(nowS: number, bytesMax: number): number {
    return Math.max(0, Math.min(this.leaseS, nowS - this.leaseFloorS(nowS, bytesMax) + 1));
  }

  /** Bytes used within the whole lease. */
  leasedBytes(nowS: number): number {
    return this.#bytesSince(nowS - this.leaseS + 1);
  }

  /** Bytes used at that time or later, as far back as the ring goes. */
  #bytesSince(floorS: number): number {
    const sums = this.#ring;
    const step = Math.max(Math.ceil(floorS / useStepS), this.#newestStep - sums.length + 1, 0);
    if (step > this.#newestStep) return 0;
    const [first, newest] = [this.#placeOf(step), this.#placeOf(this.#newestStep)];
    const bytes = sums.before(newest + 1) - sums.before(first);
    return first <= newest ? bytes : sums.total + bytes;
  }

  #change(step: number, bytes: number): void {
    assert(step <= this.#newestStep, 'only what was added is taken back');
    if (this.#isInRing(step)) {
      const place = this.#placeOf(step);
      assert(bytes >= 0 || this.#ring.at(place) + bytes >= 0, 'only what was added is taken back');
      this.#ring.add(place, bytes);
    } else {
      assert(this.#olderBytes + bytes >= 0, 'only what was added is taken back');
      this.#olderBytes += bytes;
    }
    this.#totalBytes += bytes;
    assert(Number.isSafeInteger(this.#totalBytes), 'bytes are counted exactly');
  }

  /** Makes room for newer steps: the oldest ones become one. A look at each step that has passed since the one before. */
  #advance(newestStep: number): void {
    if (newestStep - this.#newestStep >= this.#ring.length) {
      this.#olderBytes += this.#ring.total;
      this.#ring.clear();
    } else {
      for (let step = this.#newestStep + 1; step <= newestStep; step += 1) this.#drop(this.#placeOf(step));
    }
    this.#newestStep = newestStep;
  }

  #drop(place: number): void {
    const bytes = this.#ring.at(place);
    if (bytes === 0) return;
    this.#olderBytes += bytes;
    this.#ring.add(place, -bytes);
  }

  #isInRing(step: number): boolean {
    return step > this.#newestStep - this.#ring.length && step >= 0;
  }

  #placeOf(step: number): number {
    return step % this.#ring.length;
  }
}

/** Times before 1970 are one step. */
function stepOf(usedAtS: number): number {
  assert(Number.isSafeInteger(usedAtS), 'times of use are whole seconds');
  return Math.max(0, Math.ceil(usedAtS / useStepS));
}
