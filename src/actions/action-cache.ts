// The contract of the action cache: results of actions by the digest of the action.
import type { CallOptions } from '../base/call-options.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import type { DigestFunction } from '../digest/digest-function.ts';
import type { InstanceName } from '../digest/instance-name.ts';
import type { EncodedActionResult } from '../proto/encoded-action-result.ts';

/** What names an action. A Digest is one; an HTTP path has no size. It need not be the digest of an Action (AC-7). */
export interface ActionDigest {
  readonly function: DigestFunction;
  /** Lower-case hex of the function's length. */
  readonly hash: string;
  /** Undefined when whoever asks does not know it: any size is meant then. */
  readonly sizeBytes: number | undefined;
}

/**
 * Identity of an action result: instance, function and hash. A known size is checked: a result that was put for
 * another known size is not found (AC-9).
 */
export interface ActionKey {
  readonly instance: InstanceName;
  readonly actionDigest: ActionDigest;
}

/**
 * - Absence is a value. A result that cannot be read back whole is absent; a store that cannot tell throws.
 * - The last put wins, as a whole (AC-10).
 */
export interface ActionCache {
  /** The result as it was put (AC-9), or undefined. */
  get(key: ActionKey, options?: CallOptions): MaybePromise<EncodedActionResult | undefined>;

  /**
   * Resolves once the result survives what the store below promises.
   * @throws CacheError `invalid_argument` (too large), `resource_exhausted` (the store is full).
   */
  put(key: ActionKey, result: EncodedActionResult, options?: CallOptions): Promise<void>;
}

/**
 * What became of a result that may not take the place of others: `stored`; `same` when another one stays that differs in
 * nothing but who made it and when; `kept` when something else stays.
 */
export type FirstPut = 'stored' | 'same' | 'kept';

export interface PutFirstOptions extends CallOptions {
  /** Whether a result that is there stands, or counts as absent. Default: what can be read stands. */
  readonly stands?: ((present: EncodedActionResult) => MaybePromise<boolean>) | undefined;
}

/**
 * The action cache of a server, whose callers need not trust each other. Of another server one can only ask to `put`; its
 * own rights say what becomes of that.
 */
export interface SharedActionCache extends ActionCache {
  /**
   * As `put`, for a writer who may not take the place of others (CT-9): the first one wins, also over values of tools under
   * the same key, and over a result for another size of the action. Atomic, as `ValueStore.putFirst` is.
   * @throws CacheError as `put`, and `unavailable` with `retry_after` (too many writers of this key).
   */
  putFirst(key: ActionKey, result: EncodedActionResult, options?: PutFirstOptions): Promise<FirstPut>;
}
