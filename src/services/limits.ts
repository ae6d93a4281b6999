// What the gRPC services let into one message. What a peer may send at all is bounded by the gRPC layer.

export interface ServiceLimits {
  /** Sum of the blobs of one batch, read or written; advertised as `max_batch_total_size_bytes` (CAP-6). */
  readonly batchBytesMax: number;
  /** One message of an answer, encoded. Action results above it cannot be read by anybody. */
  readonly answerBytesMax: number;
  /** Data in one ReadResponse (BS-4). A blob in memory up to here is one message. */
  readonly readChunkBytesMax: number;
  /** Where a page of GetTree ends; a larger directory makes a page of its own. */
  readonly treePageBytesMax: number;
}

/** Messages up to here are taken by gRPC clients that were not configured otherwise. */
const clientMessageBytesMax = 4 * 1024 * 1024;

export const defaultServiceLimits: ServiceLimits = {
  // A batch may be full and still be answered within 4 MiB: each blob adds about 100 bytes of digest, status and
  // framing, so this leaves room for 9,000 of them. At 4,000,000 bytes 2,000 would be too many, and clients send
  // up to 4,000 in a batch without counting anything but the blobs.
  batchBytesMax: 3 * 1024 * 1024,
  // Less than the clients take by what our own counting may be off: it bounds sizes, it does not encode twice.
  answerBytesMax: clientMessageBytesMax - 64 * 1024,
  // Between 64 KiB and 1 MiB as clients expect it; as much as may wait for a slow reader in one stream.
  readChunkBytesMax: 256 * 1024,
  // The first directories come soon, and a page that nobody reads holds little.
  treePageBytesMax: 1024 * 1024,
};
