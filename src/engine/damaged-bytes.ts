// Copies of bytes of segments that are not what they should be, for whoever wants to find out why. Nobody depends on one:
// a full disk keeps neither a start from going on nor a segment from being given up.
import { CacheError } from '../base/cache-error.ts';
import type { Log } from '../base/log.ts';

export interface DamagedBytesPorts {
  /** See Quarantine. */
  readonly keeping: { keep(name: string, bytes: Uint8Array): Promise<unknown> };
  readonly log: Log;
}

export interface DamagedBytes {
  readonly segmentId: number;
  /** In the segment; 0: all of it. */
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** In `quarantine/`: one name for one place, whoever found the damage. docs/formats/data-directory.md */
export function damageName({ segmentId, offset }: Omit<DamagedBytes, 'bytes'>): string {
  return `segment-${segmentId.toString(16).padStart(16, '0')}-${offset}`;
}

/** False: there is no new copy, since there is one already, or no room, or the disk fails. */
export async function keepDamaged({ keeping, log }: DamagedBytesPorts, damaged: DamagedBytes): Promise<boolean> {
  const name = damageName(damaged);
  try {
    return (await keeping.keep(name, damaged.bytes)) === true;
  } catch (thrown) {
    if (!(thrown instanceof CacheError)) throw thrown;
    log.warn('what is damaged could not be copied to quarantine/', { name, reason: thrown.message });
    return false;
  }
}
