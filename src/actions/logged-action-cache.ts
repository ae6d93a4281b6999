// A decorator that writes each look-up and update of the action cache to the log, at debug; at other levels it asks
// for one boolean and makes nothing.
import { CacheError } from '../base/cache-error.ts';
import type { CallOptions } from '../base/call-options.ts';
import type { Log } from '../base/log.ts';
import { isPromise } from '../base/maybe-promise.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import type { EncodedActionResult } from '../proto/encoded-action-result.ts';
import type { ActionKey, FirstPut, PutFirstOptions, SharedActionCache } from './action-cache.ts';

/** Outermost, so that it shows what clients were told: an incomplete result is a miss. */
export class LoggedActionCache implements SharedActionCache {
  readonly #inner: SharedActionCache;
  readonly #log: Log;

  constructor(inner: SharedActionCache, log: Log) {
    this.#inner = inner;
    this.#log = log;
  }

  get(key: ActionKey, options?: CallOptions): MaybePromise<EncodedActionResult | undefined> {
    const result = this.#inner.get(key, options);
    if (!this.#log.debugEnabled) return result;
    if (!isPromise(result)) return this.#toldGet(key, result);
    return result.then((found) => this.#toldGet(key, found));
  }

  put(key: ActionKey, result: EncodedActionResult, options?: CallOptions): Promise<void> {
    const done = this.#inner.put(key, result, options);
    return this.#log.debugEnabled ? this.#toldPut(key, done) : done;
  }

  putFirst(key: ActionKey, result: EncodedActionResult, options?: PutFirstOptions): Promise<FirstPut> {
    const done = this.#inner.putFirst(key, result, options);
    return this.#log.debugEnabled ? this.#toldPut(key, done) : done;
  }

  #toldGet(key: ActionKey, found: EncodedActionResult | undefined): EncodedActionResult | undefined {
    this.#log.debug('get action result', { ...fieldsOf(key), found: found !== undefined });
    return found;
  }

  /** An outcome is that of `putFirst`. */
  async #toldPut<T extends FirstPut | void>(key: ActionKey, done: Promise<T>): Promise<T> {
    let outcome: T;
    try {
      outcome = await done;
    } catch (thrown) {
      this.#log.debug('put action result', { ...fieldsOf(key), failed: CacheError.from(thrown).code });
      throw thrown;
    }
    this.#log.debug('put action result', outcome === undefined ? fieldsOf(key) : { ...fieldsOf(key), outcome });
    return outcome;
  }
}

function fieldsOf({ instance, actionDigest }: ActionKey): { readonly instance: string; readonly function: string; readonly hash: string } {
  return { instance, function: actionDigest.function.name, hash: actionDigest.hash };
}
