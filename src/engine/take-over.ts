// A data directory of format 1 becomes one of format 2, in place and at one moment: until the marker is replaced an older
// Kiln can go on with it, and from then on this one can. docs/formats/data-directory.md
import type { CallOptions } from '../base/call-options.ts';
import type { EnginePorts } from './engine-options.ts';

export interface TakeOverOptions {
  /** Absolute; it exists, and this process owns it. */
  readonly directory: string;
  /** Of new segments. */
  readonly segmentBytes: number;
  /** Longer values become blobs that their records point to. */
  readonly valueBytesMax: number;
}

export type TakeOverPorts = Pick<EnginePorts, 'files' | 'smallSyncs' | 'monotonicClock' | 'wallClock' | 'random' | 'log'>;

/**
 * Makes sure that the directory has format 2: an empty one is begun, one of format 1 taken over, what a take-over left behind
 * removed.
 * @throws CacheError `failed_precondition` (not ours, or newer than this Kiln), `disk_full` (no room to take it over; nothing was
 *   touched), `cancelled` (still of format 1); the system's own errors.
 */
export type PrepareDirectory = (options: TakeOverOptions, ports: TakeOverPorts, call?: CallOptions) => Promise<void>;
