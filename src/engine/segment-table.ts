// What is known of each segment beside its records: where it ends, up to where it is durable, how much of it counts, and
// who still needs it. Index entries name a segment by its ordinal here. No I/O; who changes a state says so.
import { assert } from '../base/assert.ts';
import { nonceCrc, segmentHeaderBytes, streamNames } from './segment-format.ts';
import type { StreamName } from './segment-format.ts';

/**
 *   open ── full, or the store closes ──▶ sealed ──┐
 *     │                                            ├─▶ recycling ── nothing counts any more ──▶ draining ── nobody reads ──▶ released
 *     └── a write or a sync failed ──▶ failed ─────┘
 *
 * `open`: begun; records come, or will come. `failed`: nothing is written to it any more. `recycling`: what counts is
 * being moved on. `draining`: nothing in it counts, but it is still being read, or a file that it says is removed is not.
 */
export type SegmentState = 'open' | 'sealed' | 'failed' | 'recycling' | 'draining';

/** A segment that was begun, or found at start. */
export interface NewSegment {
  /** Above that of every segment of its stream so far. */
  readonly id: number;
  readonly stream: StreamName;
  readonly nonce: Uint8Array;
  readonly segmentBytes: number;
  /** Seconds since the Unix epoch. */
  readonly begunS: number;
  readonly state: 'open' | 'sealed';
  /** Where its records end, the seal included; all of them are durable. */
  readonly endOffset: number;
  /** Without the seal. */
  readonly records: number;
  /** Of its seal, if it has one. */
  readonly sealSequence: number | undefined;
}

export interface SegmentRow {
  /** In this table: below 2^24, used again once the segment is released. */
  readonly ordinal: number;
  readonly id: number;
  readonly stream: StreamName;
  readonly nonce: Uint8Array;
  readonly nonceCrc: number;
  readonly segmentBytes: number;
  readonly begunS: number;
  state: SegmentState;
  /** A write or a sync of it failed: its file is not used again. */
  hasFailed: boolean;
  /** Where the records end that may count, those that are not written yet included. */
  endOffset: number;
  /** Everything before is durable. */
  durableOffset: number;
  /** Without the seal. */
  records: number;
  sealSequence: number | undefined;
  /** The latest use that a record of it told of when it was written, seconds since the Unix epoch. */
  youngestUseS: number;
  /** Bytes of the records that count: those that the index names, and intents of uploads that run. */
  readonly liveBytes: number;
  readonly liveCount: number;
  readonly tombstones: number;
  /** Reads of it that are under way. */
  readonly readers: number;
  /** Files whose tombstone stands here and that are not gone yet. */
  readonly removals: number;
}

type Row = { -readonly [Field in keyof SegmentRow]: SegmentRow[Field] };

/** Ordinals are 24 bits of an index entry. */
const ordinalsMax = 2 ** 24;

export class SegmentTable {
  readonly #rows: (Row | undefined)[] = [];
  readonly #freeOrdinals: number[] = [];
  /** By id, rising. */
  readonly #streams: Readonly<Record<StreamName, Map<number, Row>>> = { blob: new Map(), value: new Map(), touch: new Map() };
  /** Added last, by stream. */
  readonly #lastIds: Record<StreamName, number> = { blob: -1, value: -1, touch: -1 };
  /** Bytes of whole segments, by stream. */
  readonly #bytes: Record<StreamName, number> = { blob: 0, value: 0, touch: 0 };
  readonly #liveBytes: Record<StreamName, number> = { blob: 0, value: 0, touch: 0 };
  readonly #waiting = new Map<Row, PromiseWithResolvers<void>>();
  #nextId = 0;

