// One call on its way: what of the request is still to be sent, and whether what has come is the right answer so far.

/** A prepared call. Many exchanges share one; nobody writes to it. */
export interface Call {
  /** HPACK block of the request's headers. */
  readonly headers: Uint8Array;
  /** DATA of the request, in order. */
  readonly request: readonly Uint8Array[];
  /** DATA of the right answer. */
  readonly answer: Buffer;
  /** Compare bytes, or only how many there are. */
  readonly compare: 'bytes' | 'length';
}

export class Exchange {
  readonly streamId: number;
  /** What the server takes on this stream; may be negative after it lowered its setting (RFC 9113 §6.9.2). */
  window: number;
  readonly #call: Call;
  readonly #done: () => void;
  #piece = 0;
  #pieceOffset = 0;
  #receivedBytes = 0;
  #unreportedBytes = 0;

  constructor(streamId: number, call: Call, window: number, done: () => void) {
    this.streamId = streamId;
    this.window = window;
    this.#call = call;
    this.#done = done;
  }

  /** Everything of the request was taken. */
  get sent(): boolean {
    return this.#piece >= this.#call.request.length;
  }

  /** The next bytes to send, at most `bytesMax` and what the stream's window allows; undefined when that is nothing. */
  take(bytesMax: number): Uint8Array[] | undefined {
    let room = Math.min(bytesMax, this.window);
    const taken: Uint8Array[] = [];
    while (room > 0) {
      const piece = this.#call.request[this.#piece];
      if (piece === undefined) break;
      const part = piece.subarray(this.#pieceOffset, this.#pieceOffset + room);
      taken.push(part);
      room -= part.byteLength;
      this.window -= part.byteLength;
      this.#pieceOffset += part.byteLength;
      if (this.#pieceOffset < piece.byteLength) break;
      this.#piece += 1;
      this.#pieceOffset = 0;
    }
    return taken.length === 0 ? undefined : taken;
  }

  /** Takes DATA of the answer. Gives the window to hand back, once it is at least `reportBytes`. @throws Error when it is wrong. */
  receive(data: Buffer, reportBytes: number): number {
    const { answer, compare } = this.#call;
    const end = this.#receivedBytes + data.length;
    if (end > answer.length || (compare === 'bytes' && data.compare(answer, this.#receivedBytes, end) !== 0)) {
      throw new Error(`a wrong answer: ${data.subarray(0, 100).toString('hex')} at byte ${this.#receivedBytes} of ${answer.length}`);
    }
    this.#receivedBytes = end;
    this.#unreportedBytes += data.length;
    if (this.#unreportedBytes < reportBytes) return 0;
    const credit = this.#unreportedBytes;
    this.#unreportedBytes = 0;
    return credit;
  }

  /** The answer is complete. @throws Error when something is missing. */
  finish(): void {
    if (!this.sent) throw new Error('the server answered before it had the whole request');
    if (this.#receivedBytes !== this.#call.answer.length) throw new Error(`an answer of ${this.#receivedBytes} bytes where ${this.#call.answer.length} were right`);
    this.#done();
  }
}
