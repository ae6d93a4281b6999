// Which files of `objects/` nothing in the log speaks for, by their whole names: the index and hints keep no more than 32 bytes
// of a hash. Reads only.
import { join } from 'node:path';
import type { Log } from '../base/log.ts';
import type { LogFile, LogFileSystem } from '../base/log-files.ts';
import { digestFunctionNumbered } from '../digest/digest-function.ts';
import type { DigestFunction } from '../digest/digest-function.ts';
import { decodeHead } from './record-codec.ts';
import type { OrphanRecord } from './recovery-fold.ts';
import { openFound, reading } from './segment-finding.ts';
import { segmentFileName } from './segment-format.ts';
import type { SegmentRow } from './segment-table.ts';

/** A name that must go from `objects/`, if it is there. */
export interface OrphanedFile {
  /** `intent`: its upload may have come as far as the name; `tombstone`: its removal may not have. */
  readonly reason: 'intent' | 'tombstone';
  readonly digestFunction: DigestFunction;
  /** Lower-case hex, whole. */
  readonly hash: string;
  readonly sizeBytes: number;
  /** Of the intent, which its end must name; of the tombstone its own. */
  readonly sequence: number;
  /** The segment of the record. */
  readonly row: SegmentRow;
}

/** @param directory `segments/`. @throws CacheError `unavailable`. */
export async function orphanedFiles({ files, log }: { readonly files: Pick<LogFileSystem, 'openLog'>; readonly log: Log }, directory: string, records: readonly OrphanRecord[]): Promise<readonly OrphanedFile[]> {
  const orphans: OrphanedFile[] = [];
  for (const [row, ofRow] of Map.groupBy(records, (record) => record.row)) {
    const name = segmentFileName(row.id, row.stream);
    await using file = await openFound(files, join(directory, name), 'read');
    for (const record of ofRow) {
      const orphan = await orphanOf(file, name, record);
      if (orphan !== undefined) orphans.push(orphan);
      else log.warn(`segments/${name} had a record at ${record.offset} that is not right any more; a file that it speaks of may be left in objects/, where nothing counts it`, { reason: record.reason });
    }
  }
  return orphans;
}

/** Undefined: the record was right a moment ago, or in its hint, and is not now. Then nobody can say what the file is called. */
async function orphanOf(file: LogFile, name: string, { reason, row, offset, bytes, sequence }: OrphanRecord): Promise<OrphanedFile | undefined> {
  const buffer = Buffer.allocUnsafe(bytes);
  const count = await reading(name, file.read(buffer, offset));
  const decoded = decodeHead(buffer.subarray(0, count), 0, offset, row.nonceCrc);
  if (decoded.kind !== 'record') return undefined;
  const { head } = decoded;
  const digestFunction = digestFunctionNumbered(head.functionNumber);
  if (digestFunction === undefined || head.hash.byteLength !== digestFunction.hashBytes) return undefined;
  return { reason, digestFunction, hash: Buffer.from(head.hash).toString('hex'), sizeBytes: head.logicalBytes, sequence, row };
}
