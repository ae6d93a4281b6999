// Bytes that come in pieces, seen so that what begins in one piece and ends in the next is in one buffer.
import { assert } from '../base/assert.ts';

/** Copies only what the caller keeps of a piece, so large pieces are seen in place. Holds at most twice what is kept and the piece behind it. */
export class PieceWindow {
  /** What can be seen now: what was kept, then the latest piece. Both hold until the next `add`. */
  bytes: Buffer = Buffer.alloc(0);
  /** Offset of the first of `bytes` in all that was added. */
  offset: number;
  #carry = Buffer.alloc(0);
  #begin = 0;
  #end = 0;
  #isCarried = false;
  #keptFrom: number;
  #addedTo: number;

  /** @param offset of the first byte that will be added. */
  constructor(offset: number) {
    this.offset = offset;
    this.#keptFrom = offset;
    this.#addedTo = offset;
  }

  /** Shows `piece` behind what was kept. */
  add(piece: Buffer): void {
    this.#isCarried = this.#begin < this.#end;
    if (this.#isCarried) {
      this.#append(piece);
      this.offset = this.#keptFrom;
      this.bytes = this.#carry.subarray(this.#begin, this.#end);
    } else {
      this.offset = this.#addedTo;
      this.bytes = piece;
    }
    this.#addedTo += piece.byteLength;
  }

  /** Only what is at `offset` and behind is needed any more; it may lie behind all that was added. After each `add`, once. */
  keepFrom(offset: number): void {
    assert(offset >= this.offset, 'what was given up does not come back');
    const done = Math.min(offset - this.offset, this.bytes.byteLength);
    this.#keptFrom = offset;
    if (this.#isCarried) {
      this.#begin += done;
      return;
    }
    const rest = this.bytes.subarray(done);
    [this.#begin, this.#end] = [0, 0];
    this.#append(rest);
  }

  #append(piece: Buffer): void {
    const held = this.#end - this.#begin;
    if (this.#end + piece.byteLength > this.#carry.byteLength) {
      const needed = held + piece.byteLength;
      // Moved to the front only when that makes much room: with tiny pieces every byte would be moved each time.
      const target = needed * 2 <= this.#carry.byteLength ? this.#carry : Buffer.allocUnsafeSlow(needed * 2);
      this.#carry.copy(target, 0, this.#begin, this.#end);
      this.#carry = target;
      [this.#begin, this.#end] = [0, held];
    }
    piece.copy(this.#carry, this.#end);
    this.#end += piece.byteLength;
  }
}
