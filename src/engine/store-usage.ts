// What the store shows of itself at one moment, for metrics and for people.

/** Gauges: bytes as on disk unless it says otherwise, counts of what happened since the start. */
export interface StoreUsage {
  readonly maxBytes: number;
  /** All of it: segments, files, uploads, what is being deleted, quarantine. Without `reservedBytes`. */
  readonly usedBytes: number;
  readonly reservedBytes: number;
  /** Memory. */
  readonly hotBytes: number;
  readonly hotBytesMax: number;
  readonly quarantinedBytes: number;
  readonly quarantinedCount: number;
  /** Blobs and values. */
  readonly filesCount: number;
  readonly blobsCount: number;
  /**
   * Since what would be evicted next was used: the file, or, of a store of segments, the oldest segment of blobs or values, on the
   * average of what counts in it. Undefined: there is none.
   */
  readonly oldestUseAgeMs: number | undefined;
  readonly evictedCount: number;
  readonly evictedBytes: number;
  /** How long the entry evicted last had not been used; undefined before the first eviction. */
  readonly evictionAgeMs: number | undefined;
  readonly corruptCount: number;
  readonly openReads: number;
  readonly openReadsMax: number;
  readonly waitingReads: number;
  readonly openWrites: number;
  readonly openWritesMax: number;
  readonly waitingWrites: number;
  /** Of entries used within the lease. */
  readonly leasedBytes: number;
  readonly pinnedBytes: number;
  /** How long a lease is at the moment. */
  readonly effectiveLeaseMs: number;
  /** Those that hold records. */
  readonly segmentsCount: number;
  /** Emptied and ready to be written again. */
  readonly freeSegmentsCount: number;
  /** Deleted, and still on the disk. */
  readonly trashBytes: number;
  /** Of uploads that may be resumed. */
  readonly uploadsBytes: number;
  /** Written to the log and not synced yet. */
  readonly unsyncedBytes: number;
  /** Of the log. */
  readonly syncsCount: number;
}
