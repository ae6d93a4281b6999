// The body of one request between the stream that delivers it and the consumer that pulls it. What waits here is
// bounded by the stream's window, since credit is returned only for what was pulled, and counted in the budget.
import { HeldBytes } from '../base/byte-budget.ts';
import type { ByteBudget } from '../base/byte-budget.ts';
import { CacheError } from '../base/cache-error.ts';
import { ReceivedChunks } from './received-chunks.ts';
import type { ServerStream } from './stream.ts';

/**
 * open ── END_STREAM ──▶ ended
 *   │
 *   ├── reset, no memory ──▶ broken: the consumer gets `cancelled` or `unavailable`
 *   └── nobody reads any more ──▶ discarded: what comes is counted and dropped
 */
type BodyState = 'open' | 'ended' | 'broken' | 'discarded';

/** What may wait of one body, however little memory is left. */
const smallBytesMax = 64 * 1024;

/** One body; at most one consumer. */
export class RequestBody {
  readonly #stream: ServerStream;
  /** Of what was delivered. */
  readonly #chunks = new ReceivedChunks(); // bound: the stream's window
  readonly #budget: ByteBudget;
  readonly #held: HeldBytes;
  #brokenBy: CacheError | undefined;
  #state: BodyState = 'open';
  #wakeConsumer: (() => void) | undefined = undefined;
  /** Delivered after the body was broken, or dropped then: not returned as credit. */
  #unreadBytes = 0;
  #discardableBytes = 0;

  constructor(stream: ServerStream, budget: ByteBudget) {
    this.#stream = stream;
    this.#budget = budget;
    this.#held = new HeldBytes(budget);
  }

  /** The peer has sent all of it. */
  get ended(): boolean {
    return this.#state === 'ended';
  }

  /** The consumer waits for the peer. */
  get isAwaited(): boolean {
    return this.#wakeConsumer !== undefined;
  }

  push(bytes: Uint8Array): void {
    if (this.#state === 'discarded') {
      this.#drop(bytes.length);
      return;
    }
    if (this.#held.bytes > smallBytesMax && this.#budget.refusesGrowth) this.break(this.#budget.refusal());
    if (this.#state === 'broken') {
      this.#unreadBytes += bytes.length;
      return;
    }
    this.#held.set(this.#held.bytes + bytes.length);
    this.#chunks.push(bytes);
    this.#wake();
  }

  end(): void {
    if (this.#state === 'open' || this.#state === 'discarded') this.#state = 'ended';
    this.#wake();
  }

  /** What waits is dropped, and the consumer is told `reason`, or that the client is gone. */
  break(reason?: CacheError): void {
    if (this.#state === 'broken') return;
    this.#state = 'broken';
    this.#brokenBy = reason;
    this.#unreadBytes += this.#held.bytes;
    this.#clear();
    this.#wake();
  }

  /**
   * Nobody will read the rest. Up to `bytesMax` more are taken and dropped, then the stream is reset without an error,
   * which asks the client to stop sending and to take the answer all the same (RFC 9113 §8.1).
   */
  discard(bytesMax: number): void {
    if (this.#state === 'ended' && this.#held.bytes > 0) this.break();
    if (this.#state !== 'open' && this.#state !== 'broken') return;
    this.#state = 'discarded';
    this.#discardableBytes = bytesMax;
    const waiting = this.#unreadBytes + this.#held.bytes;
    this.#clear();
    this.#drop(waiting);
    this.#wake();
  }

  /** @throws CacheError `cancelled` when the stream was reset before its end, or what it was broken with. */
  async *read(): AsyncGenerator<Uint8Array, void, undefined> {
    for (;;) {
      const chunk = this.#chunks.shift();
      if (chunk !== undefined) {
        this.#held.set(this.#held.bytes - chunk.length);
        this.#stream.consumed(chunk.length);
        yield chunk;
      } else if (this.#state === 'ended') {
        return;
      } else if (this.#state !== 'open') {
        throw this.#brokenBy ?? new CacheError('cancelled', 'the client went away before its request was complete');
      } else {
        await new Promise<void>((resolve) => (this.#wakeConsumer = resolve));
      }
    }
  }

  #clear(): void {
    this.#chunks.clear();
    this.#held.set(0);
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
