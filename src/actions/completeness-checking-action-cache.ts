// Serves only results whose outputs are all there.
import type { CallOptions } from '../base/call-options.ts';
import type { Log } from '../base/log.ts';
import { isPromise } from '../base/maybe-promise.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import type { EncodedActionResult } from '../proto/encoded-action-result.ts';
import type { ActionKey, FirstPut, PutFirstOptions, SharedActionCache } from './action-cache.ts';
import type { CompletenessCheck } from './completeness-check.ts';
import type { Incompleteness } from './directory-gathering.ts';

/**
 * Reads the entry once and gives that very object when it is complete, else undefined (AC-2). The entry stays:
 * its blobs may come back, and the next put replaces it anyway. Puts are not checked: a client may upload the
 * result before the last of its blobs.
 */
export class CompletenessCheckingActionCache implements SharedActionCache {
  readonly #inner: SharedActionCache;
  readonly #check: CompletenessCheck;
  readonly #log: Log;

  constructor(inner: SharedActionCache, check: CompletenessCheck, log: Log) {
    this.#inner = inner;
    this.#check = check;
    this.#log = log;
  }

  get(key: ActionKey, options?: CallOptions): MaybePromise<EncodedActionResult | undefined> {
    const result = this.#inner.get(key, options);
    return isPromise(result) ? result.then((found) => this.#checked(key, found, options)) : this.#checked(key, result, options);
  }

  put(key: ActionKey, result: EncodedActionResult, options?: CallOptions): Promise<void> {
    return this.#inner.put(key, result, options);
  }

  /** What is not served is not in the way. */
  putFirst(key: ActionKey, result: EncodedActionResult, options: PutFirstOptions = {}): Promise<FirstPut> {
    const { stands, signal, trace, onStep } = options; // not spread: a getter would be lost
    const isComplete = async (present: EncodedActionResult): Promise<boolean> => {
      if (stands !== undefined && !(await stands(present))) return false;
      return (await this.#check.whyIncomplete(present, key.actionDigest.function, options)) === undefined;
    };
    return this.#inner.putFirst(key, result, { signal, trace, onStep, stands: isComplete });
  }

  #checked(key: ActionKey, result: EncodedActionResult | undefined, options?: CallOptions): MaybePromise<EncodedActionResult | undefined> {
    if (result === undefined) return undefined;
    const why = this.#check.whyIncomplete(result, key.actionDigest.function, options);
    return isPromise(why) ? why.then((known) => this.#decide(key, result, known)) : this.#decide(key, result, why);
  }

  #decide({ instance, actionDigest }: ActionKey, result: EncodedActionResult, why: Incompleteness): EncodedActionResult | undefined {
    if (why === undefined) return result;
    // Ordinary after eviction, so it is no warning.
    this.#log.debug('an action result is incomplete and not served', { instance, hash: actionDigest.hash, why });
    return undefined;
  }
}
