// One segment that records are written to, from its first record to its seal. What is to become of it when something
// fails is its owner's business; this only refuses to be written then.
import { assert } from '../base/assert.ts';
import type { LogFile, SyncPort } from '../base/log-files.ts';
import { GroupSync } from './group-sync.ts';
import type { SyncOutcome } from './group-sync.ts';
import { recordBytes } from './record-codec.ts';
import type { PlacedRecord, RecordGather } from './record-gather.ts';
import { segmentHeaderBytes } from './segment-format.ts';
import type { BegunSegment } from './segment-supply.ts';
import type { SegmentRow } from './segment-table.ts';

/** Kept free at the end of every segment. */
export const sealBytes = recordBytes(0, 0, 0);
const noBytes = new Uint8Array(0);

export interface SegmentWriterParts {
  readonly syncs: SyncPort;
  /** One for all segments of a stream: what it made is written at once. */
  readonly gather: RecordGather;
  readonly onSync: (microseconds: number) => void;
}

export class SegmentWriter {
  readonly row: SegmentRow;
  /** For those who make room, as long as the supply has nothing else for them. */
  isReserved: boolean;
  /** Nothing is written to it any more but a seal. */
  isEnding = false;
  /** Where the last record ends that counts, and how many do. */
  #settledEnd = segmentHeaderBytes;
  #settledRecords = 0;
  readonly #file: LogFile;
  readonly #sync: GroupSync;
  readonly #gather: RecordGather;
  #writtenEnd = segmentHeaderBytes;
  readonly #ended = Promise.withResolvers<void>();

  /** `begun` has no records, and its file is closed here. */
  constructor({ row, file }: BegunSegment, isReserved: boolean, { syncs, gather, onSync }: SegmentWriterParts) {
    this.row = row;
    this.isReserved = isReserved;
    this.#file = file;
    this.#sync = new GroupSync(syncs, file, { target: 'data', onSync });
    this.#gather = gather;
  }

  /** For records, those that have a place but are not written yet taken off. */
  get roomBytes(): number {
    return this.row.segmentBytes - sealBytes - this.row.endOffset;
  }

  /** End of what is written. */
  get writtenEnd(): number {
    return this.#writtenEnd;
  }

  /** Something that was written is not durable yet, or nobody was told. */
  get isSyncing(): boolean {
    return this.#sync.isRunning;
  }

  /** Gives the next record its place. */
  place(bytes: number): number {
    assert(bytes <= this.roomBytes, 'a record has a place where there is room for it');
    const offset = this.row.endOffset;
    this.row.endOffset += bytes;
    this.row.records += 1;
    return offset;
  }

  /** The next records, in order. @throws EIO, ENOSPC, ...: nothing more may be written. */
  write(records: readonly PlacedRecord[]): void {
    assert(!this.#sync.hasFailed, 'a segment that failed is not written');
    const [first] = records;
    assert(first?.offset === this.#writtenEnd, 'records are written without a gap');
    this.#file.writeNow(this.#gather.gather(records, this.row.durableOffset, this.row.nonceCrc), this.#writtenEnd);
    for (const { bytes } of records) this.#writtenEnd += bytes;
  }

  /** That record counts, and those before it do. */
  settled({ offset, bytes, usedAtS }: PlacedRecord): void {
    this.#settledEnd = offset + bytes;
    this.#settledRecords += 1;
    this.row.youngestUseS = Math.max(this.row.youngestUseS, usedAtS);
  }

  /** A write or a sync failed: what counts by now counts, nothing else. */
  giveUp(): void {
    this.row.state = 'failed';
    this.row.hasFailed = true;
    this.row.endOffset = this.#settledEnd;
    this.row.records = this.#settledRecords;
  }

  /** Everything is durable, and nothing will follow. It is sealed then, or given up. */
  async seal(sequence: number): Promise<SyncOutcome> {
    const { row } = this;
    assert(row.durableOffset === row.endOffset && this.#writtenEnd === row.endOffset, 'a seal says that everything before it is durable');
    const outcome = await this.#writeSeal(sequence);
    if (outcome.kind === 'failed') {
      this.giveUp();
      return outcome;
    }
    row.state = 'sealed';
    row.endOffset = this.#writtenEnd;
    row.durableOffset = this.#writtenEnd;
    row.sealSequence = sequence;
    return outcome;
  }

  /** See GroupSync. Of all that was written so far. */
  whenDurable(settled: (outcome: SyncOutcome) => void): void {
    this.#sync.whenDurable(settled);
  }

  durable(): Promise<SyncOutcome> {
    return new Promise((resolve) => this.whenDurable(resolve));
  }

  /** Records that have places and are not written, which are all, will not come. */
  clear(): void {
    assert(this.#writtenEnd === segmentHeaderBytes, 'only a segment without records begins anew');
    this.row.endOffset = segmentHeaderBytes;
    this.row.records = 0;
  }

  /** Nothing is written any more: waits for the sync under way and closes the file. */
  async end(): Promise<void> {
    await this.#sync[Symbol.asyncDispose]();
    await this.#file[Symbol.asyncDispose]();
    this.#ended.resolve();
  }

  /** Resolves when the file is closed. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  async #writeSeal(sequence: number): Promise<SyncOutcome> {
    const { ordinal, records, endOffset, durableOffset } = this.row;
    try {
      this.write([
        {
          segment: ordinal, kind: 'seal', functionNumber: 0, isPointer: false, isCopy: false, hash: noBytes, instance: '', logicalBytes: records, sequence, offset: endOffset,
          durableMark: durableOffset, usedAtS: 0, payload: noBytes, payloadBytes: 0, payloadCrc: 0, bytes: sealBytes,
        },
      ]);
    } catch (cause) {
      return { kind: 'failed', cause };
    }
    return this.durable();
  }
}
