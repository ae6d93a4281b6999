// Gives the records of segments to the fold of the log, from hints where they tell and from the segments themselves where
// not. Reads only: what is to be done about what was found is said, not done.
import { assertNever } from '../base/assert.ts';
import { CacheError } from '../base/cache-error.ts';
import type { LogFile } from '../base/log-files.ts';
import { brokenEntryOf, hintEntryOf } from './hint-format.ts';
import { HintFold } from './hint-fold.ts';
import { KeyWords } from './key-words.ts';
import type { LiveEntries } from './live-entries.ts';
import { readTouches } from './record-payloads.ts';
import { recordFixedBytes } from './record-codec.ts';
import { RecordScan } from './record-scan.ts';
import type { ScanEnd, ScanEvent, ScanStart } from './record-scan.ts';
import type { RecoveryFold } from './recovery-fold.ts';
import { reading, sealSequenceBefore, writtenByNewer } from './segment-finding.ts';
import type { FoundSegment } from './segment-finding.ts';
import { segmentHeaderBytes } from './segment-format.ts';
import type { SegmentRow } from './segment-table.ts';

export type ReadableSegment = Extract<FoundSegment, { readonly kind: 'segment' }>;

/** Bytes of a segment. */
export interface DamagedRange {
  readonly from: number;
  readonly to: number;
}

/** How the records of a segment end, and what is wrong with them. */
export interface SegmentEnd {
  /** The seal included, if there is one; otherwise one goes here. */
  readonly endOffset: number;
  /** Right ones, without the seal. */
  readonly records: number;
  readonly sealSequence: number | undefined;
  /** What stands before is durable for sure. */
  readonly durableMark: number;
  /** How many the seal says there are; undefined where it was not looked at, or there is none. */
  readonly sealedRecords: number | undefined;
  readonly scannedBytes: number;
  /** Of a torn tail. */
  readonly cutBytes: number;
  readonly damage: readonly DamagedRange[];
  /** Its file is shorter than it was as a segment, and ends in the middle of its records, or before them. */
  readonly isCut: boolean;
  /** Its hint leaves something out: there was damage when that was made. */
  readonly hasGap: boolean;
}

type RecordEvent = Extract<ScanEvent, { readonly kind: 'record' }>;
type DamageEvent = Extract<ScanEvent, { readonly kind: 'damage' }>;
type Ended = Extract<ScanEnd, { readonly kind: 'ended' }>;

/** Read at once. */
const pieceBytes = 1_048_576;

/** One segment at a time. */
export class SegmentReader {
  readonly #fold: RecoveryFold;
  /** What was used later was used now. */
  readonly #nowS: number;
  readonly #key = new KeyWords();
  /** As long as what was read so far could use. */
  #piece = Buffer.alloc(0);
  readonly #hints: HintFold;

  constructor(fold: RecoveryFold, entries: LiveEntries, nowS: number) {
    this.#fold = fold;
    this.#nowS = nowS;
    this.#hints = new HintFold(fold, entries, nowS);
  }

  /**
   * @param open opens the file of the segment, where it has to be read; closed here.
   * @throws CacheError `failed_precondition` (a newer Kiln wrote to it), `unavailable` (the disk).
   */
  async read(found: ReadableSegment, row: SegmentRow, open: () => Promise<LogFile>): Promise<SegmentEnd> {
    const { header, hint } = found;
    this.#fold.noteSequence(Math.max(0, header.firstSequence - 1));
    const damage: DamagedRange[] = [];
    const hasGap = hint !== undefined && this.#hints.take(row, hint.hint, damage);
    if (hint?.sealSequence !== undefined) {
      const { endOffset, count } = hint.hint;
      return { endOffset, records: count, sealSequence: hint.sealSequence, durableMark: endOffset, sealedRecords: undefined, scannedBytes: 0, cutBytes: 0, damage, isCut: false, hasGap };
    }
    await using file = await open();
    const start: ScanStart = {
      offset: hint?.hint.endOffset ?? segmentHeaderBytes,
      endOffset: Math.max(segmentHeaderBytes, Math.min(found.sizeBytes, header.segmentBytes)),
      nonceCrc: row.nonceCrc,
      recordsBefore: hint?.hint.count ?? 0,
    };
    const scanned: ScannedSegment = { file, row, name: found.listed.name, damage, durableMark: start.offset };
    const { end, scannedBytes } = await this.#scan(scanned, start);
    const sealSequence = end.sealedRecords === undefined ? undefined : await sealSequenceBefore(file, end.endOffset, header);
    if (end.sealedRecords !== undefined && sealSequence === undefined) throw new CacheError('unavailable', `segments/${found.listed.name} changed while it was read; something else writes to this directory`);
    this.#fold.noteSequence(sealSequence ?? 0);
    const durableMark = Math.min(end.endOffset, scanned.durableMark);
    const isCut = sealSequence === undefined && found.sizeBytes < header.segmentBytes && (await endsInRecords(file, found));
    return { endOffset: end.endOffset, records: end.records, sealSequence, durableMark, sealedRecords: end.sealedRecords, scannedBytes, cutBytes: end.tornBytes, damage, isCut, hasGap };
  }

