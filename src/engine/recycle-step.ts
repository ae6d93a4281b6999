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
  /** What was used at that time or later is leased. */
  readonly leaseFloorS: number;
  /** What was not used since that time is too old for the store; -Infinity: nothing is. */
  readonly ageFloorS: number;
  /** Moved on for having been used, so far, out of `keptBytesMax`. What is leased or pinned is not counted. */
  readonly keptBytes: number;
  readonly keptBytesMax: number;
  /** How many more may be dropped; Infinity: any number. */
  readonly dropsLeft: number;
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

/** Whether a record moves on because it was used, and so takes part of `keptBytesMax`. */
export function isSecondRound(entry: RecycledEntry, budget: RecycleBudget): boolean {
  return !isPromised(entry, budget);
}

function contentStep(bytes: number, entry: RecycledEntry, budget: RecycleBudget): RecycleStep {
  if (isPromised(entry, budget) || budget.dropsLeft <= 0) return 'copy';
  const isUsed = entry.wasUsed && entry.usedAtS >= budget.ageFloorS;
  return isUsed && budget.keptBytes + bytes <= budget.keptBytesMax ? 'copy' : 'drop';
}

function isPromised(entry: RecycledEntry, budget: RecycleBudget): boolean {
  return entry.isPinned || entry.usedAtS >= budget.leaseFloorS;
}
