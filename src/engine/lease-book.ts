// What may not go: entries that were used within the lease, as far as the budget of leases reaches, and pinned ones.
import type { KeyWords } from './key-words.ts';

/** One entry to be pinned, and what it takes. */
export interface PinRequest {
  readonly key: KeyWords;
  readonly bytes: number;
}

export interface LeaseBook {
  /** What was used at that time or later is leased. Grows when leases had to be shortened. */
  leaseFloorS(nowS: number): number;
  isPinned(key: KeyWords): boolean;
  /**
   * All or none; keys may repeat and may be pinned already. Ends when disposed, or by itself after 120 s.
   * @throws CacheError `resource_exhausted`: more than a quarter of the store would be pinned.
   */
  pin(requests: Iterable<PinRequest>): Disposable;
  /**
   * With `leases: strict`, whether so many bytes more can be promised; else always true.
   */
  hasRoomFor(bytes: number, nowS: number): boolean;
  readonly pinnedBytes: number;
  /** Used within the whole lease. */
  leasedBytes(nowS: number): number;
  /** How long a lease is at the moment. */
  effectiveLeaseMs(nowS: number): number;
}
