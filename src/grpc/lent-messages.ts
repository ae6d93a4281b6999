// Hands on the messages of a stream while the transport's input is at hand, instead of keeping them: nothing is copied
// but what a piece of input cuts in two, and of a large message whose codec can do so not even that.
import type { ByteBudget } from '../base/byte-budget.ts';
import { isPromise } from '../base/maybe-promise.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import type { MessageInParts, PartsCodec } from '../proto/message-codec.ts';
import { pieceMemory } from './message-buffer.ts';
import { CompressedMessage, plainLengthAt, prefixBytes, smallBytesMax } from './message-reader.ts';
import type { MessageReader, ReceivedMessage } from './message-reader.ts';

/** What the lending of one stream needs. */
export interface LendingOptions {
  /** Of the same stream: for what has to be put together. */
  readonly reader: MessageReader;
  readonly messageBytesMax: number;
  readonly budget: ByteBudget;
  /** Of messages that can be handed on in parts. */
  readonly parts: PartsCodec<unknown> | undefined;
  /** @throws CacheError when it is not a message of the method. */
  decode(bytes: Uint8Array): unknown;
  /** @throws as `MessageInflater.inflate`. */
  inflate(message: CompressedMessage): Promise<Uint8Array>;
  /** Uses a message, or a part of one, during the call only. By a promise it asks for a pause. */
  visit(message: unknown): MaybePromise<void>;
  /** The pause is over. */
  onReady(): void;
  /** `decode` or `visit` threw, or the pause ended so. Nothing is visited any more. */
  onFailure(error: unknown): void;
}

/**
 *   between messages ── all of it at hand ──────────────▶ visited ──▶ between messages
 *        ├── its codec can give parts of it ──▶ inside ── each piece is visited, to its last byte ──▶ between messages
 *        └── neither ──▶ put together by the reader ──▶ visited ──▶ between messages
 */
export class Lending {
  readonly #options: LendingOptions;
  /** The message that is handed on in parts. */
  #parts: MessageInParts<unknown> | undefined;
  #partsLeftBytes = 0;
  #paused = false;
  #over = false;

  constructor(options: LendingOptions) {
    this.#options = options;
  }

  /** Nothing more is taken for now. */
  get isPaused(): boolean {
    return this.#paused;
  }

  /** A message has begun that comes in parts, and has not ended. */
  get isInside(): boolean {
    return this.#parts !== undefined;
  }

  /**
   * Visits what is in `piece` from `offset`, and returns where it stopped: at its end, or at a pause.
   * @throws StatusError as `MessageReader.read`; CacheError `unavailable` when there is no memory for large messages.
   */
  read(piece: Uint8Array, offset: number): number {
    let at = offset;
    while (at < piece.byteLength && !this.#paused) {
      if (this.#over) return piece.byteLength;
      at = this.#parts === undefined ? this.#readMessage(piece, at) : this.#readPart(this.#parts, piece, at);
    }
    return at;
  }

  /** Visits a message that had been put together. */
  visitWhole(message: ReceivedMessage): void {
    if (message instanceof CompressedMessage) {
      if (!this.#over) this.#pauseUntil(this.#visitInflated(message));
      return;
    }
    this.#visit(message);
    pieceMemory.giveBack(message);
  }

  #readMessage(piece: Uint8Array, at: number): number {
    const { reader, budget, parts, messageBytesMax } = this.#options;
    const length = reader.pendingBytes === 0 ? plainLengthAt(piece, at) : -1;
    if (length >= 0 && length <= messageBytesMax) {
      const from = at + prefixBytes;
      const end = from + length;
      if (end <= piece.byteLength) {
        this.#visit(piece.subarray(from, end));
        return end;
      }
      if (length > smallBytesMax && budget.refusesGrowth) throw budget.refusal();
      this.#parts = parts?.begin(piece.subarray(from), length);
      if (this.#parts !== undefined) {
        this.#partsLeftBytes = length - this.#parts.contentAt;
        return from + this.#parts.contentAt;
      }
    }
    const next = reader.read(piece, at);
    const message = reader.take();
    if (message !== undefined) this.visitWhole(message);
    return next;
  }

  #readPart(parts: MessageInParts<unknown>, piece: Uint8Array, at: number): number {
    const end = Math.min(piece.byteLength, at + this.#partsLeftBytes);
    this.#partsLeftBytes -= end - at;
    const isLast = this.#partsLeftBytes === 0;
    if (isLast) this.#parts = undefined;
    try {
      this.#heed(this.#options.visit(parts.part(piece.subarray(at, end), isLast)));
    } catch (error) {
      this.#fail(error);
    }
    return end;
  }

  async #visitInflated(message: CompressedMessage): Promise<void> {
    const bytes = await this.#options.inflate(message);
    if (!this.#over) await this.#options.visit(this.#options.decode(bytes));
  }

  #visit(bytes: Uint8Array): void {
    if (this.#over) return;
    try {
      this.#heed(this.#options.visit(this.#options.decode(bytes)));
    } catch (error) {
      this.#fail(error);
    }
  }

  #heed(pause: MaybePromise<void>): void {
    if (isPromise(pause)) this.#pauseUntil(pause);
  }

  #pauseUntil(ready: Promise<void>): void {
    this.#paused = true;
    const goOn = () => {
      this.#paused = false;
      if (!this.#over) this.#options.onReady();
    };
    ready.then(goOn).catch((error: unknown) => this.#fail(error)); // what `onReady` throws ends the call as well
  }

  #fail(error: unknown): void {
    this.#over = true;
    this.#options.onFailure(error);
  }
}
