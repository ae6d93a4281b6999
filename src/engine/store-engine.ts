// All of the segment engine under one roof: what the stores of blobs and values call. Keys and bytes only; what a size that
// is wrong means, what is held in memory for whom, and what a range is, is for those above.
import type { CallOptions } from '../base/call-options.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import type { Digest } from '../digest/digest.ts';
import type { DigestFunction } from '../digest/digest-function.ts';
import type { DigestList } from '../digest/digest-list.ts';
import type { BlobIndex, Slot } from './blob-index.ts';
import type { OpenFile } from './file-byte-source.ts';
import type { ValueIdentity } from './key-words.ts';
import type { StoreUsage } from './store-usage.ts';

/** A value as it was found. */
export interface FoundValue {
  readonly bytes: Uint8Array;
  /** Names this put of it: another one has a higher number. */
  readonly sequence: number;
}

/** See `EngineOptions` and `EnginePorts` for what it is opened with. Lock and marker are its opener's. */
export interface StoreEngine extends AsyncDisposable {
  readonly blobs: BlobIndex;
  readonly values: BlobIndex;
  /** -1: absent. The slot is right until the next await. @throws CacheError `unavailable` once closing. */
  findBlob(digestFunction: DigestFunction, hash: string): Slot;
  findValue(value: ValueIdentity): Slot;
  /** Now, in seconds since 1970, by a clock that does not jump. Many uses at once share one look. */
  nowS(): number;
  /** It was used: its lease begins again where a third of it is gone. */
  touchBlob(slot: Slot, nowS: number): void;
  touchValue(slot: Slot, nowS: number): void;
  /**
   * Stores a blob of at most `smallBytesMax`, whose hash the caller has checked; `bytes` never change from here on. Joins a put
   * of the same blob that is under way. Resolves once it is durable.
   * @throws CacheError `busy`, `disk_full`, `unavailable`, `cancelled`.
   */
  putSmall(digest: Digest, bytes: Uint8Array, options?: CallOptions): Promise<void>;
  /** As `putSmall` for blobs of any other size, in pieces, checked in passing. @throws also `invalid_argument`. */
  putFile(digest: Digest, bytes: AsyncIterable<Uint8Array>, options?: CallOptions): Promise<void>;
  /**
   * The last put wins. With `over`: only while the put of that number is the last one (0: there is none), among those under way
   * too; else nothing is written and it resolves to false.
   */
  putValue(value: ValueIdentity, bytes: Uint8Array, mode: { readonly over?: number | undefined }, options?: CallOptions): Promise<boolean>;
  /** A small blob: its checksum is right, and its hash if it is the first read since the start. Undefined: absent, or corrupt and quarantined now. */
  readBlob(digest: Digest, options?: CallOptions): MaybePromise<Uint8Array | undefined>;
  /** A value, checked; what it points to is followed. Undefined: absent, or corrupt and quarantined now. */
  readValue(value: ValueIdentity, options?: CallOptions): MaybePromise<FoundValue | undefined>;
  /** A blob that is a file; undefined when it is gone. */
  openFile(digest: Digest, options?: CallOptions): Promise<OpenFile | undefined>;
  markVerified(digest: Digest): void;
  /**
   * All of them stay until disposed, or for 120 seconds. All or none.
   * @throws CacheError `resource_exhausted` where a quarter of the store would be pinned.
   */
  pin(digests: DigestList): Disposable;
  quarantineBlob(digest: Digest, reason: string): Promise<void>;
  quarantineValue(value: ValueIdentity, reason: string): Promise<void>;
  readonly usage: StoreUsage;
  /** Refuses new calls, finishes those under way, writes down the order of use and syncs it. Idempotent. */
  close(): Promise<void>;
}
