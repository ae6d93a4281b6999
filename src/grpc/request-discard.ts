// What becomes of a request that goes on after its call was answered. gRPC suggests RST_STREAM at once, but
// clients report that as an error although they have their answer (REAPI BS-14): so it is read and dropped first.
import type { Timers } from '../base/clock.ts';
import type { ServerStream } from '../h2/stream.ts';
import type { GrpcLimits } from './limits.ts';

/** RFC 9113 §8.1: asks the peer to stop sending, without an error. */
const noError = 0;

/** Drops what comes, within a bound of bytes and of time; beyond it the stream is reset. */
export class RequestDiscard {
  readonly #stream: ServerStream;
  readonly #timer: Disposable;
  #bytesLeft: number;

  constructor(stream: ServerStream, limits: GrpcLimits, timers: Timers) {
    this.#stream = stream;
    this.#bytesLeft = limits.discardBytesMax;
    this.#timer = timers.after(limits.discardMs, () => stream.reset(noError));
  }

  drop(bytes: number): void {
    this.#bytesLeft -= bytes;
    this.#stream.consumed(bytes);
    if (this.#bytesLeft >= 0) return;
    this.end();
    this.#stream.reset(noError);
  }

  /** The request is over, or the stream is. */
  end(): void {
    this.#timer[Symbol.dispose]();
  }
}
