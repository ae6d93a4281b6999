// What one call sends, in a form that can be sent again.
import { assert } from '../base/assert.ts';
import { HeldBytes } from '../base/byte-budget.ts';
import type { ByteBudget } from '../base/byte-budget.ts';
import type { RequestRoom } from './request-room.ts';

/** Framed messages, one after the other. */
export interface GrpcRequests {
  /** Everything from the first message on can be had again. */
  readonly isReplayable: boolean;
  /** The only message, when that is known without waiting. */
  readonly only: readonly Uint8Array[] | undefined;
  /** The call begins. @throws GrpcError `busy` when there is no room for what it has to keep. */
  begin(): void;
  /** The message with that number, from 0 on; undefined behind the last. In order, again from 0 only while replayable. @throws what the source throws. */
  at(index: number): Promise<readonly Uint8Array[] | undefined>;
  /** Nothing will be sent again. */
  commit(): void;
  /** Nothing more is wanted. */
  end(): void;
}

/** One message. */
export class OnlyRequest implements GrpcRequests {
  readonly isReplayable = true;
  readonly #room: RequestRoom;
  #message: readonly Uint8Array[];
  #heldBytes = 0;

  constructor(message: readonly Uint8Array[], room: RequestRoom) {
    this.#message = message;
    this.#room = room;
  }

  get only(): readonly Uint8Array[] {
    return this.#message;
  }

  begin(): void {
    const bytes = byteLengthOf(this.#message);
    this.#room.enter(bytes);
    this.#heldBytes = bytes;
  }

  async at(index: number): Promise<readonly Uint8Array[] | undefined> {
    return index === 0 ? this.#message : undefined;
  }

  commit(): void {
    this.end();
  }

  end(): void {
    this.#message = [];
    this.#room.leave(this.#heldBytes);
    this.#heldBytes = 0;
  }
}

/**
 * Messages of a source that is pulled. What was taken is kept until it cannot be needed again:
 *
 *   keeping ── committed, more than `keptBytesMax`, or memory is short ──▶ passing on: what has been given out is forgotten
 *
 * A source that can be opened anew is replayable past the bound too. A try that failed may have left a step of the source
 * under way: its message is kept for the next try.
 */
export class RequestStream<T> implements GrpcRequests {
  readonly only = undefined;
  readonly #open: () => AsyncIterable<T>;
  readonly #encode: (message: T) => readonly Uint8Array[];
  readonly #keptBytesMax: number;
  readonly #canReopen: boolean;
  #source: AsyncIterator<T> | undefined;
  /** Messages from number `#keptFrom` on, as far as they were taken. */
  #kept: (readonly Uint8Array[])[] = [];
  #keptFrom = 0;
  /** In `#kept`. */
  readonly #held: HeldBytes;
  readonly #budget: ByteBudget;
  #keeping = true;
  #committed = false;
  /** Messages below this were asked for by the present try. */
  #asked = 0;
  #step: Promise<readonly Uint8Array[] | undefined> | undefined;
  #finished = false;
  #ended = false;

  /** A function opens the source anew whenever it is called. */
  constructor(source: AsyncIterable<T> | (() => AsyncIterable<T>), encode: (message: T) => readonly Uint8Array[], keptBytesMax: number, budget: ByteBudget) {
    this.#canReopen = typeof source === 'function';
    this.#open = typeof source === 'function' ? source : () => source;
    this.#encode = encode;
    this.#keptBytesMax = keptBytesMax;
    this.#budget = budget;
    this.#held = new HeldBytes(budget);
  }

  /** Nothing is taken from the source before a try asks for it. */
  begin(): void {}

  get isReplayable(): boolean {
    return !this.#committed && (this.#keptFrom === 0 || this.#canReopen);
  }

  async at(index: number): Promise<readonly Uint8Array[] | undefined> {
    if (index === 0 && this.#keptFrom > 0) this.#reopen();
    this.#asked = index + 1;
    const kept = this.#kept[index - this.#keptFrom];
    if (kept !== undefined) {
      if (!this.#keeping) this.#forget();
      return kept;
    }
    return this.#finished ? undefined : (this.#step ??= this.#pull());
  }

  commit(): void {
    this.#committed = true;
    this.#keeping = false;
    this.#forget();
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#drop();
    this.#close();
  }

  async #pull(): Promise<readonly Uint8Array[] | undefined> {
    const source = (this.#source ??= this.#open()[Symbol.asyncIterator]());
    const next = await source.next();
    if (source !== this.#source) return undefined; // opened anew meanwhile: whoever asked is gone
    this.#step = undefined;
    if (next.done === true) {
      this.#finished = true;
      return undefined;
    }
    const message = this.#encode(next.value);
    this.#keep(message);
    return message;
  }

  #keep(message: readonly Uint8Array[]): void {
    if (this.#ended) return;
    this.#kept.push(message);
    this.#held.set(this.#held.bytes + byteLengthOf(message));
    if (this.#held.bytes > this.#keptBytesMax || this.#budget.refusesGrowth) this.#keeping = false;
    if (!this.#keeping) this.#forget();
  }

  /** Drops what the present try was given. */
  #forget(): void {
    const gone = Math.min(this.#asked - this.#keptFrom, this.#kept.length);
    for (const message of this.#kept.splice(0, gone)) this.#held.set(this.#held.bytes - byteLengthOf(message));
    this.#keptFrom += gone;
  }

  #reopen(): void {
    assert(this.#canReopen, 'requests are asked for again only while they can be had');
    this.#close();
    this.#source = undefined;
    this.#step = undefined;
    this.#drop();
    this.#keptFrom = 0;
    this.#finished = false;
  }

  #drop(): void {
    this.#kept = [];
    this.#held.set(0);
  }

  /** A source that still owes a message is ended after it, should that ever come; nobody waits for it. */
  #close(): void {
    if (this.#finished) return;
    const source = this.#source;
    void Promise.try(() => source?.return?.()).catch(() => {});
  }
}

function byteLengthOf(message: readonly Uint8Array[]): number {
  let bytes = 0;
  for (const { byteLength } of message) bytes += byteLength;
  return bytes;
}
