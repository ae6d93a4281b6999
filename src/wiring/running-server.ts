// What there is to see of a server that runs, and how to end it.
import type { ListenAddress } from '../base/listen-address.ts';
import type { RightsOptions } from './rights.ts';
import type { DrainProgress, StopOutcome } from './drain.ts';

export interface RunningServer {
  /** As bound, in the order asked for; at least one. */
  readonly addresses: readonly ListenAddress[];
  readonly dataDirectory: string;
  readonly maxBytes: number;
  readonly usedBytes: number;
  /** What callers without credentials may do. */
  readonly anonymousRight: 'none' | 'read' | 'write';
  /**
   * Takes the rights of other options, and reads the files of credentials again; calls that were let in go on.
   * @throws CacheError `invalid_argument` or `failed_precondition` that says what to do; the rights are what they were.
   */
  reloadRights(options: RightsOptions): Promise<void>;
  /** What goes on at the moment. */
  readonly progress: DrainProgress;
  /**
   * Takes no new work, lets running calls finish, closes the stores, each within its limit. A second call gives the
   * outcome of the first.
   */
  stop(): Promise<StopOutcome>;
}