  async #scan(segment: ScannedSegment, from: ScanStart): Promise<{ readonly end: Ended; readonly scannedBytes: number }> {
    let scannedBytes = 0;
    const longestBytes = Math.min(pieceBytes, from.endOffset - from.offset);
    if (this.#piece.byteLength < longestBytes) this.#piece = Buffer.allocUnsafeSlow(longestBytes);
    for (let start = from; ; ) {
      const scan = new RecordScan(start);
      for (let at = start.offset; at < start.endOffset && !scan.isEnded; ) {
        const count = await reading(segment.name, segment.file.read(this.#piece.subarray(0, Math.min(pieceBytes, start.endOffset - at)), at));
        if (count === 0) throw new CacheError('unavailable', `segments/${segment.name} became shorter while it was read; something else writes to this directory`);
        for (const event of scan.push(this.#piece.subarray(0, count))) this.#hear(segment, event);
        at += count;
        scannedBytes += count;
      }
      const end = scan.end();
      if (end.kind === 'ended') return { end, scannedBytes };
      start = end.start;
    }
  }

  #hear(segment: ScannedSegment, event: ScanEvent): void {
    const { row, name, damage } = segment;
    switch (event.kind) {
      case 'newer':
        throw writtenByNewer(name, `${event.what} at ${event.offset}`);
      case 'damage':
        damage.push({ from: event.from, to: event.to });
        this.#takeBroken(row, event);
        return;
      case 'record':
        segment.durableMark = Math.max(segment.durableMark, event.head.durableMark);
        if (!(row.stream === 'touch' ? this.#takeTouches(event) : this.#takeRecord(row, name, event))) damage.push({ from: event.head.offset, to: event.head.offset + event.bytes });
        return;
      default:
        assertNever(event);
    }
  }

  #takeRecord(row: SegmentRow, name: string, { head, bytes, payload }: RecordEvent): boolean {
    const entry = hintEntryOf(head, bytes, payload);
    if (entry === undefined) throw writtenByNewer(name, `a tombstone at ${head.offset}`);
    if (!this.#key.setRecord(head, entry.target)) return false;
    row.youngestUseS = Math.max(row.youngestUseS, Math.min(this.#nowS, head.usedAtS));
    return this.#fold.take(row, this.#key, entry);
  }

  #takeBroken(row: SegmentRow, { head, from, to }: DamageEvent): void {
    const entry = head === undefined ? undefined : brokenEntryOf(head, to - from);
    if (head !== undefined && entry !== undefined && this.#key.setRecord(head)) this.#fold.take(row, this.#key, entry);
  }

  #takeTouches({ head, payload }: RecordEvent): boolean {
    this.#fold.noteSequence(head.sequence);
    return head.kind === 'touches' && readTouches(payload, (low, high, usedAtS) => this.#fold.touch(low, high, usedAtS, this.#nowS));
  }
}

/** There are zeros where a seal would go: a segment always has room for that. */
async function endsInRecords(file: LogFile, { sizeBytes, listed: { name } }: ReadableSegment): Promise<boolean> {
  const offset = sizeBytes - recordFixedBytes;
  if (offset < segmentHeaderBytes) return true;
  const bytes = Buffer.alloc(recordFixedBytes);
  await reading(name, file.read(bytes, offset));
  return bytes.some((byte) => byte !== 0);
}

interface ScannedSegment {
  readonly file: LogFile;
  readonly row: SegmentRow;
  readonly name: string;
  readonly damage: DamagedRange[];
  durableMark: number;
}
