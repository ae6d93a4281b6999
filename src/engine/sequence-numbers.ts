// The numbers that tell the order of records over all streams. Lost with the process and found again at start, where they
// go on above every number that anything on disk has.
import { assert } from '../base/assert.ts';

export class SequenceNumbers {
  #next: number;

  /** `first` is above every number in any header of a segment, record or hint. */
  constructor(first: number) {
    assert(Number.isSafeInteger(first) && first >= 0, 'sequence numbers are whole numbers below 2^53');
    this.#next = first;
  }

  /** Above all that were taken. */
  get next(): number {
    return this.#next;
  }

  take(): number {
    const taken = this.#next;
    assert(taken < Number.MAX_SAFE_INTEGER, 'sequence numbers are below 2^53');
    this.#next = taken + 1;
    return taken;
  }
}
