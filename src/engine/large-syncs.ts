// Syncs of large content, one at a time for the whole disk and no faster than small syncs beside them can bear.
import type { CallOptions } from '../base/call-options.ts';

export interface LargeSyncs {
  /**
   * Resolves when all that was written to the file before its turn came is durable. `bytes`: about so many are not yet.
   * @throws CacheError `unavailable` (final for that file), `cancelled` while it waits for its turn.
   */
  sync(file: { readonly fd: number }, bytes: number, options?: CallOptions): Promise<void>;
}
