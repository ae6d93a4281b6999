// What a line of the log says of the blobs and values of an operation.
import type { LogFields } from '../base/log.ts';
import type { Digest } from '../digest/digest.ts';
import type { DigestList } from '../digest/digest-list.ts';
import type { BlobBytes } from './blob-store.ts';
import type { ValueKey } from './value-store.ts';

export function digestFields(digest: Digest): LogFields {
  return { digest: `${digest.function.name}/${digest.hash}`, sizeBytes: digest.sizeBytes };
}

/** How many, how large, and one to look for. */
export function listFields(digests: DigestList): LogFields {
  const first = digests.length === 0 ? undefined : `${digests.function.name}/${digests.hashAt(0)}`;
  return { blobs: digests.length, sizeBytes: digests.totalBytes, digest: first };
}

export function blobsFields(blobs: readonly BlobBytes[]): LogFields {
  const first = blobs[0]?.digest;
  const sizeBytes = blobs.reduce((sum, { digest }) => sum + digest.sizeBytes, 0);
  return { blobs: blobs.length, sizeBytes, digest: first && `${first.function.name}/${first.hash}` };
}

export function valueFields({ kind, instance, digestFunction, hash }: ValueKey): LogFields {
  return { kind, instance, digest: `${digestFunction.name}/${hash}` };
}
