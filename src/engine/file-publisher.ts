// How a whole, right upload becomes a stored file: intent, sync, rename, sync of the directory, commit, and only then the
// index. docs/formats/data-directory.md has what a crash leaves at each step.
import type { CallOptions } from '../base/call-options.ts';
import type { Digest } from '../digest/digest.ts';
import type { SpaceReservation } from './space-ledger.ts';

/** A file in `uploads/` with all bytes of a blob, hashed and found right. Nobody writes to it any more; its mode is 0444. */
export interface WholeUpload {
  readonly digest: Digest;
  readonly path: string;
  /** What it takes on the disk: `settle` is called once, with what it counts as from then on. */
  readonly room: Pick<SpaceReservation, 'settle'>;
  /** Makes its bytes, length and mode durable. Called once, beside the sync of the log. @throws CacheError `unavailable`. */
  sync(): Promise<void>;
}

export interface FilePublisher {
  /**
   * Resolves once the blob is there for good: `stored`, or `present` when another upload was first. The file and its room are
   * taken over in any case: when it throws, both are given up.
   * @throws CacheError `unavailable`, `busy`, `disk_full`, `cancelled` (only before the intent).
   */
  publish(upload: WholeUpload, options?: CallOptions): Promise<'stored' | 'present'>;
  /** Whether the upload of the intent with this number runs: its record is kept as long. */
  isRunning(intentSequence: number): boolean;
}
