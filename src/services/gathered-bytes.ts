// Bytes that are pushed in small pieces, lent during a call, for somebody who pulls them in large ones. The one copy of an
// upload is made here: clients send messages of 16 KiB and frames of less, and each write to a file is a trip to a thread.
import type { MaybePromise } from '../base/maybe-promise.ts';
import { pieceMemory } from '../grpc/message-buffer.ts';

/** Of one chunk. Writes of more bring little, and each upload under way has one or two of them. */
export const chunkBytes = 64 * 1024;

/** Full ones that may wait for who pulls, beside the one that is filled and the one that is used. */
const readyChunksMax = 2;

/**
 * What was added is given out when its chunk is full, or when whoever pulls has nothing else to do and no more of the
 * same message is to come. So nothing waits for a client that rests, and what comes during a write is joined.
 */
export class GatheredBytes {
  readonly #onKept: (bytes: number) => void;
  #ready: Uint8Array[] = [];
  #filling: Uint8Array | undefined;
  #filledBytes = 0;
  /** Used by who pulls until it asks again. */
  #handedOut: Uint8Array | undefined;
  #isWhole = false;
  #ended = false;
  #failure: Error | undefined;
  #wake: (() => void) | undefined;
  /** Somebody waits until few enough are ready. */
  #room: PromiseWithResolvers<void> | undefined;

  /** `onKept` is told how much memory is held. */
  constructor(onKept: (bytes: number) => void) {
    this.#onKept = onKept;
  }

  /**
   * Copies `bytes`; `isWhole`: they end a message. A promise when there is enough for now: it resolves when more may be
   * added. What is added all the same is kept.
   */
  add(bytes: Uint8Array, isWhole: boolean): MaybePromise<void> {
    for (let at = 0; at < bytes.byteLength; ) at = this.#fill(bytes, at);
    this.#isWhole = isWhole;
    if (isWhole || this.#ready.length > 0) this.#wake?.();
    if (this.#ready.length < readyChunksMax) return undefined;
    this.#room ??= Promise.withResolvers();
    return this.#room.promise;
  }

  /** Nothing more comes. */
  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  /** Whoever pulls is told instead of anything else; not after the end. */
  fail(error: Error): void {
    if (this.#ended) return;
    this.#failure ??= error;
    this.#wake?.();
  }

  /** A chunk, to be used until the next call; undefined at the end. Never two calls at a time. */
  async next(): Promise<Uint8Array | undefined> {
    this.#release();
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      const chunk = this.#ready.shift() ?? this.#unfinished();
      if (chunk !== undefined) {
        this.#handedOut = chunk;
        this.#makeRoom();
        return chunk;
      }
      if (this.#ended) return undefined;
      await new Promise<void>((resolve) => (this.#wake = resolve));
      this.#wake = undefined;
    }
  }

  /** Nobody pulls any more; what was given out last may still be in use. */
  drop(): void {
    this.#handedOut = undefined;
    for (const chunk of this.#ready) pieceMemory.giveBack(chunk);
    if (this.#filling !== undefined) pieceMemory.giveBack(this.#filling);
    this.#ready = [];
    this.#filling = undefined;
    this.#count();
  }

  #fill(bytes: Uint8Array, at: number): number {
    if (this.#filling === undefined) {
      this.#filling = pieceMemory.take(chunkBytes);
      this.#filledBytes = 0;
      this.#count();
    }
    const end = Math.min(bytes.byteLength, at + chunkBytes - this.#filledBytes);
    this.#filling.set(at === 0 && end === bytes.byteLength ? bytes : bytes.subarray(at, end), this.#filledBytes);
    this.#filledBytes += end - at;
    if (this.#filledBytes === chunkBytes) {
      this.#ready.push(this.#filling);
      this.#filling = undefined;
    }
    return end;
  }

  /** Not for each chunk that is taken: a message that came as a whole is many. */
  #makeRoom(): void {
    if (this.#ready.length >= readyChunksMax) return;
    this.#room?.resolve();
    this.#room = undefined;
  }

  #unfinished(): Uint8Array | undefined {
    const chunk = this.#filling;
    if (chunk === undefined || !(this.#isWhole || this.#ended)) return undefined;
    this.#filling = undefined;
    return chunk.subarray(0, this.#filledBytes);
  }

  #release(): void {
    if (this.#handedOut === undefined) return;
    pieceMemory.giveBack(this.#handedOut);
    this.#handedOut = undefined;
    this.#count();
  }

  #count(): void {
    const chunks = this.#ready.length + (this.#filling === undefined ? 0 : 1) + (this.#handedOut === undefined ? 0 : 1);
    this.#onKept(chunks * chunkBytes);
  }
}
