// The start of the log: reads hints and segments, fills the index, and ends every segment that was being written, so that
// whatever is found is durable before anybody is told of it. A second start finds nothing to do.
// docs/formats/segments.md, "Damage, and what a start does"
import type { DigestFunction } from '../digest/digest-function.ts';
import type { SegmentRow } from './segment-table.ts';

/** Keeps what is wrong for whoever wants to find out why. Bounded: it may keep nothing. */
export interface DamageKeeping {
  /** A copy of `bytes` as `quarantine/<name>`. False: it is there already. @throws CacheError */
  keep(name: string, bytes: Uint8Array): Promise<boolean>;
  /** The file at `path` becomes `quarantine/<name>`, or is removed where there is no room. @throws CacheError */
  take(path: string, name: string, sizeBytes: number): Promise<void>;
}

/** A file of `objects/` that no commit speaks for. It may not be there. */
export interface OrphanedFile {
  readonly reason: 'intent' | 'tombstone';
  readonly digestFunction: DigestFunction;
  /** Lower-case hex, whole. */
  readonly hash: string;
  readonly sizeBytes: number;
  /** Of the intent. */
  readonly sequence: number;
  /** The segment of the record. */
  readonly row: SegmentRow;
}

export interface RecoveryReport {
  readonly segments: number;
  /** Segments that were not read, or not from the beginning. */
  readonly hints: number;
  readonly scannedBytes: number;
  readonly entries: number;
  /** Of torn tails. */
  readonly cutBytes: number;
  readonly damaged: readonly { readonly segmentId: number; readonly from: number; readonly to: number }[];
  /** Damage in the blob stream: a commit may be what is damaged, so files named by intents alone are looked at before they go. */
  readonly isBlobStreamDamaged: boolean;
  /** Nothing was changed on disk. */
  readonly isClean: boolean;
}

/** A file that may become a segment. */
export interface FreeFile {
  readonly number: number;
  readonly sizeBytes: number;
}

export interface RecoveredLog {
  /** The next to be given out. */
  readonly nextSequence: number;
  /** Of `segments/`. */
  readonly free: readonly FreeFile[];
  readonly nextFreeNumber: number;
  readonly orphans: readonly OrphanedFile[];
  /** Segments without a hint, or with one that does not reach their end; and the number of their seals. */
  readonly unhinted: readonly { readonly row: SegmentRow; readonly sealSequence: number | undefined }[];
  readonly report: RecoveryReport;
}
