// Makes the hint of a segment from its records. Reads and checks all of it, so it runs where that holds nobody up; what is
// durable is known elsewhere and given.
import { HintBuilder, brokenEntryOf, hintEntryOf } from './hint-format.ts';
import type { HintedSegment } from './hint-format.ts';
import { KeyWords } from './key-words.ts';
import { RecordScan } from './record-scan.ts';
import type { ScanEvent, ScanStart } from './record-scan.ts';
import { nonceCrc, segmentHeaderBytes } from './segment-format.ts';

export interface HintRequest {
  readonly segment: HintedSegment;
  /** Up to where the segment is durable: a hint tells of nothing else, or it would outlive it. */
  readonly endOffset: number;
  /** Of the seal that stands before `endOffset`, if one does. */
  readonly sealSequence?: number;
}

/** Reads segments and makes their hints off the loop. */
export interface HintScans {
  /**
   * The hint of the file at `path`. Undefined: it can have none, since a newer Kiln wrote to it or the seal is missing.
   * @throws what the system says, in words.
   */
  hintOf(path: string, request: HintRequest): Promise<Uint8Array | undefined>;
}

/** Bytes read into `into` from `position` on, fewer than asked only at the end of the file. */
export type ReadNow = (into: Uint8Array, position: number) => number;

/** Read at once. */
const pieceBytes = 1_048_576;

/** See `HintScans.hintOf`. */
export function hintOf(read: ReadNow, { segment, endOffset, sealSequence }: HintRequest): Buffer | undefined {
  const builder = new HintBuilder(segment);
  const key = new KeyWords();
  const piece = Buffer.allocUnsafe(Math.min(pieceBytes, endOffset));
  let start: ScanStart = { offset: segmentHeaderBytes, endOffset, nonceCrc: nonceCrc(segment.nonce), recordsBefore: 0 };
  for (;;) {
    const scan = new RecordScan(start);
    for (let at = start.offset; at < endOffset && !scan.isEnded; ) {
      const count = read(piece.subarray(0, Math.min(pieceBytes, endOffset - at)), at);
      if (count === 0) return undefined; // shorter than what is said to be durable
      for (const event of scan.push(piece.subarray(0, count))) if (!tell(builder, key, event)) return undefined;
      at += count;
    }
    const end = scan.end();
    if (end.kind === 'ended') {
      if ((end.sealedRecords !== undefined) !== (sealSequence !== undefined)) return undefined;
      return builder.take({ endOffset: end.endOffset, ...(sealSequence !== undefined && { sealSequence }) });
    }
    start = end.start;
  }
}

/** False: only a newer Kiln knows what this is. Damage is left out where it will be when the segment itself is read. */
function tell(builder: HintBuilder, key: KeyWords, event: ScanEvent): boolean {
  if (event.kind === 'newer') return false;
  const { head } = event;
  if (head === undefined) return true;
  const entry = event.kind === 'record' ? hintEntryOf(head, event.bytes, event.payload) : brokenEntryOf(head, event.to - event.from);
  if (entry === undefined) return event.kind === 'damage';
  if (!key.setRecord(head, entry.target)) return false;
  builder.add(key, entry);
  return true;
}
