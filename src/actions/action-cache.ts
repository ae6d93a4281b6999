// The contract of the action cache: results of actions by the digest of the action.
import type { CallOptions } from '../base/call-options.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import type { Digest } from '../digest/digest.ts';
import type { InstanceName } from '../digest/instance-name.ts';
import type { ActionResult } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';

/** Identity of an action result. The digest names whatever the client hashed; it need not be an Action (AC-7). */
export interface ActionKey {
  readonly instance: InstanceName;
  readonly actionDigest: Digest;
}

/**
 * - Absence is a value. A result that cannot be read back whole is absent; a store that cannot tell throws.
 * - The last put wins, as a whole (AC-10).
 * - Results are immutable once they were given or taken: nobody writes to their fields.
 */
export interface ActionCache {
  /** The result as it was put (AC-9), or undefined. */
  get(key: ActionKey, options?: CallOptions): MaybePromise<ActionResult | undefined>;

  /**
   * Resolves once the result survives what the store below promises.
   * @throws CacheError `invalid_argument` (too large), `resource_exhausted` (the store is full).
   */
  put(key: ActionKey, result: ActionResult, options?: CallOptions): Promise<void>;
}
