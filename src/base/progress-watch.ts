// Whether somebody who is waited for does enough. Pure: whoever watches asks from time to time, and decides what follows.

/** How little in how long is nothing. */
export interface StallLimits {
  readonly stallTimeoutMs: number;
  /** The same while others wait for what is held meanwhile. At most `stallTimeoutMs`. */
  readonly busyStallTimeoutMs: number;
  /** Less than this within the time is no progress, or a byte now and then would hold on for ever. */
  readonly stallBytesMin: number;
}

/** What is to be judged at one moment. */
export interface ProgressAt {
  readonly nowMs: number;
  /** Of the limits, the one that counts now. */
  readonly stallMs: number;
  readonly bytesMin: number;
}

/**
 * One peer that sends or takes. It has stalled when it was waited for at every look over `stallMs` and moved less than
 * `bytesMin` since the first of them; so it gets up to twice that long, less one byte.
 */
export class ProgressWatch {
  /** Undefined while it is not waited for. */
  #sinceMs: number | undefined = undefined;
  #bytesBefore = 0;

  /** @param bytes moved so far, which only rises while it is watched. */
  isStalled(isAwaited: boolean, bytes: number, { nowMs, stallMs, bytesMin }: ProgressAt): boolean {
    if (!isAwaited) {
      this.#sinceMs = undefined;
      return false;
    }
    if (this.#sinceMs === undefined || bytes - this.#bytesBefore >= bytesMin) {
      this.#sinceMs = nowMs;
      this.#bytesBefore = bytes;
      return false;
    }
    return nowMs - this.#sinceMs >= stallMs;
  }

  /** Somebody else is watched from here on. */
  restart(): void {
    this.#sinceMs = undefined;
  }
}

/** Looks per stall timeout: late by a quarter is near enough. */
const looksPerTimeout = 4;
/** Between two looks: an idle process wakes for nothing below, and nobody waits for the difference above. */
const lookIntervalMsMin = 20;
const lookIntervalMsMax = 5_000;

/** How often to look for something that may take the least of `timeoutsMs`; those that are 0 are off. */
export function lookIntervalMs(...timeoutsMs: readonly number[]): number {
  const least = Math.min(...timeoutsMs.filter((timeoutMs) => timeoutMs > 0));
  return Math.min(Math.max(least / looksPerTimeout, lookIntervalMsMin), lookIntervalMsMax);
}
