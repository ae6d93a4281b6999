// What becomes of one record of a segment that is being given up: nothing counts on it, it moves on, or it goes. Segments are
// given up oldest first, so this decides which blobs and values of the log the cache forgets: first in, first out, with a
// second round for what was used.
import { assertNever } from '../base/assert.ts';
import type { RecordKind } from './record-codec.ts';

/** `dead`: nothing counts on it. `copy`: to the end of its stream. `drop`: the store forgets what it is the record of. */
export type RecycleStep = 'dead' | 'copy' | 'drop';

export interface RecycledRecord {
  readonly kind: RecordKind;
  /** Of the whole record. */
  readonly bytes: number;
  /** Of an intent: its upload is under way. Of others false. */
  readonly isUploading: boolean;
}

/** The entry of the index that points to the record. */
export interface RecycledEntry {
  readonly usedAtS: number;
  /** Since it was written or moved. */
  readonly wasUsed: boolean;
  readonly isPinned: boolean;
}

export interface RecycleBudget {
  /** What was used at that time or later stays. */
  readonly keepFromS: number;
  /** Copied of the segment so far, for whatever reason. */
  readonly copiedBytes: number;
  /** While it is below that, what was used since it was written or moved is copied for that alone. */
  readonly copiedBytesMax: number;
  /** How many more may be dropped; Infinity: any number. */
  readonly dropsLeft: number;
  /** Longer ones find no room where they would go: the store was made smaller, and its segments shorter with it. */
  readonly recordBytesMax: number;
}

/** Of a segment, what may be copied in the long run. */
const copiedShare = 0.5;

/** For one segment. */
export interface GiveUpLimits {
  /** How many entries may be dropped; the rest is copied. Not given: any number. */
  readonly dropsMax?: number;
  /** What was used at that time or later stays, leased or not. Not given: nothing does for that. */
  readonly keepFromS?: number;
  /** Ends the wait for who still uses the segment: a removal that the disk refuses does so until it is healthy. */
  readonly signal?: AbortSignal;
}

/** What giving up one segment came to. */
export interface GivenUp {
  readonly copiedBytes: number;
  readonly droppedBytes: number;
  readonly droppedCount: number;
}

/** @param entry undefined: none points to the record. */
export function recycleStep(record: RecycledRecord, entry: RecycledEntry | undefined, budget: RecycleBudget): RecycleStep {
  switch (record.kind) {
    case 'intent':
      return record.isUploading ? 'copy' : 'dead';
    case 'commit':
      // Files go by an order of their own, and not because the record of one has become old.
      return entry === undefined ? 'dead' : 'copy';
    case 'blob':
    case 'actionResult':
    case 'opaque':
      return entry === undefined ? 'dead' : contentStep(record.bytes, entry, budget);
    // A tombstone behind a newer commit would remove that, so none moves; the others tell of their segment alone, or are told again.
    case 'tombstone':
    case 'touches':
    case 'seal':
      return 'dead';
    default:
      return assertNever(record.kind);
  }
}

function contentStep(bytes: number, { usedAtS, wasUsed, isPinned }: RecycledEntry, budget: RecycleBudget): RecycleStep {
  if (bytes > budget.recordBytesMax) return 'drop'; // whatever was promised: otherwise nothing could be given up any more
  if (isPinned || usedAtS >= budget.keepFromS || budget.dropsLeft <= 0) return 'copy';
  return wasUsed && budget.copiedBytes + bytes <= budget.copiedBytesMax ? 'copy' : 'drop';
}

/**
 * What segments of one stream may copy because it was used: half of what they take, all copies counted. Who is leased or pinned moves on
 * in any case, and takes it from those that follow. So with leases of at most half of the stream, no more than half is copied in
 * the long run: for each byte that comes, at most one is written again.
 */
export class CopyAllowance {
  #bytes = 0;

  /** A segment is given up: how much of it may be copied. Less than nothing: nothing but what is promised. */
  begin(segmentBytes: number): number {
    this.#bytes = Math.min(copiedShare * segmentBytes, this.#bytes + copiedShare * segmentBytes);
    return this.#bytes;
  }

  /** So much of it was copied. `streamBytes`: of all segments; what is owed is forgotten beyond half of that. */
  end(copiedBytes: number, streamBytes: number): void {
    this.#bytes = Math.max(-copiedShare * streamBytes, this.#bytes - copiedBytes);
  }
}
