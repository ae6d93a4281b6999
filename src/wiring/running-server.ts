// What there is to see of a server that runs, and how to end it.
import type { ListenAddress } from '../base/listen-address.ts';

export interface RunningServer {
  /** As bound, in the order asked for; at least one. */
  readonly addresses: readonly ListenAddress[];
  readonly dataDirectory: string;
  readonly maxBytes: number;
  readonly usedBytes: number;
  readonly anonymousRight: 'read' | 'write';
  /**
   * Takes no new work, lets running calls finish, closes the stores. Resolves to true when every call finished,
   * to false when some were cut off at the limit. A second call gives the outcome of the first.
   */
  stop(): Promise<boolean>;
}
