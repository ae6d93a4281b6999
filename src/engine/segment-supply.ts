// Where the next segment comes from: files that were given up or made ahead, begun in the order that is safe.
import type { CallOptions } from '../base/call-options.ts';
import type { LogFile } from '../base/log-files.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import type { StreamName } from './segment-format.ts';
import type { SegmentRow } from './segment-table.ts';

/** Who asks: `internal` are tombstones, copies, commits and intents, without which no room would ever be made. */
export type Asker = 'external' | 'internal';

/** A segment without records; its name is durable and its row in the table. The caller closes the file. */
export interface BegunSegment {
  readonly row: SegmentRow;
  readonly file: LogFile;
}

/** Whoever lets go of what is stored. */
export interface SegmentRoom {
  /**
   * Resolves when a free segment was given back, or so many bytes can be reserved, or at least may be by now.
   * @throws CacheError `disk_full` (nothing may go), `cancelled`, `unavailable`.
   */
  wantSegment(segmentBytes: number, options?: CallOptions): Promise<void>;
}

export interface SegmentSupply {
  /** Of every segment that is begun. */
  readonly segmentBytes: number;
  /** Free files that anybody may have. */
  readonly freeCount: number;
  /** A file is kept free for `internal` askers. While it is not, what they were given is for them alone. */
  readonly hasReserve: boolean;
  /**
   * Begins a segment: block, sync, name, sync of the directory. `external` waits for room; `internal` takes the file that
   * is kept for it, and makes one beyond the bound when even that is in use.
   * @throws CacheError `disk_full`, `unavailable`, `cancelled`.
   */
  next(stream: StreamName, who: Asker, options?: CallOptions): Promise<BegunSegment>;
  /**
   * Makes a free file of a segment in which nothing counts and that nobody uses, and releases its row. Resolves when its
   * name is durably gone. The hint was removed before. Not for two segments of one stream at the same time.
   * @throws CacheError `unavailable`: the row stays, and may be given back again.
   */
  giveBack(row: SegmentRow): Promise<void>;
  /** A free file that a start found; it counts as placed from here on. */
  adopt(number: number, bytes: number): void;
  /** Fills up the reserve if there is room, in the background. */
  prepare(): void;
  /** Deletes one free file, bytes by bytes. False: there is none to spare. */
  dropFree(): Promise<boolean>;
  /** Calls `changed` whenever `hasReserve` became true. */
  onReserve(changed: () => void): void;
  /** Resolves when nothing runs in the background. */
  close(): Promise<void>;
}

export type NextSegment = (stream: StreamName, who: Asker, options?: CallOptions) => MaybePromise<BegunSegment>;
