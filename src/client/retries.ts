// Second tries, within reason: few per call, spread in time, and not more than a share of all calls, so that a server
// in trouble is not pushed further into it.
import { CacheError } from '../base/cache-error.ts';
import { failures } from '../base/failures.ts';
import type { CallOptions } from '../base/call-options.ts';
import type { Timers } from '../base/clock.ts';
import type { Random } from '../base/random.ts';

export interface RetryLimits {
  /** Tries of one call, the first one included. */
  readonly attemptsMax: number;
  /** Upper end of the first wait; doubled for each further one. Milliseconds. */
  readonly firstDelayMs: number;
  /** The longest wait. A server that asks for more is not asked again. Milliseconds. */
  readonly delayMsMax: number;
  /** Retries that may be made in a row, over all calls, while every call fails. */
  readonly savedRetriesMax: number;
  /** Share of a retry that each call that went well allows for later. */
  readonly savedPerSuccess: number;
}

export const retryLimits: RetryLimits = { attemptsMax: 4, firstDelayMs: 100, delayMsMax: 10_000, savedRetriesMax: 50, savedPerSuccess: 0.1 };

export interface RetryOptions extends CallOptions {
  /** Asked after a failure: whether what was sent can be sent again. Default: yes. */
  readonly isRepeatable?: () => boolean;
}

export class Retries {
  readonly #timers: Timers;
  readonly #random: Random;
  readonly #limits: RetryLimits;
  #saved: number;

  constructor(timers: Timers, random: Random, limits: RetryLimits) {
    this.#timers = timers;
    this.#random = random;
    this.#limits = limits;
    this.#saved = limits.savedRetriesMax;
  }

  /** What `attempt` gives, the last failure after the last try. @throws as `attempt`; `cancelled` while waiting. */
  async run<T>(attempt: () => Promise<T>, options: RetryOptions = {}): Promise<T> {
    for (let tries = 1; ; tries += 1) {
      try {
        const result = await attempt();
        this.#saved = Math.min(this.#limits.savedRetriesMax, this.#saved + this.#limits.savedPerSuccess);
        return result;
      } catch (thrown) {
        const delayMs = this.#delayMs(thrown, tries);
        if (delayMs === undefined || options.isRepeatable?.() === false || this.#saved < 1) throw thrown;
        this.#saved -= 1;
        await this.#wait(delayMs, options.signal);
      }
    }
  }

  /** Whether another call of the same kind may go better. */
  isWorthwhile(thrown: unknown): boolean {
    return thrown instanceof CacheError && failures[thrown.kind].isRetryable;
  }

  /** How long to wait before the next try; undefined when there is none. */
  #delayMs(thrown: unknown, tries: number): number | undefined {
    const { attemptsMax, firstDelayMs, delayMsMax } = this.#limits;
    if (!(thrown instanceof CacheError) || !failures[thrown.kind].isRetryable || tries >= attemptsMax) return undefined;
    const askedMs = thrown.details.reduce((sum, detail) => (detail.kind === 'retry_after' ? detail.delayMs : sum), 0);
    if (askedMs > delayMsMax) return undefined;
    // Anywhere between none and the whole, so that clients that failed together do not come back together.
    return askedMs + Math.min(delayMsMax, firstDelayMs * 2 ** (tries - 1)) * this.#fraction();
  }

  #fraction(): number {
    const [byte = 0, next = 0] = this.#random.bytes(2);
    return (byte * 256 + next) / 65_536;
  }

  async #wait(delayMs: number, signal: AbortSignal | undefined): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const cancelled = (): void => reject(new CacheError('cancelled', 'the call was cancelled while it waited for its next try'));
    if (signal?.aborted === true) cancelled();
    signal?.addEventListener('abort', cancelled, { once: true });
    using _timer = this.#timers.after(delayMs, resolve);
    try {
      await promise;
    } finally {
      signal?.removeEventListener('abort', cancelled);
    }
  }
}
