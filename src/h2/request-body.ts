// The body of one request between the stream that delivers it and the consumer that pulls it. What waits here is
// bounded by the stream's window, since credit is returned only for what was pulled.
import { CacheError } from '../base/cache-error.ts';
import type { ServerStream } from './stream.ts';

/**
 * open ── END_STREAM ──▶ ended
 *   │
 *   ├── reset ──▶ broken: the consumer gets `cancelled`
 *   └── nobody reads any more ──▶ discarded: what comes is counted and dropped
 */
type BodyState = 'open' | 'ended' | 'broken' | 'discarded';

/** One body; at most one consumer. */
export class RequestBody {
  readonly #stream: ServerStream;
  /** Copies of what was delivered. */
  readonly #chunks: Uint8Array[] = [];
  #state: BodyState = 'open';
  #wakeConsumer: (() => void) | undefined = undefined;
  #discardableBytes = 0;

  constructor(stream: ServerStream) {
    this.#stream = stream;
  }

  /** The peer has sent all of it. */
  get ended(): boolean {
    return this.#state === 'ended';
  }

  push(bytes: Uint8Array): void {
    if (this.#state === 'discarded') {
      this.#drop(bytes.length);
      return;
    }
    this.#chunks.push(new Uint8Array(bytes)); // the view is the transport's buffer
    this.#wake();
  }

  end(): void {
    if (this.#state === 'open' || this.#state === 'discarded') this.#state = 'ended';
    this.#wake();
  }

  break(): void {
    this.#state = 'broken';
    this.#chunks.length = 0;
    this.#wake();
  }

  /**
   * Nobody will read the rest. Up to `bytesMax` more are taken and dropped, then the stream is reset without an error,
   * which asks the client to stop sending and to take the answer all the same (RFC 9113 §8.1).
   */
  discard(bytesMax: number): void {
    if (this.#state !== 'open') return;
    this.#state = 'discarded';
    this.#discardableBytes = bytesMax;
    const waiting = this.#chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    this.#chunks.length = 0;
    this.#drop(waiting);
    this.#wake();
  }

  /** @throws CacheError `cancelled` when the stream was reset before its end. */
  async *read(): AsyncGenerator<Uint8Array, void, undefined> {
    for (;;) {
      const chunk = this.#chunks.shift();
      if (chunk !== undefined) {
        this.#stream.consumed(chunk.length);
        yield chunk;
      } else if (this.#state === 'ended') {
        return;
      } else if (this.#state !== 'open') {
        throw new CacheError('cancelled', 'the client went away before its request was complete');
      } else {
        await new Promise<void>((resolve) => (this.#wakeConsumer = resolve));
      }
    }
  }

  #wake(): void {
    const wake = this.#wakeConsumer;
    this.#wakeConsumer = undefined;
    wake?.();
  }

  #drop(bytes: number): void {
    this.#discardableBytes -= bytes;
    if (this.#discardableBytes < 0) this.#stream.reset(0); // NO_ERROR
    else this.#stream.consumed(bytes);
  }
}
