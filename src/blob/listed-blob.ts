// A blob whose digest is one of a list. Its text costs more than to find it is there (0.3 us, of a batch of a hundred), and a view of
// its bytes 0.2 us, so they are made for who asks.
import type { Digest } from '../digest/digest.ts';
import type { DigestList } from '../digest/digest-list.ts';
import type { BlobBytes, ListedDigest } from './blob-store.ts';

/** The bytes as they came: a view of them is made when it is asked for. */
export interface SentBytes {
  readonly data: Uint8Array;
  readonly dataBytes: number;
}

export class ListedBlob implements BlobBytes, ListedDigest {
  readonly digests: DigestList;
  readonly index: number;
  readonly #sent: SentBytes;
  #digest: Digest | undefined;

  constructor(digests: DigestList, index: number, sent: SentBytes) {
    this.digests = digests;
    this.index = index;
    this.#sent = sent;
  }

  get digest(): Digest {
    return (this.#digest ??= this.digests.at(this.index));
  }

  get bytes(): Uint8Array {
    return this.#sent.data;
  }

  get sentBytes(): number {
    return this.#sent.dataBytes;
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

/** The length of its bytes. */
export function sentBytesOf(blob: BlobBytes): number {
  return blob.listed?.sentBytes ?? blob.bytes.byteLength;
}
