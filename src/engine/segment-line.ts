// The segments of one stream that records go into: the one that is written, those that are next, and the asking for more
// before they are needed. A record that was claimed always finds a place, whatever the order in which claims are used.
import { assert } from '../base/assert.ts';
import type { ClaimedRoom } from './log-claims.ts';
import { recordAlignment } from './record-codec.ts';
import type { StreamName } from './segment-format.ts';
import type { Asker, BegunSegment, SegmentSupply } from './segment-supply.ts';
import type { SegmentRow } from './segment-table.ts';
import type { SegmentWriter } from './segment-writer.ts';

export interface SegmentLineParts {
  readonly stream: StreamName;
  readonly supply: Pick<SegmentSupply, 'next' | 'hasReserve' | 'segmentBytes'>;
  /** `isReserved`: begun for those who make room. */
  readonly writerOf: (begun: BegunSegment, isReserved: boolean) => SegmentWriter;
  /** Ends the waiting for segments. */
  readonly signal: AbortSignal;
}

/** The next segment is asked for when less than this share of one is free: time enough to make one, and to make room for it. */
const aheadShare = 1 / 2;

export class SegmentLine {
  readonly #parts: SegmentLineParts;
  /** In the order of their ids. The first is written; those behind it have records that wait, or none. */
  readonly #segments: SegmentWriter[] = [];
  /** Where the next record goes if it fits. Behind the last one: there is none yet. */
  #tail = 0;
  readonly #asked = new Map<Asker, { readonly here: Promise<void>; readonly urgent: AbortController }>();
  #lastFailed: SegmentRow | undefined;

  constructor(parts: SegmentLineParts) {
    this.#parts = parts;
  }

  get first(): SegmentWriter | undefined {
    return this.#segments[0];
  }

  get tail(): SegmentWriter | undefined {
    return this.#segments[this.#tail];
  }

  /** No record will get a place in the first segment any more. */
  get isFirstOver(): boolean {
    return this.#tail > 0;
  }

  isAsking(who: Asker): boolean {
    return this.#asked.has(who);
  }

  get lastFailed(): SegmentRow | undefined {
    return this.#lastFailed;
  }

  /** The segment of the next record. There is room for it: it was claimed. */
  tailFor(bytes: number): SegmentWriter {
    let tail = this.tail;
    while (tail !== undefined && tail.roomBytes < bytes) {
      this.#tail += 1;
      tail = this.tail;
    }
    assert(tail !== undefined, 'what was claimed has a place');
    return tail;
  }

  /** Whether claims of that much find their places, however they are cut into records. */
  fits({ bytes, largestBytes }: ClaimedRoom, who: Asker): boolean {
    const { tail } = this;
    if (tail !== undefined && bytes <= tail.roomBytes && this.#isOpenTo(who, tail)) return true; // as nearly always
    return roomIn(this.#openTo(who, this.#tail), largestBytes) >= bytes;
  }

  /** As `fits`, if the tail were over. */
  fitsBehindTail({ bytes, largestBytes }: ClaimedRoom): boolean {
    return roomIn(this.#openTo('internal', this.#tail + 1), largestBytes) >= bytes;
  }

  /** Whether the next segment should be there soon. */
  isShort(claimedBytes: number): boolean {
    if (this.tail === undefined) return false; // who has never come, or just failed, comes again
    let free = -claimedBytes;
    for (const { roomBytes } of this.#segments.slice(this.#tail)) free += roomBytes;
    return free < this.#parts.supply.segmentBytes * aheadShare;
  }

  /** What comes goes behind the tail. */
  moveOn(): void {
    assert(this.tail !== undefined, 'only a segment that is there is over');
    this.#tail += 1;
  }

  /** The first is sealed, or failed when no more records were to come. */
  dropFirst(): void {
    assert(this.#tail > 0, 'a segment that records go into stays');
    this.#segments.shift();
    this.#tail -= 1;
  }

  /** The first has failed: what has places behind it and is not written will not come. */
  dropFailed(): void {
    this.#lastFailed = this.#segments.shift()?.row;
    this.#tail = 0;
    for (const segment of this.#segments) segment.clear();
  }

  /** All that have no records, behind the one that is written; they are its caller's now. */
  takeEmpty(): readonly SegmentWriter[] {
    const from = this.#segments.findIndex(({ row }) => row.records === 0);
    if (from === -1) return [];
    this.#tail = Math.min(this.#tail, from);
    return this.#segments.splice(from);
  }

  /** Asks for a segment; one at a time for each asker. Resolves when it is here. @throws as SegmentSupply.next */
  ask(who: Asker): Promise<void> {
    const known = this.#asked.get(who);
    if (known !== undefined) return known.here;
    const urgent = new AbortController();
    if (who === 'internal') urgent.abort(); // others wait for them
    // Later, so that it is known to be asked for when the supply tells of a change within the call.
    const here = Promise.resolve()
      .then(() => this.#ask(who, urgent.signal))
      .finally(() => this.#asked.delete(who));
    this.#asked.set(who, { here, urgent });
    return here;
  }

  /** Somebody waits for what was asked for. */
  hurry(who: Asker): void {
    this.#asked.get(who)?.urgent.abort();
  }

  /** Resolves when nothing is being asked for. */
  async idle(): Promise<void> {
    while (this.#asked.size > 0) await Promise.allSettled([...this.#asked.values()].map(({ here }) => here));
  }

  async #ask(who: Asker, urgent: AbortSignal): Promise<void> {
    const { stream, supply, writerOf, signal } = this.#parts;
    const segment = writerOf(await supply.next(stream, who, { signal, urgent }), who === 'internal');
    const last = this.#segments.at(-1);
    assert(last === undefined || last.row.id < segment.row.id, 'segments come in the order of their ids');
    if (who === 'external' && !supply.hasReserve) this.#keepInstead(segment);
    this.#segments.push(segment);
  }

  /** Where those who make room have a segment to themselves, they get this one for it: what others wait for is in front of it. */
  #keepInstead(segment: SegmentWriter): void {
    for (const before of this.#segments) {
      segment.isReserved ||= before.isReserved;
      before.isReserved = false;
    }
  }

  /** Free bytes of the segments from there on, in order, as far as they are for that asker. */
  #openTo(who: Asker, from: number): readonly number[] {
    const rooms: number[] = [];
    for (const segment of this.#segments.slice(from)) {
      if (!this.#isOpenTo(who, segment)) break;
      rooms.push(segment.roomBytes);
    }
    return rooms;
  }

  #isOpenTo(who: Asker, { isReserved }: SegmentWriter): boolean {
    return !isReserved || who === 'internal' || this.#parts.supply.hasReserve;
  }
}

/**
 * So many bytes of records find a place in segments with such room, one behind the other, in any order: each segment but the
 * last is left when a record does not fit, so less than one record of it stays empty.
 */
export function roomIn(rooms: readonly number[], largestBytes: number): number {
  let before = 0;
  let most = 0;
  for (const room of rooms) {
    most = Math.max(most, before + room);
    before += Math.max(0, room - largestBytes + recordAlignment);
  }
  return most;
}
