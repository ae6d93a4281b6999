// The open files of segments, and reading records out of them. Knows which segment somebody reads, so that a file is neither
// closed nor written anew under a read; what a record means, and whether it still counts, is its caller's.
import type { CallOptions } from '../base/call-options.ts';
import type { LogFile } from '../base/log-files.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import type { BlobIndex, Slot } from './blob-index.ts';
import type { PlannedRead } from './read-plan.ts';
import type { RecordHead } from './record-codec.ts';
import type { SegmentRow } from './segment-table.ts';
import type { CacheError } from '../base/cache-error.ts';

/** Where a record lies: segment by ordinal, bytes with padding. */
export interface RecordPlace {
  readonly segment: number;
  readonly offset: number;
  readonly bytes: number;
}

/** A record whose two checksums are right. Whoever looked it up by a key that was cut compares `head.hash`. */
export interface ReadRecord {
  readonly head: RecordHead;
  /** Of the caller's own: nothing else writes there. */
  readonly payload: Buffer;
}

/** The file of a segment. It stays open, and the segment is not given away, until this is disposed. */
export interface OpenSegment extends Disposable {
  readonly row: SegmentRow;
  readonly file: LogFile;
}

export interface SegmentStore extends AsyncDisposable {
  /** @throws CacheError `unavailable`, `busy`: the system does not open it. */
  open(ordinal: number): MaybePromise<OpenSegment>;
  /** A file that is open already becomes the one of its segment; it is closed here. */
  adopt(ordinal: number, file: LogFile): void;
  /** Resolves when nobody reads the segment. Whoever asks sees to it that nobody begins to: the index does not name it any more. */
  whenUnread(ordinal: number): Promise<void>;
  /** Nobody reads it, and its file is to be another's: closes it. */
  forget(ordinal: number): Promise<void>;
  /**
   * The record of an entry that is no file; without waiting when its bytes are likely in the page cache.
   * `moved`: the entry is not there any more, the caller looks again. `wrong`: no right record is at its place.
   * @throws CacheError `unavailable` (the disk), `busy` (too many reads), `cancelled` while in line.
   */
  read(index: BlobIndex, slot: Slot, options?: CallOptions): MaybePromise<ReadRecord | 'moved' | 'wrong'>;
  /** As `read`, for who knows the place and keeps it from moving. */
  readAt(place: RecordPlace, options?: CallOptions): MaybePromise<ReadRecord | 'wrong'>;
  /** One result per wanted record, by its `index`. Where one is `wrong` the caller looks its key up again. */
  readMany(plan: readonly PlannedRead[], options?: CallOptions): MaybePromise<readonly (ReadRecord | 'wrong' | CacheError)[]>;
}
