// Blobs that are files of their own: written as they come, read by whoever opens them, linked, and removed.
import type { CallOptions } from '../base/call-options.ts';
import type { Digest } from '../digest/digest.ts';
import type { Slot } from './blob-index.ts';
import type { OpenFile } from './file-byte-source.ts';
import type { KeyWords } from './key-words.ts';

/** Why a file goes. `lost`: somebody else removed it. */
export type RemovalReason = 'evicted' | 'corrupt' | 'lost';

/** A name that may be linked to. It stays until this is disposed, unless the file is found to be corrupt. */
export interface HeldPath extends Disposable {
  readonly path: string;
}

export interface LargeFiles {
  /**
   * Resolves once the blob is durable, or was there already; room is taken before the first byte is asked for.
   * @throws CacheError `invalid_argument` (the bytes do not have the digest; nothing is kept), `disk_full`, `busy`,
   *   `unavailable`, `cancelled`.
   */
  put(digest: Digest, bytes: AsyncIterable<Uint8Array>, options?: CallOptions): Promise<void>;
  /** Undefined: absent, or gone behind our back. What is open stays readable whatever happens to the name. @throws CacheError `busy`, `unavailable`, `cancelled`. */
  openRead(digest: Digest, options?: CallOptions): Promise<OpenFile | undefined>;
  /** For links, by this process or another one. Undefined: absent. */
  pathOf(digest: Digest): Promise<HeldPath | undefined>;
  /** Whether a path of that key is held: then eviction leaves the file where it is. */
  isHeld(key: KeyWords): boolean;
  /**
   * Takes the file of that entry out of service. The slot is looked at before this returns and not later. Resolves when its name is
   * durably gone; the bytes follow in the background. False: there was nothing to remove by then, or it may not be removed now.
   */
  remove(slot: Slot, reason: RemovalReason): Promise<boolean>;
  /** Whether the upload of the intent with this number runs: its record is kept as long. */
  isRunning(intentSequence: number): boolean;
  /** Refuses new calls, waits for writes, removals and the trash. What is open stays readable. */
  close(): Promise<void>;
}
