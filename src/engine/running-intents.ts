// The intents of uploads that run: their records count, and are moved on with what else counts, until the upload has a
// commit or has ended without a file. Otherwise nothing would tell a later start of a name that came to be without one.
import { assert } from '../base/assert.ts';
import type { Appended } from './append-request.ts';
import type { SegmentTable } from './segment-table.ts';

/** Where a record stands and what it takes there. */
export type RecordSpan = Pick<Appended, 'segment' | 'offset' | 'bytes'>;

/** As many as there are files open for writing. */
export class RunningIntents {
  readonly #segments: SegmentTable;
  /** By sequence number. */
  readonly #places = new Map<number, RecordSpan>();

  constructor(segments: SegmentTable) {
    this.#segments = segments;
  }

  /** The record is durable, and its upload goes on. */
  begin(intent: Appended): void {
    assert(!this.#places.has(intent.sequence), 'an intent begins once');
    this.#segments.addLive(intent.segment, intent.bytes);
    this.#places.set(intent.sequence, intent);
  }

  /** Whether the upload of the intent with this number runs. */
  isRunning(sequence: number): boolean {
    return this.#places.has(sequence);
  }

  /** Whether the record at that place is the one that counts, and not what it was copied from. */
  isAt(sequence: number, segment: number, offset: number): boolean {
    const place = this.#places.get(sequence);
    return place !== undefined && place.segment === segment && place.offset === offset;
  }

  /** A copy of its record is durable. False: the upload has ended meanwhile, and the copy does not count. */
  moved(sequence: number, to: RecordSpan): boolean {
    const from = this.#places.get(sequence);
    if (from === undefined) return false;
    this.#segments.takeLive(from.segment, from.bytes);
    this.#segments.addLive(to.segment, to.bytes);
    this.#places.set(sequence, to);
    return true;
  }

  /** The upload is over; nothing for one that never began. */
  end(sequence: number): void {
    const place = this.#places.get(sequence);
    if (place === undefined) return;
    this.#places.delete(sequence);
    this.#segments.takeLive(place.segment, place.bytes);
  }
}
