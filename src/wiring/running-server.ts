// What there is to see of a server that runs, and how to end it.
import type { ListenAddress } from '../base/listen-address.ts';
import type { DrainProgress, StopOutcome } from './drain.ts';

export interface RunningServer {
  /** As bound, in the order asked for; at least one. */
  readonly addresses: readonly ListenAddress[];
  readonly dataDirectory: string;
  readonly maxBytes: number;
  readonly usedBytes: number;
  readonly anonymousRight: 'none' | 'read' | 'write';
  /** What goes on at the moment. */
  readonly progress: DrainProgress;
  /**
   * Takes no new work, lets running calls finish, closes the stores, each within its limit. A second call gives the
   * outcome of the first.
   */
  stop(): Promise<StopOutcome>;
}
