// What an open engine shows of itself, gathered from its parts.
import type { EngineParts } from './engine-parts.ts';
import type { StoreUsage } from './store-usage.ts';

/** Of what is kept in memory only what the engine does. */
export type EngineUsage = StoreUsage;

export function usageOf(parts: EngineParts): EngineUsage {
  return { ...spaceUsage(parts), ...entryUsage(parts), ...accessUsage(parts) };
}

function spaceUsage({ ledger, quarantine, table, supply, writers }: EngineParts) {
  const streams = Object.values(writers);
  return {
    maxBytes: ledger.maxBytes,
    usedBytes: ledger.placedBytes,
    // What is kept so that room can be made is taken by no write.
    reservedBytes: ledger.reservedBytes - supply.keptBytes,
    quarantinedBytes: quarantine.usedBytes,
    quarantinedCount: quarantine.count,
    segmentsCount: table.count,
    freeSegmentsCount: supply.freeCount,
    trashBytes: ledger.bytesOf('trash'),
    uploadsBytes: ledger.bytesOf('uploads'),
    unsyncedBytes: streams.reduce((sum, { unsyncedBytes }) => sum + unsyncedBytes, 0),
    syncsCount: streams.reduce((sum, { syncsCount }) => sum + syncsCount, 0),
  };
}

function entryUsage({ entries, evictions, leases, recordQuarantine, recycler, corruptFiles, lostAtStart, files, leaseMs, renewAfterMs, nowS, table }: EngineParts) {
  const now = nowS();
  // Of the log alone: which file goes next is not known before one has to.
  const oldest = (['blob', 'value'] as const).map((stream) => table.oldest(stream));
  const oldestS = Math.min(...oldest.map((row) => (row === undefined ? Infinity : (entries.meanUseS(row.ordinal) ?? row.begunS))));
  return {
    filesCount: entries.count,
    blobsCount: entries.blobs.count,
    oldestUseAgeMs: oldestS === Infinity ? undefined : Math.max(0, now - oldestS) * 1_000,
    evictedCount: evictions.count,
    evictedBytes: evictions.bytes,
    evictionAgeMs: evictions.lastAgeMs,
    corruptCount: lostAtStart + recordQuarantine.count + recycler.lostCount + corruptFiles.count + files.usage.wrongCount,
    leasedBytes: leases.leasedBytes(now),
    pinnedBytes: leases.pinnedBytes,
    // What is kept is kept for as long as a use may go unnoticed beside.
    effectiveLeaseMs: Math.max(0, Math.min(leaseMs, leases.effectiveLeaseMs(now) - renewAfterMs)),
  };
}

function accessUsage({ files, hot, writes }: EngineParts) {
  return {
    hotBytes: hot.usedBytes,
    hotBytesMax: hot.bytesMax,
    openReads: files.usage.openReads,
    openReadsMax: files.usage.openReadsMax,
    waitingReads: files.usage.waitingReads,
    openWrites: writes.givenOut,
    openWritesMax: writes.permitsMax,
    waitingWrites: writes.waiting,
  };
}
