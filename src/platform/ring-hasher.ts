// One body on its way to a thread that hashes: a ring of pieces, filled here and read there.
//
//   free ── being filled ── sent (full, or the last of the body) ── read ──▶ free
import { assert } from '../base/assert.ts';
import { CacheError } from '../base/cache-error.ts';
import type { BodyHasher } from '../base/log-files.ts';
import type { ToHashThread } from './hash-messages.ts';

/** Large enough that a message per piece is a small part of the work, small enough that four keep a thread busy. */
const pieceBytes = 262_144;
const pieces = 4;

export class RingHasher implements BodyHasher {
  static readonly ringBytes: number = pieces * pieceBytes;

  readonly ring: SharedArrayBuffer;
  readonly #bytes: Uint8Array;
  readonly #id: number;
  readonly #send: (message: ToHashThread) => void;
  /** Of the piece that is being filled. */
  #filledBytes = 0;
  #piece = 0;
  /** Sent and not read yet. The piece that is being filled is one of the others. */
  #unread = 0;
  /** Of an update that waits for a piece to be read, or of the hash. */
  #waiter: PromiseWithResolvers<string | undefined> | undefined;
  #state: 'taking' | 'ending' | 'over' = 'taking';
  #failure: CacheError | undefined;

  /** `send` to the thread that has been told of `ring` under `id`; what it answers comes by `onRead`, `onEnded` or `fail`. */
  constructor(id: number, ring: SharedArrayBuffer, send: (message: ToHashThread) => void) {
    this.ring = ring;
    this.#bytes = new Uint8Array(ring);
    this.#id = id;
    this.#send = send;
  }

  update(bytes: Uint8Array): Promise<void> | undefined {
    assert(this.#state === 'taking' && this.#waiter === undefined, 'updates come one after the other, before the end');
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const taken = this.#copy(bytes, 0);
    return taken === bytes.byteLength ? undefined : this.#copyRest(bytes, taken);
  }

  async hex(): Promise<string> {
    assert(this.#state === 'taking' && this.#waiter === undefined, 'the hash is asked for once, after the last update');
    if (this.#failure !== undefined) throw this.#failure;
    this.#state = 'ending';
    if (this.#filledBytes > 0) this.#sendPiece();
    this.#send({ kind: 'end', id: this.#id });
    const hex = await this.#wait();
    assert(hex !== undefined, 'a thread gives the hash at the end');
    return hex;
  }

  /** The ring is lent until the thread has seen this. Whoever still waits is told. */
  [Symbol.dispose](): void {
    if (this.#state === 'taking' && this.#failure === undefined) this.#send({ kind: 'drop', id: this.#id });
    this.#state = 'over';
    this.#settle(givenUp());
  }

  /** The oldest piece that was sent has been read. */
  onRead(): void {
    this.#unread -= 1;
    if (this.#state === 'taking') this.#settle(undefined);
  }

  /** Nothing of the ring is looked at any more. */
  onEnded(hex: string | undefined): void {
    this.#state = 'over';
    this.#settle(hex);
  }

  fail(failure: CacheError): void {
    this.#failure = failure;
    this.#settle(failure);
  }

  /** As many of `bytes` from `from` as there is room for; gives where it stopped. */
  #copy(bytes: Uint8Array, from: number): number {
    let at = from;
    while (at < bytes.byteLength && this.#unread < pieces) {
      const count = Math.min(bytes.byteLength - at, pieceBytes - this.#filledBytes);
      this.#bytes.set(bytes.subarray(at, at + count), this.#piece * pieceBytes + this.#filledBytes);
      at += count;
      this.#filledBytes += count;
      if (this.#filledBytes === pieceBytes) this.#sendPiece();
    }
    return at;
  }

  async #copyRest(bytes: Uint8Array, from: number): Promise<void> {
    for (let at = from; at < bytes.byteLength; at = this.#copy(bytes, at)) {
      await this.#wait();
      // Both may have come to pass between the end of the wait and here.
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#state === 'over') throw givenUp();
    }
  }

  #sendPiece(): void {
    this.#send({ kind: 'piece', id: this.#id, offset: this.#piece * pieceBytes, sizeBytes: this.#filledBytes });
    this.#piece = (this.#piece + 1) % pieces;
    this.#filledBytes = 0;
    this.#unread += 1;
  }

  #wait(): Promise<string | undefined> {
    this.#waiter = Promise.withResolvers();
    return this.#waiter.promise;
  }

  #settle(outcome: string | CacheError | undefined): void {
    const waiter = this.#waiter;
    this.#waiter = undefined;
    if (outcome instanceof CacheError) waiter?.reject(outcome);
    else waiter?.resolve(outcome);
  }
}

function givenUp(): CacheError {
  return new CacheError('cancelled', 'the upload was given up');
}
