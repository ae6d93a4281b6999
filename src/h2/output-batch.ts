// What is to be written next, gathered so that one input event costs one write: small things are copied into a
// buffer, large bodies are passed on as they are. One write instead of one per frame is what makes the engine fast
// (1.0 against 9.0 us per small request, bench/unary).

import type { LentMemory } from '../base/reused-memory.ts';

/** Bodies up to this size are cheaper to copy than to pass to the kernel as a slice of their own. */
const copyBytesMax = 2_048;
/** Buffers grow with what a connection writes at once, so that thousands of idle connections hold little. */
const bufferBytesMin = 1_024;
const bufferBytesMax = 65_536;

/** Nothing fits into it. */
const noBuffer = Buffer.alloc(0);

/** Memory with slices on their way. */
interface HeldMemory {
  readonly memory: LentMemory;
  /** Of the last of them, in bytes that were ever gathered. */
  readonly end: number;
}

/** Bytes in order. Who takes batches says by `wrote` what of them has been written: then its memory may be used again. */
export class OutputBatch {
  #buffer: Buffer = noBuffer;
  /** `#buffer` up to `#start` belongs to earlier slices or batches, from there to `#end` is the slice being filled. */
  #start = 0;
  #end = 0;
  #slices: Uint8Array[] = [];
  #bytes = 0;
  /** Ever. */
  #takenBytes = 0;
  /** Slices stand in it that are not known to be written; in their order. */
  #lent: HeldMemory[] = [];

  /** Bytes gathered since the last `take`. */
  get bytes(): number {
    return this.#bytes;
  }

  /** What the buffer takes, in use or not. */
  get bufferBytes(): number {
    return this.#buffer.length;
  }

  /** Lets go of a buffer in which nothing stands; the next one begins small. What was taken keeps its memory. */
  release(): void {
    if (this.#bytes > 0) return;
    this.#buffer = noBuffer;
    this.#start = 0;
    this.#end = 0;
  }

  /** Where `reserve` of up to `count` bytes will give room: what is written there counts when it is reserved. */
  room(count: number): number {
    if (this.#buffer.length - this.#end < count) this.#grow(count);
    return this.#end;
  }

  /** Room for `count` bytes in one piece: write to `into` from the returned offset, all of them, at once. */
  reserve(count: number): number {
    const offset = this.room(count);
    this.#end += count;
    this.#bytes += count;
    return offset;
  }

  /** The buffer that `reserve` and `room` gave room in; another one after the next of them. */
  get into(): Buffer {
    return this.#buffer;
  }

  /** Large `bytes` are not copied and must not change until they are written. */
  append(bytes: Uint8Array): void {
    const count = bytes.length;
    if (count <= copyBytesMax) {
      const offset = this.reserve(count);
      this.#buffer.set(bytes, offset);
      return;
    }
    this.#closeSlice();
    this.#slices.push(bytes);
    this.#bytes += count;
  }

  /** All that stands in `memory` was appended: it goes back once that is written. */
  hold(memory: LentMemory): void {
    this.#lent.push({ memory, end: this.#takenBytes + this.#bytes });
  }

  /** The batch as slices in order; empty when there is nothing. The next batch begins. */
  take(): readonly Uint8Array[] {
    this.#closeSlice();
    const slices = this.#slices;
    if (slices.length > 0) this.#slices = [];
    this.#takenBytes += this.#bytes;
    this.#bytes = 0;
    return slices;
  }

  /**
   * All that was taken has been written but for the last `waitingBytes` of it. At 0 the buffer is used again from its beginning.
   * Lent memory does not wait for that: a connection that always has something on its way would keep what all its answers stood in.
   */
  wrote(waitingBytes: number): void {
    if (this.#lent.length > 0) this.#giveBack(this.#takenBytes - waitingBytes);
    if (waitingBytes > 0 || this.#bytes > 0) return;
    this.#start = 0;
    this.#end = 0;
  }

  /** What ends up to there. */
  #giveBack(writtenBytes: number): void {
    let count = 0;
    for (const { memory, end } of this.#lent) {
      if (end > writtenBytes) break;
      memory.giveBack();
      count += 1;
    }
    if (count > 0) this.#lent = this.#lent.slice(count);
  }

  #closeSlice(): void {
    if (this.#end === this.#start) return;
    this.#slices.push(new Uint8Array(this.#buffer.buffer, this.#buffer.byteOffset + this.#start, this.#end - this.#start));
    this.#start = this.#end;
  }

  #grow(count: number): void {
    this.#closeSlice();
    const doubled = Math.min(bufferBytesMax, Math.max(bufferBytesMin, 2 * this.#buffer.length));
    this.#buffer = Buffer.from(new ArrayBuffer(Math.max(doubled, count))); // not of the pool: it is kept
    this.#start = 0;
    this.#end = 0;
  }
}
