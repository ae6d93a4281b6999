// Gives up segments: what is to stay of one is copied to the end of its stream, and its file becomes a free one.
import type { SegmentRow } from './segment-table.ts';

export interface GiveUpLimits {
  /** How many entries may be dropped; the rest is copied. Not given: any number. */
  readonly dropsMax?: number;
}

export interface GivenUp {
  readonly copiedBytes: number;
  readonly droppedBytes: number;
  readonly droppedCount: number;
}

export interface SegmentRecycler {
  /**
   * Gives up one segment that is not written to any more, the oldest of its stream or one in which nothing counts. Resolves when
   * its name is durably gone and its file is free. Of one stream one at a time.
   * @throws CacheError `unavailable`: the disk fails; what was copied until then counts, the segment stays.
   */
  giveUp(row: SegmentRow, limits?: GiveUpLimits): Promise<GivenUp>;
}
