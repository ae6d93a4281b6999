// Makes room: carries out what the policy of eviction says, one step at a time, off the path of requests.
import type { CallOptions } from '../base/call-options.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import type { SpaceReservation } from './space-ledger.ts';

export interface Evictor {
  /**
   * Room for so many bytes on the disk, at once when there is some and nobody waits; else in the order of asking.
   * @throws CacheError `disk_full` (can never fit; or, with strict leases, all is promised), `busy` (writes under way hold the
   *   room, or too many wait), `unavailable` (nothing can be deleted), `cancelled`.
   */
  reserve(bytes: number, options?: CallOptions): MaybePromise<SpaceReservation>;
  /**
   * A file for a segment: resolves when the supply has a free one, or there is room for a new one. In line with `reserve`.
   * @throws as `reserve`.
   */
  freeSegment(options?: CallOptions): Promise<SpaceReservation | 'free'>;
  /** Looks whether something must go, by bytes, age, count or the disk; in the background. */
  trim(): void;
  /** Resolves when no eviction is under way. */
  idle(): Promise<void>;
}
