// A blob whose digest is one of a list. Its text costs more than to find it is there (0.3 us, of a batch of a hundred), so it is
// made for who asks.
import type { Digest } from '../digest/digest.ts';
import type { DigestList } from '../digest/digest-list.ts';
import type { BlobBytes, ListedDigest } from './blob-store.ts';

export class ListedBlob implements BlobBytes, ListedDigest {
  readonly digests: DigestList;
  readonly index: number;
  readonly bytes: Uint8Array;
  #digest: Digest | undefined;

  constructor(digests: DigestList, index: number, bytes: Uint8Array) {
    this.digests = digests;
    this.index = index;
    this.bytes = bytes;
  }

  get digest(): Digest {
    return (this.#digest ??= this.digests.at(this.index));
  }

  get listed(): ListedDigest {
    return this;
  }
}

/** The size that its digest says. */
export function sizeOfBlob(blob: BlobBytes): number {
  const { listed } = blob;
  return listed === undefined ? blob.digest.sizeBytes : listed.digests.sizeAt(listed.index);
}
