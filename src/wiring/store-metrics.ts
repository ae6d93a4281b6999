// What a scrape shows of the store: how full it is, what it let go, and how its bounds are used.
import type { Meter } from '../base/metrics.ts';
import type { StoreUsage } from '../engine/store-usage.ts';

/** `usage` is asked for each value, when metrics are collected. */
export function meterStore(meter: Meter, usage: () => StoreUsage): void {
  const gauge = (name: `kiln_store_${string}`, help: string, read: (of: StoreUsage) => number): void => {
    meter.gauge({ name, help }, () => read(usage()));
  };
  const total = (name: `kiln_store_${string}_total`, help: string, read: (of: StoreUsage) => number): void => {
    meter.observedCounter({ name, help }, () => read(usage()));
  };
  gauge('kiln_store_bytes', 'Bytes on disk that the store takes, quarantine included.', (of) => of.usedBytes);
  gauge('kiln_store_max_bytes', 'The bound of kiln_store_bytes (max-size).', (of) => of.maxBytes);
  gauge('kiln_store_reserved_bytes', 'Bytes on disk that writes in progress have taken beside kiln_store_bytes.', (of) => of.reservedBytes);
  gauge('kiln_store_blobs', 'Blobs in the store.', (of) => of.blobsCount);
  gauge('kiln_store_values', 'Action results, and values of tools kept in their place.', (of) => of.filesCount - of.blobsCount);
  gauge('kiln_store_oldest_use_age_seconds', 'Time since the segment of blobs or values that would be given up next was used, on the average of what is in it; 0 for an empty store.', (of) => seconds(of.oldestUseAgeMs));
  total('kiln_store_evictions_total', 'Blobs and values that went to make room.', (of) => of.evictedCount);
  total('kiln_store_evicted_bytes_total', 'Bytes on disk that evictions made free.', (of) => of.evictedBytes);
  gauge('kiln_store_eviction_age_seconds', 'How long the entry evicted last had not been used; 0 before the first eviction.', (of) => seconds(of.evictionAgeMs));
  total('kiln_store_corrupt_total', 'Entries whose bytes were not what their name says, and records that the start found to be lost; they count as absent since.', (of) => of.corruptCount);
  gauge('kiln_store_quarantined', 'Corrupt entries that are kept for a look.', (of) => of.quarantinedCount);
  gauge('kiln_store_quarantined_bytes', 'Bytes on disk of kiln_store_quarantined.', (of) => of.quarantinedBytes);
  gauge('kiln_store_hot_bytes', 'Memory for blobs that were used lately: small ones, and those of up to 1 MiB that are a file each.', (of) => of.hotBytes);
  gauge('kiln_store_hot_max_bytes', 'The bound of kiln_store_hot_bytes (limits.hot-memory).', (of) => of.hotBytesMax);
  gauge('kiln_store_leased_bytes', 'Bytes on disk of entries that were promised to stay.', (of) => of.leasedBytes);
  gauge('kiln_store_lease_seconds', 'How long such a promise holds at the moment: as configured (lease), or less where promises would take more than half of the store.', (of) => of.effectiveLeaseMs / 1_000);
  gauge('kiln_store_pinned_bytes', 'Bytes on disk of entries that are in use and may not be evicted.', (of) => of.pinnedBytes);
  gauge('kiln_store_segments', 'Files that hold small blobs and values.', (of) => of.segmentsCount);
  gauge('kiln_store_free_segments', 'Such files that are empty and ready to be written again.', (of) => of.freeSegmentsCount);
  gauge('kiln_store_trash_bytes', 'Bytes on disk of files that were deleted and are not gone yet.', (of) => of.trashBytes);
  gauge('kiln_store_uploads_bytes', 'Bytes on disk of uploads that have not come to their end.', (of) => of.uploadsBytes);
  gauge('kiln_store_unsynced_bytes', 'Bytes of small blobs and values that are written and not durable yet; none of them is acknowledged, unless durability is relaxed.', (of) => of.unsyncedBytes);
  total('kiln_store_syncs_total', 'Syncs of small blobs and values; each makes durable whatever waited for it.', (of) => of.syncsCount);
  gauge('kiln_store_open_reads', 'Large files open for reading.', (of) => of.openReads);
  gauge('kiln_store_open_reads_max', 'The bound of kiln_store_open_reads (limits.open-reads).', (of) => of.openReadsMax);
  gauge('kiln_store_waiting_reads', 'Reads that wait because kiln_store_open_reads is at its bound.', (of) => of.waitingReads);
  gauge('kiln_store_open_writes', 'Large files open for writing.', (of) => of.openWrites);
  gauge('kiln_store_open_writes_max', 'The bound of kiln_store_open_writes (limits.open-writes).', (of) => of.openWritesMax);
  gauge('kiln_store_waiting_writes', 'Writes that wait because kiln_store_open_writes is at its bound.', (of) => of.waitingWrites);
}

function seconds(milliseconds: number | undefined): number {
  return (milliseconds ?? 0) / 1_000;
}