  add(segment: NewSegment): SegmentRow {
    const { id, stream, nonce, segmentBytes, begunS, state, endOffset, records, sealSequence } = segment;
    const rows = this.#streams[stream];
    assert(this.#lastIds[stream] < id, 'segments of a stream come in the order of their ids');
    this.#lastIds[stream] = id;
    assert(endOffset >= segmentHeaderBytes && endOffset <= segmentBytes, 'records stand behind the first block');
    const ordinal = this.#freeOrdinals.pop() ?? this.#rows.length;
    assert(ordinal < ordinalsMax, 'there are no more segments than an index entry can name');
    const row: Row = {
      ordinal, id, stream, nonce, nonceCrc: nonceCrc(nonce), segmentBytes, begunS, state, endOffset, records, sealSequence,
      hasFailed: false, durableOffset: endOffset, youngestUseS: 0, liveBytes: 0, liveCount: 0, tombstones: 0, readers: 0, removals: 0,
    };
    this.#rows[ordinal] = row;
    rows.set(id, row);
    this.#bytes[stream] += segmentBytes;
    this.#nextId = Math.max(this.#nextId, id + 1);
    return row;
  }

  /** Of all streams. */
  get count(): number {
    return this.#rows.length - this.#freeOrdinals.length;
  }

  /** The segment must be there. */
  at(ordinal: number): SegmentRow {
    return this.#row(ordinal);
  }

  /** Of one stream, oldest first. Do not add or release meanwhile. */
  of(stream: StreamName): Iterable<SegmentRow> {
    return this.#streams[stream].values();
  }

  countOf(stream: StreamName): number {
    return this.#streams[stream].size;
  }

  /** Of whole segments. */
  bytesOf(stream: StreamName): number {
    return this.#bytes[stream];
  }

  liveBytesOf(stream: StreamName): number {
    return this.#liveBytes[stream];
  }

  oldest(stream: StreamName): SegmentRow | undefined {
    return this.#streams[stream].values().next().value;
  }

  /** The first of the stream that records come into, or will. */
  open(stream: StreamName): SegmentRow | undefined {
    return this.#streams[stream].values().find(({ state }) => state === 'open');
  }

  /** One in which nothing counts and that removes nothing, so that it may go out of its turn. Segments of touches never do. */
  dead(): SegmentRow | undefined {
    for (const stream of streamNames) {
      if (stream === 'touch') continue;
      const found = this.#streams[stream].values().find((row) => (row.state === 'sealed' || row.state === 'failed') && row.liveCount === 0 && row.tombstones === 0);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** For the next segment of any stream. Each is given once, whatever becomes of it. */
  takeId(): number {
    this.#nextId += 1;
    return this.#nextId - 1;
  }

  /** Ids below `id` are not given: they were seen in names or headers of what is no segment any more. */
  skipIds(id: number): void {
    this.#nextId = Math.max(this.#nextId, id);
  }

  /** Records of so many bytes in all count from now on: index entries name them, or their uploads run. */
  addLive(ordinal: number, bytes: number, count = 1): void {
    const row = this.#row(ordinal);
    row.liveBytes += bytes;
    row.liveCount += count;
    this.#liveBytes[row.stream] += bytes;
  }

  /** The same record does not count any more. */
  takeLive(ordinal: number, bytes: number): void {
    const row = this.#row(ordinal);
    assert(row.liveCount > 0 && row.liveBytes >= bytes, 'no more is taken from a segment than counted in it');
    row.liveBytes -= bytes;
    row.liveCount -= 1;
    this.#liveBytes[row.stream] -= bytes;
  }

  addTombstone(ordinal: number): void {
    this.#row(ordinal).tombstones += 1;
  }

  /** A read of the segment begins: its file stays as it is until `endRead`. */
  beginRead(ordinal: number): void {
    this.#row(ordinal).readers += 1;
  }

  endRead(ordinal: number): void {
    const row = this.#row(ordinal);
    assert(row.readers > 0, 'a read ends once');
    row.readers -= 1;
    this.#settle(row);
  }

  /** The segment has the tombstone of a file that is still there: it stays until `endRemoval`. */
  beginRemoval(ordinal: number): void {
    this.#row(ordinal).removals += 1;
  }

  endRemoval(ordinal: number): void {
    const row = this.#row(ordinal);
    assert(row.removals > 0, 'a removal ends once');
    row.removals -= 1;
    this.#settle(row);
  }

  /** Resolves when nobody reads the segment and nothing that it removes is left. For one caller at a time. */
  async whenUnused(ordinal: number): Promise<void> {
    const row = this.#row(ordinal);
    if (isUnused(row)) return;
    assert(!this.#waiting.has(row), 'a segment is given up once');
    const waiting = Promise.withResolvers<void>();
    this.#waiting.set(row, waiting);
    await waiting.promise;
  }

  /** Its name is gone from the directory, durably. Nothing may refer to it. */
  release(ordinal: number): void {
    const row = this.#row(ordinal);
    assert(row.liveCount === 0 && isUnused(row), 'a segment is released when nothing refers to it');
    this.#rows[ordinal] = undefined;
    this.#freeOrdinals.push(ordinal);
    this.#streams[row.stream].delete(row.id);
    this.#bytes[row.stream] -= row.segmentBytes;
  }

  #settle(row: Row): void {
    if (!isUnused(row)) return;
    this.#waiting.get(row)?.resolve();
    this.#waiting.delete(row);
  }

  #row(ordinal: number): Row {
    const row = this.#rows[ordinal];
    assert(row !== undefined, 'the segment is in the table');
    return row;
  }
}

function isUnused(row: SegmentRow): boolean {
  return row.readers === 0 && row.removals === 0;
}
