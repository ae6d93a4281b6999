// Writes the hints of segments, one at a time and at its leisure, so that a start need not read them. A hint that is not
// written costs a start time and nothing else, so nothing here fails anybody.
import type { SegmentRow } from './segment-table.ts';

export interface HintWriter extends AsyncDisposable {
  /** What is on disk was found at start: bytes of the hint of this segment. */
  found(row: SegmentRow, hintBytes: number): void;
  /** The segment was sealed, durably, by a seal of that number. */
  sealed(row: SegmentRow, sealSequence: number): void;
  /** The durable part of an open segment has grown: a hint for each further 16 MiB. */
  grown(row: SegmentRow): void;
  /** The segment is to be given up: resolves when its hint is removed and none will come. @throws CacheError */
  drop(row: SegmentRow): Promise<void>;
  /** Hints of the open segments and of what waits, at a clean end. Never rejects. */
  finish(open: readonly SegmentRow[]): Promise<void>;
  /** Resolves when nothing is to do. */
  idle(): Promise<void>;
}
