// Cuts digests into runs that are read together, so that whole blobs in memory stay within a bound.
import type { DigestList } from '../digest/digest-list.ts';

/**
 * The digests in their order, in runs of at most `batchBytesMax` bytes and `batchBlobsMax` blobs. A blob above
 * the bound makes a run of its own: whether it may be read at all is the caller's decision.
 */
export function* blobBatches(
  digests: DigestList,
  limits: { readonly batchBytesMax: number; readonly batchBlobsMax: number },
): Generator<DigestList, void, undefined> {
  let from = 0;
  let batchBytes = 0;
  for (let index = 0; index < digests.length; index += 1) {
    const sizeBytes = digests.sizeAt(index);
    const full = batchBytes + sizeBytes > limits.batchBytesMax || index - from >= limits.batchBlobsMax;
    if (full && index > from) {
      yield digests.slice(from, index);
      from = index;
      batchBytes = 0;
    }
    batchBytes += sizeBytes;
  }
  if (from < digests.length) yield digests.slice(from, digests.length);
}
