// How fast large content may be synced beside small writes. The queue of the device is what they meet in: with a sync per
// MiB and no bound, 8 uploads of 256 MiB make the slowest small syncs 29 ms long, at 400 MB/s 3 ms. The right rate
// differs between disks, so it is found: it falls by half when a small sync was slow, and rises in steps while none is.
import { assert } from '../base/assert.ts';

export interface PaceLimits {
  readonly bytesPerSMin: number;
  readonly bytesPerSMax: number;
  /** A small sync that takes no longer is fine, however fast others are. */
  readonly targetUs: number;
}

/** Small syncs beside large ones may take twice what they take alone. */
const slowShare = 2;
const fallShare = 0.5;
/** From the least rate to the most while nothing is slow: so much that near the right rate few pieces in a hundred are slow. */
const riseBytes = 268_435_456;
/** The usual length of a small sync follows a shorter one quickly and a longer one slowly: one hiccup is not the usual. */
const usualShare = { shorter: 1 / 4, longer: 1 / 32 } as const;

/** For one disk. Time is the caller's, microseconds from anywhere. */
export class SyncPacer {
  readonly #limits: PaceLimits;
  #bytesPerS: number;
  /** When the next large sync may begin. */
  #nextUs = -Infinity;
  /** Large syncs that were let through and have not ended. */
  #large = 0;
  /** Of a small sync beside no large one; undefined before the first. */
  #usualUs: number | undefined;
  /** Deletions under way. */
  #deletions = 0;
  /** One was under way since the last small sync. */
  #wasDeleting = false;
  /** A small sync was slow since the last large one was let through. */
  #wasSlow = false;

  /** Begins at the fastest rate: the first slow syncs halve it soon enough, and where there are none nothing is lost. */
  constructor(limits: PaceLimits) {
    assert(limits.bytesPerSMin > 0 && limits.bytesPerSMin <= limits.bytesPerSMax, 'rates are positive and in order');
    this.#limits = limits;
    this.#bytesPerS = limits.bytesPerSMax;
  }

  /** At present. */
  get bytesPerS(): number {
    return this.#bytesPerS;
  }

  /** Above this a small sync counts as slow. */
  get slowUs(): number {
    return Math.max(this.#limits.targetUs, (this.#usualUs ?? 0) * slowShare);
  }

  /** A small sync took so long. */
  smallSync(microseconds: number): void {
    // It says nothing of large syncs, and is not the usual: a deletion takes as long whatever the rate is.
    const wasDeleting = this.#wasDeleting;
    this.#wasDeleting = this.#deletions > 0;
    if (wasDeleting) return;
    if (this.#large > 0) {
      this.#wasSlow ||= microseconds > this.slowUs;
      return;
    }
    const usual = this.#usualUs;
    this.#usualUs = usual === undefined ? microseconds : usual + (microseconds - usual) * (microseconds < usual ? usualShare.shorter : usualShare.longer);
  }

  /** How long to wait before the next large sync, of `bytes`. It counts as under way until `largeEnded`. */
  delayUs(bytes: number, nowUs: number): number {
    this.#adapt(bytes);
    const beginsUs = Math.max(nowUs, this.#nextUs); // what was not used is not saved up: a burst is what is to be avoided
    this.#nextUs = beginsUs + (bytes / this.#bytesPerS) * 1e6;
    this.#large += 1;
    return beginsUs - nowUs;
  }

  deletionBegan(): void {
    this.#deletions += 1;
    this.#wasDeleting = true;
  }

  deletionEnded(): void {
    assert(this.#deletions > 0, 'a deletion ends once');
    this.#deletions -= 1;
  }

  /** Ended or failed, or was given up before it began. */
  largeEnded(): void {
    assert(this.#large > 0, 'a large sync ends once');
    this.#large -= 1;
  }

  /** Once per large sync: many small ones beside the same large one say the same. */
  #adapt(bytes: number): void {
    const { bytesPerSMin, bytesPerSMax } = this.#limits;
    this.#bytesPerS = this.#wasSlow
      ? Math.max(bytesPerSMin, this.#bytesPerS * fallShare)
      : Math.min(bytesPerSMax, this.#bytesPerS + (bytesPerSMax - bytesPerSMin) * (bytes / riseBytes));
    this.#wasSlow = false;
  }
}
