// The time as HTTP writes it.
import type { WallClock } from '../base/clock.ts';

/** Gives the `date` header of the moment (RFC 9110 §5.6.7). Formatted once per second. */
export function httpDate(clock: WallClock): () => string {
  let second = NaN;
  let text = '';
  return () => {
    const nowSecond = Math.floor(clock.nowMs() / 1_000);
    if (nowSecond !== second) {
      second = nowSecond;
      text = new Date(nowSecond * 1_000).toUTCString();
    }
    return text;
  };
}
