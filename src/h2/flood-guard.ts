// Ends connections whose peer keeps us busy without wanting anything: floods of PING, SETTINGS, empty DATA, rapid
// resets (CVE-2023-44487) and whatever makes us answer with resets (CVE-2025-8671).
import type { MonotonicClock } from '../base/clock.ts';
import { ConnectionError, errorCode } from './error-code.ts';

/** A bucket of tokens, one per idle frame. The clock is only asked when one is spent. */
export class FloodGuard {
  readonly #clock: MonotonicClock;
  readonly #burst: number;
  readonly #perMs: number;
  #tokens: number;
  #filledAtMs: number;

  constructor(clock: MonotonicClock, limits: { readonly idleFramesBurst: number; readonly idleFramesPerSecond: number }) {
    this.#clock = clock;
    this.#burst = limits.idleFramesBurst;
    this.#perMs = limits.idleFramesPerSecond / 1_000;
    this.#tokens = this.#burst;
    this.#filledAtMs = clock.nowMs();
  }

  /**
   * `cost`: as many such frames as it counts for.
   * @throws ConnectionError `enhanceYourCalm` when there were too many of them; `what` names the last, or all.
   */
  spend(what: string, message = `too many frames that ask for nothing, the last one ${what}`, cost = 1): void {
    const nowMs = this.#clock.nowMs();
    this.#tokens = Math.min(this.#burst, this.#tokens + (nowMs - this.#filledAtMs) * this.#perMs);
    this.#filledAtMs = nowMs;
    if (this.#tokens < cost) throw new ConnectionError(errorCode.enhanceYourCalm, message, what);
    this.#tokens -= cost;
  }
}
