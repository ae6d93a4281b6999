// What was received of a body and waits for its consumer: copies in order, since the views that are delivered belong to
// the transport. Small pieces share a buffer, or a peer that sends single bytes would make each cost a hundred.

/** From this size on a piece has a copy of its own, to which its object is nothing. */
const ownBytesMin = 1_024;
/** Shared buffers grow from piece to piece, so that one small piece costs little and many waste half at most. */
const sharedBytesMin = 128;
const sharedBytesMax = 16_384;

/** Not bounded by itself: who fills it gives the peer no more credit than may wait. */
export class ReceivedChunks {
  readonly #chunks: Uint8Array[] = [];
  #bytes = 0;
  /** The buffer being filled, and how far; what follows it is not in `#chunks` yet. */
  #shared: Uint8Array = new Uint8Array(0);
  #sharedBytes = 0;

  /** Octets that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Copies `bytes`. */
  push(bytes: Uint8Array): void {
    const count = bytes.length;
    this.#bytes += count;
    if (count > this.#shared.length - this.#sharedBytes) {
      const sharedBytes = this.#shared.length;
      this.#closeShared();
      if (count >= ownBytesMin) {
        this.#chunks.push(new Uint8Array(bytes));
        return;
      }
      this.#shared = new Uint8Array(Math.min(sharedBytesMax, Math.max(sharedBytesMin, 2 * sharedBytes, 2 * count)));
    }
    this.#shared.set(bytes, this.#sharedBytes);
    this.#sharedBytes += count;
  }

  /** The next chunk, never written again; undefined when nothing waits. */
  shift(): Uint8Array | undefined {
    if (this.#chunks.length === 0) this.#closeShared();
    const chunk = this.#chunks.shift();
    this.#bytes -= chunk?.length ?? 0;
    return chunk;
  }

  clear(): void {
    this.#chunks.length = 0;
    this.#bytes = 0;
    this.#sharedBytes = 0;
    this.#shared = new Uint8Array(0);
  }

  #closeShared(): void {
    if (this.#sharedBytes > 0) this.#chunks.push(this.#shared.subarray(0, this.#sharedBytes));
    this.#shared = new Uint8Array(0);
    this.#sharedBytes = 0;
  }
}
