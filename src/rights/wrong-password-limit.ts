// How often somebody may try a password: a few times at once, and then at a steady slow pace.
import { BoundedMap } from '../base/bounded-map.ts';
import { CacheError } from '../base/cache-error.ts';
import type { MonotonicClock } from '../base/clock.ts';

export interface WrongPasswordLimits {
  /** Wrong passwords for one user name before it has to wait. */
  readonly burst: number;
  /** Until one more is allowed, milliseconds. */
  readonly refillMs: number;
  /** User names watched at a time, those that do not exist included; the one tried longest ago is forgotten. */
  readonly namesMax: number;
}

/**
 * By user name, known or not: a machine that goes on with an old password locks out nobody but its own user, and
 * nothing here tells which names exist. Whoever goes through many names is slowed down by the line before the check.
 */
export class WrongPasswordLimit {
  readonly #clock: MonotonicClock;
  readonly #limits: WrongPasswordLimits;
  /** When a name would have all of its attempts again. */
  readonly #fullAtMs: BoundedMap<string, number>;

  constructor(clock: MonotonicClock, limits: WrongPasswordLimits) {
    this.#clock = clock;
    this.#limits = limits;
    this.#fullAtMs = new BoundedMap(limits.namesMax);
  }

  /** Counts an attempt, before it is known how it ends. @throws CacheError `unavailable` with `retry_after`. */
  begin(user: string): void {
    const nowMs = this.#clock.nowMs();
    const fullAtMs = Math.max(this.#fullAtMs.get(user) ?? nowMs, nowMs) + this.#limits.refillMs;
    const waitMs = fullAtMs - nowMs - this.#limits.burst * this.#limits.refillMs;
    if (waitMs > 0) {
      throw new CacheError('rate_limited', 'too many wrong passwords for this user name; wait before the next one', {
        details: [{ kind: 'retry_after', delayMs: Math.ceil(waitMs) }],
      });
    }
    this.#fullAtMs.set(user, fullAtMs);
  }

  /** The attempt was a right one, or came to no end: it does not count. */
  takeBack(user: string): void {
    const fullAtMs = this.#fullAtMs.get(user);
    if (fullAtMs !== undefined) this.#fullAtMs.set(user, fullAtMs - this.#limits.refillMs);
  }
}
