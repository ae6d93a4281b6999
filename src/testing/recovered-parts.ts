// What a start of the log fills, empty, and what is in it afterwards as one can compare it.
import { BlobIndex } from '../engine/blob-index.ts';
import { KeyWords } from '../engine/key-words.ts';
import { LiveEntries } from '../engine/live-entries.ts';
import type { RecoveredParts } from '../engine/log-recovery.ts';
import { SegmentTable } from '../engine/segment-table.ts';
import { SpaceLedger } from '../engine/space-ledger.ts';
import { UseAges } from '../engine/use-ages.ts';

export interface EmptyParts extends RecoveredParts {
  readonly blobs: BlobIndex;
  readonly values: BlobIndex;
  readonly ages: UseAges;
}

export function emptyParts(nowS: number): EmptyParts {
  const blobs = new BlobIndex({ salt: [1, 2], hasSequences: false, startS: nowS });
  const values = new BlobIndex({ salt: [3, 4], hasSequences: true, startS: nowS });
  const segments = new SegmentTable();
  const ages = new UseAges(10_800);
  return { blobs, values, segments, ages, entries: new LiveEntries({ blobs, values, segments, ages, nowS: () => nowS }), ledger: new SpaceLedger({ maxBytes: Infinity, diskFloorBytes: 0 }) };
}

/** An entry by what it says of its record: segment id and offset, and the rest. */
export interface EntrySeen {
  readonly segment: number;
  readonly offset: number;
  readonly sizeBytes: number;
  readonly isFile: boolean;
  readonly usedAtS: number;
  readonly wasUsed: boolean;
}

/** Of both indexes, by tag and key. */
export function entriesSeen({ blobs, values, segments }: EmptyParts): Map<string, EntrySeen> {
  const seen = new Map<string, EntrySeen>();
  const key = new KeyWords();
  for (const index of [blobs, values]) {
    for (let chunk = 0; chunk < index.chunkCount; chunk += 1) {
      for (const slot of index.slotsOf(chunk)) {
        index.keyOf(slot, key);
        seen.set(`${key.tag}-${key.hex()}`, {
          segment: segments.at(index.segmentOf(slot)).id,
          offset: index.offsetOf(slot),
          sizeBytes: index.sizeOf(slot),
          isFile: index.isFile(slot),
          usedAtS: index.usedAtS(slot),
          wasUsed: index.wasUsed(slot),
        });
      }
    }
  }
  return seen;
}

/** What disagrees between the entries and what is counted of them elsewhere. */
export function disagreements({ blobs, values, segments, ages, entries }: EmptyParts): readonly string[] {
  const wrong: string[] = [];
  const bytes = new Map<number, { count: number; bytes: number }>();
  let usedBytes = 0;
  for (const index of [blobs, values]) {
    for (let chunk = 0; chunk < index.chunkCount; chunk += 1) {
      for (const slot of index.slotsOf(chunk)) {
        const sum = bytes.get(index.segmentOf(slot)) ?? { count: 0, bytes: 0 };
        bytes.set(index.segmentOf(slot), { count: sum.count + 1, bytes: sum.bytes + entries.recordBytes(index, slot) });
        usedBytes += entries.usedBytes(index, slot);
      }
    }
  }
  if (ages.totalBytes !== usedBytes) wrong.push(`${ages.totalBytes} bytes by age, ${usedBytes} used`);
  for (const stream of ['blob', 'value'] as const) {
    for (const { ordinal, id, liveBytes, liveCount } of segments.of(stream)) {
      const sum = bytes.get(ordinal) ?? { count: 0, bytes: 0 };
      if (sum.count !== liveCount || sum.bytes !== liveBytes) wrong.push(`segment ${id} counts ${liveCount} of ${liveBytes} bytes, and has ${sum.count} of ${sum.bytes}`);
    }
  }
  return wrong;
}
