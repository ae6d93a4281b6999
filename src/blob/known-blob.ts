// Checks that every store makes once it knows a blob: the size asked for, and the range.
import { CacheError } from '../base/cache-error.ts';
import type { Digest } from '../digest/digest.ts';
import type { BlobStoreCapabilities, ByteRange } from './blob-store.ts';

/** @throws CacheError `invalid_argument` when the blob of that hash is known to have another size. */
export function checkKnownSize(asked: Digest, knownBytes: number): void {
  if (asked.sizeBytes !== knownBytes) throw wrongSize(asked, knownBytes);
}

/** The refusal of a digest whose size is not that of the blob with its hash. */
export function wrongSize(asked: Digest, knownBytes: number): CacheError {
  return new CacheError('invalid_argument', `digest ${asked.toString()} is impossible: the blob with this hash has ${knownBytes} bytes`);
}

/** @throws CacheError `out_of_range` unless the range lies within the blob. */
export function checkRange(digest: Digest, { offset, length }: ByteRange): void {
  if (offset >= 0 && length >= 0 && offset + length <= digest.sizeBytes) return;
  throw new CacheError('out_of_range', `bytes ${offset} to ${offset + length} leave blob ${digest.toString()}, which has ${digest.sizeBytes}`);
}

/** @throws CacheError `invalid_argument` when the store takes no blob of that size (CAP-10). */
export function checkAccepted(digest: Digest, { blobBytesMax }: BlobStoreCapabilities): void {
  if (digest.sizeBytes <= blobBytesMax) return;
  throw new CacheError('invalid_argument', `blob ${digest.toString()} is larger than the ${blobBytesMax} bytes a blob may have here`);
}
