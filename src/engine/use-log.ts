// Remembers on disk when entries were used, so that a start knows leases and the order of use. Never waited for.
export interface UseLog {
  /** The entry whose key begins so was used. Costs a few words; written with the next flush. */
  note(low: number, high: number, usedAtS: number): void;
  /** Appends what was noted, without a sync. Each second. */
  flush(): void;
  /** Writes the uses of all entries anew and gives up the segments before, when those have grown out of proportion. */
  compact(): Promise<void>;
  /** Flushes; nothing may be noted afterwards. */
  close(): Promise<void>;
}
