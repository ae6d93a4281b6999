// A decorator that tries again what failed for a reason that may pass.
import type { ActionCache, ActionKey } from '../actions/action-cache.ts';
import type { CallOptions } from '../base/call-options.ts';
import type { EncodedActionResult } from '../proto/encoded-action-result.ts';
import type { Retries } from './retries.ts';

/** A result put twice is the same result, unless somebody put another one in between: the last put wins anyway. */
export class RetryingActionCache implements ActionCache {
  readonly #inner: ActionCache;
  readonly #retries: Retries;

  constructor(inner: ActionCache, retries: Retries) {
    this.#inner = inner;
    this.#retries = retries;
  }

  get(key: ActionKey, options?: CallOptions): Promise<EncodedActionResult | undefined> {
    return this.#retries.run(async () => this.#inner.get(key, options), options);
  }

  put(key: ActionKey, result: EncodedActionResult, options?: CallOptions): Promise<void> {
    return this.#retries.run(() => this.#inner.put(key, result, options), options);
  }
}
