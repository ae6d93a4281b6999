// The hints of segments that are being written, from the heads of their records as they pass by: whenever a sixteenth more of a
// segment is durable, what stands there is appended to its hint. So no start reads more of it, and nobody has to read it again.
import { hintEntryOf, HintBuilder } from './hint-format.ts';
import type { HintedSegment } from './hint-format.ts';
import type { HintFiles } from './hint-files.ts';
import { KeyWords } from './key-words.ts';
import type { PlacedRecord } from './record-gather.ts';
import { segmentHeaderBytes } from './segment-format.ts';
import type { SegmentRow } from './segment-table.ts';

export interface GrowingHintsParts {
  readonly files: Pick<HintFiles, 'append'>;
  /** The hint of a segment that is sealed does not come from here, or not all of it. */
  readonly onLost: (row: SegmentRow) => void;
  readonly onFailed: (row: SegmentRow, reason: unknown) => void;
  readonly onWritten: () => void;
}

/** A hint gets its next block when so much more of the segment is durable: 4 MiB of the longest. No start reads more of it. */
const blockShare = 1 / 16;

export class GrowingHints {
  readonly #parts: GrowingHintsParts;
  /** Of segments that are open or were just sealed; those that have failed go when the next is begun. No entry: it cannot come from here. */
  readonly #growing = new Map<SegmentRow, HintBuilder>();
  /** At most those of `#growing`. */
  readonly #wanted = new Set<SegmentRow>();
  #running: Promise<void> | undefined;
  /** Whose block is being written. */
  #current: { readonly row: SegmentRow; readonly done: Promise<void> } | undefined;
  readonly #key = new KeyWords();

  constructor(parts: GrowingHintsParts) {
    this.#parts = parts;
  }

  /** The next records of the segment, which stand behind those before; they are not durable yet. */
  written(row: SegmentRow, records: readonly PlacedRecord[]): void {
    const { stream } = row;
    if (stream === 'touch') return;
    const growing = this.#growing.get(row) ?? (records[0]?.offset === segmentHeaderBytes ? this.#begin(row, stream) : undefined);
    if (growing === undefined) return;
    for (const record of records) {
      const entry = hintEntryOf(record, record.bytes, record.payload);
      if (entry === undefined || !this.#key.setRecord(record, entry.target)) continue; // none that goes into this stream
      growing.add(this.#key, entry);
    }
  }

  /** More of the segment is durable. Costs nothing as long as it is little. */
  grown(row: SegmentRow): void {
    const growing = this.#growing.get(row);
    if (growing !== undefined && row.durableOffset - growing.takenEnd >= row.segmentBytes * blockShare) this.#want(row);
  }

  /** The segment is sealed, and the seal is durable. */
  sealed(row: SegmentRow): void {
    if (this.#growing.has(row)) this.#want(row);
    else this.#parts.onLost(row);
  }

  /** Nothing of it comes from here any more when this resolves. */
  async drop(row: SegmentRow): Promise<void> {
    this.#growing.delete(row);
    this.#wanted.delete(row);
    if (this.#current?.row === row) await this.#current.done;
  }

  /** Nothing more is written than the block under way. */
  end(): void {
    this.#growing.clear();
    this.#wanted.clear();
  }

  /** Resolves when nothing is wanted. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  #begin(row: SegmentRow, stream: HintedSegment['stream']): HintBuilder {
    for (const before of this.#growing.keys()) if (before.hasFailed) this.#growing.delete(before);
    const { id, nonce, segmentBytes } = row;
    const growing = new HintBuilder({ id, nonce, segmentBytes, stream });
    this.#growing.set(row, growing);
    return growing;
  }

  #want(row: SegmentRow): void {
    this.#wanted.add(row);
    this.#running ??= this.#run();
  }

  async #run(): Promise<void> {
    for (let row = this.#next(); row !== undefined; row = this.#next()) {
      this.#current = { row, done: this.#append(row) };
      await this.#current.done;
      this.#current = undefined;
    }
    this.#running = undefined;
  }

  #next(): SegmentRow | undefined {
    const row = this.#wanted.values().next().value;
    if (row !== undefined) this.#wanted.delete(row);
    return row;
  }

  /** What is durable by now, the seal included. */
  async #append(row: SegmentRow): Promise<void> {
    const growing = this.#growing.get(row);
    if (growing === undefined) return;
    const { durableOffset, sealSequence, endOffset } = row;
    const isSealed = sealSequence !== undefined && durableOffset >= endOffset;
    if (!isSealed && durableOffset === growing.takenEnd) return;
    const block = growing.take({ endOffset: durableOffset, ...(isSealed && { sealSequence }) });
    if (isSealed) this.#growing.delete(row);
    const isWritten = await this.#write(row, block);
    if (isWritten) return;
    this.#growing.delete(row);
    if (row.sealSequence !== undefined) this.#parts.onLost(row);
  }

  async #write(row: SegmentRow, block: Buffer): Promise<boolean> {
    try {
      const isWritten = await this.#parts.files.append(row, block);
      if (isWritten) this.#parts.onWritten();
      return isWritten;
    } catch (thrown) {
      this.#parts.onFailed(row, thrown);
      return false;
    }
  }
}
