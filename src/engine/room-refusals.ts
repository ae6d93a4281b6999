// What is said to who gets no room, and why there is none: each case has another remedy.
import { CacheError } from '../base/cache-error.ts';
import type { LeaseBook } from './lease-book.ts';
import { RoomLine } from './room-line.ts';
import type { SpaceLedger } from './space-ledger.ts';

export interface RefusalParts {
  readonly ledger: SpaceLedger;
  readonly leases: Pick<LeaseBook, 'isStrict' | 'leasedBytes' | 'pinnedBytes'>;
  readonly nowS: () => number;
}

/** No bound of the store leaves so much: final for this write. */
export function neverFits(bytes: number, { maxBytes }: SpaceLedger): CacheError {
  return new CacheError('disk_full', `${bytes} bytes do not fit into a store of ${maxBytes} bytes (--max-size)`);
}

/** The disk has less room than the store may take. */
export function tooLargeForDisk(bytes: number, { boundBytes }: SpaceLedger): CacheError {
  return new CacheError('disk_full', `${bytes} bytes do not fit: the disk has room for a store of ${boundBytes} bytes at the moment; free some space on it`);
}

/** K1-07: others have filled the disk. */
export function floorIsLost({ diskFloorBytes }: SpaceLedger): CacheError {
  return new CacheError('disk_full', `the disk is full: ${diskFloorBytes} bytes are to stay free on it, and what others have stored there leaves less, whatever is evicted; free some space on it`);
}

/** All that could go has gone. */
export function storeIsFull({ ledger, leases, nowS }: RefusalParts): CacheError {
  const left = leases.isStrict
    ? `is leased (${leases.leasedBytes(nowS())} bytes) or pinned (${leases.pinnedBytes})`
    : `is pinned (${leases.pinnedBytes} bytes), being written (${ledger.reservedBytes}) or needed to write at all`;
  const advice = ledger.boundBytes < ledger.maxBytes ? 'free some space on the disk' : `raise --max-size${leases.isStrict ? ' or lower --lease' : ''}`;
  return new CacheError('disk_full', `the store is full (${ledger.usedBytes} of ${ledger.boundBytes} bytes) and nothing may go: all that is left ${left}; ${advice}`);
}

/** What was deleted would be enough. */
export function deletionsHang({ ledger }: RefusalParts): CacheError {
  return RoomLine.busy(`${ledger.bytesOf('trash')} bytes that were deleted are still on the disk, since somebody reads them or it is slow to delete; come again, and if this lasts look at the health of the disk`);
}

export function heldByWrites(): CacheError {
  return RoomLine.busy('all room is taken by writes in progress');
}

export function hardToGiveUp(): CacheError {
  return RoomLine.busy('what is to go is still being read, or the disk is slow');
}

/** Segments that were asked for ahead are all that still waits then: no failure of the disk. */
export function closing(): CacheError {
  return RoomLine.busy('it is closing');
}
