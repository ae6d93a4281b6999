// Copies of what the transport lends piece by piece, for later. Who sends a byte per frame must not make an object of each:
// that takes a hundred times the memory that is counted for it.

/** Shared by pieces that are smaller; so at most half of what is kept is room that was not used. */
const blockBytes = 2_048;

/** Bytes in order, taken from the front. Whoever looks at a piece is done with it before the next call. */
export class KeptPieces implements Iterable<Uint8Array> {
  readonly #pieces: Uint8Array[];
  /** Behind the last piece, in its block. */
  #roomBytes = 0;

  /** `beginning` becomes a part of it as it is. */
  constructor(beginning?: Uint8Array) {
    this.#pieces = beginning === undefined ? [] : [beginning];
  }

  /** Undefined when nothing is kept. */
  get first(): Uint8Array | undefined {
    return this.#pieces[0];
  }

  [Symbol.iterator](): Iterator<Uint8Array> {
    return this.#pieces.values();
  }

  /** Copies `bytes` behind what is there. */
  add(bytes: Uint8Array): void {
    const last = this.#pieces.at(-1);
    if (last !== undefined && bytes.byteLength <= this.#roomBytes) {
      const both = new Uint8Array(last.buffer, last.byteOffset, last.byteLength + bytes.byteLength);
      both.set(bytes, last.byteLength);
      this.#pieces[this.#pieces.length - 1] = both;
      this.#roomBytes -= bytes.byteLength;
      return;
    }
    const block = new Uint8Array(Math.max(blockBytes, bytes.byteLength));
    block.set(bytes);
    this.#pieces.push(block.subarray(0, bytes.byteLength));
    this.#roomBytes = block.byteLength - bytes.byteLength;
  }

  /** The first piece is needed no more up to there. */
  take(bytes: number): void {
    const first = this.#pieces[0];
    if (first === undefined || bytes >= first.byteLength) this.#pieces.shift();
    else if (bytes > 0) this.#pieces[0] = first.subarray(bytes);
  }
}
