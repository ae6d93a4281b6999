// The value of the `date` header, made once per second instead of once per answer.
import type { WallClock } from '../base/clock.ts';

/** Gives the time of `clock` as an IMF-fixdate (RFC 9110 §5.6.7). */
export function createHttpDate(clock: WallClock): () => string {
  let second = Number.NaN;
  let text = '';
  return () => {
    const now = Math.floor(clock.nowMs() / 1000);
    if (now !== second) {
      second = now;
      text = new Date(now * 1000).toUTCString();
    }
    return text;
  };
}
