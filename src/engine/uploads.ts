// Uploads of large blobs that may be resumed, after a restart too: what came of them is on the disk, and a journal says how
// much of it is right and durable. Not for blobs that fit into a record. docs/formats/uploads.md
import type { CallOptions } from '../base/call-options.ts';
import type { UploadIdentity } from './upload-journal-format.ts';

export interface UploadLimits {
  /** What uploads that nobody writes to may take on the disk, all together; those idle longest go first. */
  readonly idleBytesMax: number;
  /** How long one may be idle. */
  readonly idleMsMax: number;
}

/** `partial`: the sender ended before the last byte; so many are kept. */
export type UploadOutcome = { readonly kind: 'stored' } | { readonly kind: 'partial'; readonly committedBytes: number };

export interface Uploads {
  /** Durable and right, and where `resume` goes on: 0 for an upload that is not known. Does not fall while a writer has it. */
  committedBytes(upload: UploadIdentity): number;
  /**
   * Takes the bytes of the blob from `fromOffset` on. Resolves once the blob is stored, or the bytes have ended before. What came
   * in whole pieces is kept when the sender fails; the caller owns `bytes`.
   * @throws CacheError `out_of_range` (the upload goes on elsewhere), `aborted` (another writer has it), `invalid_argument`
   *   (not the bytes of the digest: nothing is kept), `disk_full`, `busy`, `unavailable`, `cancelled`; what `bytes` throws.
   */
  resume(upload: UploadIdentity, fromOffset: number, bytes: AsyncIterable<Uint8Array>, options?: CallOptions): Promise<UploadOutcome>;
  /** Uploads that nobody writes to at the moment. */
  readonly idleCount: number;
  readonly writersCount: number;
  /** Refuses new writers and waits for those there are: end their bytes first. What is kept can be resumed after a start. */
  close(): Promise<void>;
}
