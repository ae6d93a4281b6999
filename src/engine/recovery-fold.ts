// What the log says, record by record in its order: the index of blobs and of values, and which files nothing speaks for.
// Hints and scans feed it alike. Pure: it reads no file and changes none.
import type { HintEntry } from './hint-format.ts';
import type { KeyWords } from './key-words.ts';
import type { SegmentRow } from './segment-table.ts';

/** A file under a name of `objects/` that must go, if it is there: the record that says so. */
export interface OrphanRecord {
  /** `intent`: its upload may have come as far as the name; `tombstone`: its removal may not have. */
  readonly reason: 'intent' | 'tombstone';
  readonly segment: number;
  readonly offset: number;
  readonly bytes: number;
  /** Of the intent, which its end must name; of the tombstone, its own. */
  readonly sequence: number;
}

export interface RecoveryFold {
  /** Segments of a stream in the order of their ids, entries in that of the segment. The key is read before this returns. */
  take(row: SegmentRow, key: KeyWords, entry: HintEntry): void;
  /** After everything else: times of use, in any order. */
  touch(low: number, high: number, usedAtS: number): void;
  /** After everything was taken. */
  orphans(): readonly OrphanRecord[];
  readonly sequenceMax: number;
  readonly entries: number;
}
