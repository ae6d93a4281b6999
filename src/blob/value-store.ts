// Small named values whose name says nothing about their bytes: action results, and what build tools keep
// under a key of their own (opaque values). Two name spaces that never see each other.
import type { ByteSource } from '../base/byte-source.ts';
import type { CallOptions } from '../base/call-options.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import type { DigestFunction } from '../digest/digest-function.ts';

/** The name space of a value. */
export type ValueKind = 'action_result' | 'opaque';

/** Identity of a value: all four fields (AC-9; the size in a digest is checked by who has one). */
export interface ValueKey {
  readonly kind: ValueKind;
  readonly instance: string;
  readonly digestFunction: DigestFunction;
  /** Lower-case hex of the function's length. For opaque values it need not be the hash of anything. */
  readonly hash: string;
}

/** A value that is there, as `putFirst` shows it. */
export interface PresentValue {
  readonly kind: ValueKind;
  /** All of it; not to be changed. */
  readonly bytes: Uint8Array;
}

/** Whether a value that is there stays. Does not put anything itself. */
export type Stands = (present: PresentValue) => MaybePromise<boolean>;

/**
 * The contract of every place that holds values. The last put wins, as a whole: a reader sees one value or
 * another, never a mixture, and a value is checked against a checksum when it is read. Absence is a value.
 */
export interface ValueStore {
  readonly capabilities: {
    readonly survives: 'nothing' | 'process_crash' | 'power_loss';
    /** A longer value is refused with `invalid_argument`. */
    readonly valueBytesMax: number;
  };

  /** The value, or undefined. The caller owns and disposes the stream. A damaged value counts as absent. */
  get(key: ValueKey, options?: CallOptions): MaybePromise<ByteSource | undefined>;

  /**
   * Stores all that `bytes` yields; resolves once it survives what `capabilities.survives` names. If it throws,
   * the value before is untouched, or, when only the very last step failed, already replaced.
   * @throws CacheError `invalid_argument` (too long), `resource_exhausted` (the store is full).
   */
  put(key: ValueKey, bytes: AsyncIterable<Uint8Array>, options?: CallOptions): Promise<void>;

  /**
   * As `put`, for a writer who may not take the place of others: the first one wins. False when a value stays that
   * `stands` said true of, and nothing is put then. True when the value is there: put now, or the very same before.
   *
   * `stands` is asked about what is there under instance, function and hash, first of this kind, then of the other one,
   * since readers of one path may get either. Values that cannot be read are absent. Of any number of calls for one key,
   * of both kinds, one puts at a time and the next ones are shown its value; a value that another `put` has put since
   * `stands` was asked is never replaced unasked. A verb of its own and no option of `put`, so that no store in between
   * can lose it on the way.
   * @throws CacheError as `put` does, `unavailable` with `retry_after` (too many writers of this key), what `stands` throws.
   */
  putFirst(key: ValueKey, bytes: AsyncIterable<Uint8Array>, stands: Stands, options?: CallOptions): Promise<boolean>;
}
