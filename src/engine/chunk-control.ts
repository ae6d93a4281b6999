// What another thread needs besides the pages to search an index while it changes, in memory that threads have in common:
// which chunk a key belongs to, and for each chunk a sequence lock and what it consists of. Nobody reads it from another thread yet;
// it is laid out so that one day somebody can, by this protocol:
//   1. the chunk's number from the directory; its row; version: odd is being changed, begin again
//   2. depth and prefix must be those of the key, or the chunk was split since the directory was read: begin again
//   3. search its pages, copy what is found
//   4. the version must be the same as before, or what was read means nothing: begin again
// Pages that were given up are safe to read: whose they were has another version.
import { assert } from '../base/assert.ts';
import type { EntryChunk } from './entry-chunk.ts';

/** Seven are used. */
const rowWords = 8;
const blockBits = 9;
const blockRows = 1 << blockBits;
/** A million places, 4 MiB. Evenly mixed keys fill all chunks alike, so even 2^17 of them need 18 bits at most. */
export const directoryDepthMax = 20;

export class ChunkControl {
  /** Number of the chunk by the first `depth` bits of the table's mix. */
  directory = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  depth = 0;
  readonly #blocks: Int32Array[] = [];

  get allocatedBytes(): number {
    return this.directory.byteLength + this.#blocks.length * blockRows * rowWords * Int32Array.BYTES_PER_ELEMENT;
  }

  /** Even: at rest. Another one than before: slots of the chunk changed. */
  version(chunk: number): number {
    return Atomics.load(this.#block(chunk), rowAt(chunk));
  }

  /** Before the first word of a chunk changes. */
  begin(chunk: number): void {
    const before = Atomics.add(this.#block(chunk), rowAt(chunk), 1);
    assert((before & 1) === 0, 'a chunk is changed by one at a time');
  }

  /** After the last. */
  end(chunk: number): void {
    Atomics.add(this.#block(chunk), rowAt(chunk), 1);
  }

  /** What is told of a chunk: version, number of pages, their numbers (3 words), depth, prefix. */
  row(chunk: number): Int32Array {
    return this.#block(chunk).subarray(rowAt(chunk), rowAt(chunk) + rowWords);
  }

  /** Tells what the chunk consists of now; between `begin` and `end`, or before the directory leads to it. */
  describe(number: number, chunk: EntryChunk): void {
    this.row(number).set([chunk.pageNumbers.length, ...chunk.pageNumbers], 1);
    this.row(number).set([chunk.depth, chunk.prefix], 5);
  }

  /** Makes the directory lead to the chunk wherever its prefix says. */
  publish(number: number, chunk: EntryChunk): void {
    while (this.depth < chunk.depth) this.#double();
    const first = chunk.prefix << (this.depth - chunk.depth);
    this.directory.fill(number, first, first + (1 << (this.depth - chunk.depth)));
  }

  #double(): void {
    assert(this.depth < directoryDepthMax, 'keys of the index are spread evenly');
    const before = this.directory;
    const doubled = new Int32Array(new SharedArrayBuffer(before.byteLength * 2));
    for (let place = 0; place < doubled.length; place += 1) doubled[place] = before[place >> 1] ?? 0;
    this.directory = doubled;
    this.depth += 1;
  }

  #block(chunk: number): Int32Array {
    const number = chunk >> blockBits;
    if (number === this.#blocks.length) this.#blocks.push(new Int32Array(new SharedArrayBuffer(blockRows * rowWords * Int32Array.BYTES_PER_ELEMENT)));
    const block = this.#blocks[number];
    assert(block !== undefined, 'chunks are numbered without gaps');
    return block;
  }
}

function rowAt(chunk: number): number {
  return (chunk & (blockRows - 1)) * rowWords;
}
