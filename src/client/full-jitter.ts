// Waits that grow, each anywhere between none and its whole, so that clients that failed together do not come back
// together ("full jitter").
import type { Random } from '../base/random.ts';

export interface JitterLimits {
  /** Upper end of the first wait, in milliseconds. */
  readonly firstDelayMs: number;
  /** Upper end of the longest. */
  readonly delayMsMax: number;
}

/** The wait after `failures` failures in a row, at least one. */
export function fullJitterMs(random: Random, failures: number, { firstDelayMs, delayMsMax }: JitterLimits): number {
  const [byte = 0, next = 0] = random.bytes(2);
  const fraction = (byte * 256 + next) / 65_536;
  return Math.min(delayMsMax, firstDelayMs * 2 ** Math.min(failures - 1, 30)) * fraction;
}
