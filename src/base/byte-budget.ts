// The one bound of what a process keeps of requests and answers while something has to be waited for: bytes that came
// and are not used yet, and bytes that are to go out and have not been taken. Only counts and keeps a line; what is done
// about those who hold and do not move is decided by its owner.
import { assert } from './assert.ts';
import { CacheError } from './cache-error.ts';
import type { CallOptions } from './call-options.ts';

export interface ByteBudgetLimits {
  /** Infinity: everything is counted and nothing is ever refused. */
  readonly maxBytes: number;
  /** In line for room; one more is told that the server is busy. */
  readonly waitersMax: number;
}

/** Somebody in line. Both calls come from a turn of their own, never from within a call to the budget. */
export interface RoomWaiter {
  /** How much is wanted; may become less while it waits. */
  readonly wantedBytes: number;
  /** What it has taken and keeps while it waits. */
  readonly heldBytes: number;
  /** `wantedBytes` are taken for you, and you are in line no more. */
  onRoom(): void;
  /** You are in line no more, and get nothing. */
  onRefused(error: CacheError): void;
}

/** Who reads from the network. Must not throw. */
export interface InputGate {
  /** Stop reading. Called from within `take`, so do nothing else. */
  onExhausted(): void;
  /** Read again. Called in a turn of its own. */
  onRelief(): void;
}

/** How soon a caller that was refused may come again: holders that do not move are gone by then. */
const busyRetryMs = 5_000;

/** Shares of the whole, in order: what is reserved stays below the first, so that what cannot be put off has the rest. */
const reservedShare = 3 / 4;
const growthShare = 7 / 8;

/** What is not larger passes the line: small calls get on while large ones wait. */
const passingBytesMax = 64 * 1024;

/**
 * Two ways to get bytes:
 * - `take`, for what has come already or is small: always, and the count may pass the bound by what one read brings.
 * - a reservation, for what can wait: large messages, pieces of blobs. It is given up to three quarters of the bound, in
 *   the order of asking. What is reserved for a message is all of it, so whoever got it can come to its end without more.
 *
 *   calm ── reservations come to 3/4 ──▶ in line ── takes come to 7/8 ──▶ no growth ── all used ──▶ exhausted
 *
 * `no growth`: a request that comes in parts and is not small is refused. `exhausted`: nothing is read any more, until
 * the count is below 7/8 again.
 */
export class ByteBudget {
  readonly maxBytes: number;
  readonly #reservableBytes: number;
  readonly #growthBytesMax: number;
  readonly #waitersMax: number;
  #usedBytes = 0;
  #isExhausted = false;
  /** `notifyPressure` was told that requests may not grow. */
  #toldOfNoGrowth = false;
  #servingLine = false;
  /** In the order of asking, with the `look`s each has been through. */
  readonly #line = new Map<RoomWaiter, number>();
  /** Those who may not stand in line yet, for reasons of their own: they are no pressure on others. */
  readonly #heldBack = new Set<RoomWaiter>(); // bound: waitersMax
  readonly #gates = new Set<InputGate>(); // bound: one per connection
  #onPressure: (() => void) | undefined;
  #refusedCount = 0;

  constructor({ maxBytes, waitersMax }: ByteBudgetLimits) {
    assert(maxBytes > 0, 'a budget has bytes');
    this.maxBytes = maxBytes;
    this.#reservableBytes = Math.floor(maxBytes * reservedShare);
    this.#growthBytesMax = Math.floor(maxBytes * growthShare);
    this.#waitersMax = waitersMax;
  }

  /** May pass `maxBytes` by what one read brings. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Who reads from the network does not, from the moment all is used until the count is well below again. */
  get isExhausted(): boolean {
    return this.#isExhausted;
  }

  /** A request of more than a little that has come in part is to be refused instead of growing. */
  get refusesGrowth(): boolean {
    return this.#usedBytes >= this.#growthBytesMax;
  }

  /** Somebody waits for room or to read, or is refused. */
  get isPressed(): boolean {
    return this.#line.size > 0 || this.refusesGrowth || this.#isExhausted;
  }

  /** There is no room, or others have to wait for it: fetch nothing ahead. */
  get isTight(): boolean {
    return this.#line.size > 0 || this.#usedBytes > this.#reservableBytes;
  }

  /** Whether there would be room for all in line, and to read. */
  get hasEnough(): boolean {
    let bytes = this.#usedBytes;
    for (const { wantedBytes } of this.#line.keys()) {
      bytes += wantedBytes;
      if (bytes > this.#reservableBytes) return false;
    }
    return !this.refusesGrowth;
  }

  /** In line for room. */
  get waiterCount(): number {
    return this.#line.size;
  }

  /** Refusals so far: from the line, and of growth. */
  get refusedCount(): number {
    return this.#refusedCount;
  }

  /** Bytes that are there already, whether or not there is room for them. Never fails. */
  take(bytes: number): void {
    this.#usedBytes += bytes;
    if (this.#usedBytes >= this.#growthBytesMax) this.#onNoGrowth();
  }

  /** What was taken is free again, at most that. */
  give(bytes: number): void {
    this.#usedBytes -= bytes;
    assert(this.#usedBytes >= 0, 'nobody gives back more than was taken');
    if (this.#line.size > 0 || this.#toldOfNoGrowth) this.#serveLater();
  }

  /**
   * Takes `bytes` if there is room and nobody in line; a little passes the line as long as anything is read. What is
   * larger than all that can be reserved has room when nothing else is held.
   */
  tryReserve(bytes: number): boolean {
    if (this.wouldWait(bytes)) return false;
    this.take(bytes);
    return true;
  }

  /** Whether a reservation would stand in line now. Who would, and holds something that it can pass on, does so first. */
  wouldWait(bytes: number): boolean {
    const passes = bytes <= passingBytesMax && !this.#isExhausted;
    return !passes && (this.#line.size > 0 || !this.#hasRoom(bytes));
  }

  /** Puts `waiter` at the end of the line. @throws CacheError `busy` with `retry_after` when the line is full. */
  enterLine(waiter: RoomWaiter): void {
    assert(!this.#line.has(waiter), 'nobody stands in line twice');
    this.#heldBack.delete(waiter);
    if (this.#line.size + this.#heldBack.size >= this.#waitersMax) throw this.refusal();
    this.#line.set(waiter, 0);
    this.#onPressure?.();
    this.#serveLater(); // what stood in front may have gone meanwhile
  }

  /** `waiter` waits for something else before it may enter the line, and can be refused meanwhile. @throws like `enterLine` */
  holdBack(waiter: RoomWaiter): void {
    if (this.#line.size + this.#heldBack.size >= this.#waitersMax) throw this.refusal();
    this.#heldBack.add(waiter);
  }

  /** Does nothing for who is not in line. */
  leaveLine(waiter: RoomWaiter): void {
    this.#heldBack.delete(waiter);
    if (this.#line.delete(waiter)) this.#serveLater();
  }

  /**
   * A reservation as soon as there is room; the caller gives it back.
   * @throws CacheError `busy` with `retry_after` (refused), `cancelled` by the signal while in line.
   */
  async reserve(bytes: number, options?: CallOptions): Promise<void> {
    if (this.tryReserve(bytes)) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const signal = options?.signal;
    const waiter: RoomWaiter = { wantedBytes: bytes, heldBytes: 0, onRoom: resolve, onRefused: reject };
    const cancelled = (): void => {
      this.leaveLine(waiter);
      reject(new CacheError('cancelled', 'the call was cancelled while it waited for memory')); // no effect after onRoom: the caller has it then
    };
    if (signal?.aborted) throw new CacheError('cancelled', 'the call was cancelled before it waited for memory');
    this.enterLine(waiter);
    signal?.addEventListener('abort', cancelled, { once: true });
    try {
      await promise;
    } finally {
      signal?.removeEventListener('abort', cancelled);
    }
  }

  /** A failure that says that there is no room, counted. */
  refusal(): CacheError {
    this.#refusedCount += 1;
    return new CacheError('busy', 'too much is being sent and received at the same time for the memory of this server; try again', {
      details: [{ kind: 'retry_after', delayMs: busyRetryMs }],
    });
  }

  /** `gate` is told to stop and to go on until disposed; at once if there is nothing to read into now. */
  watch(gate: InputGate): Disposable {
    this.#gates.add(gate);
    if (this.#isExhausted) gate.onExhausted();
    return { [Symbol.dispose]: () => void this.#gates.delete(gate) };
  }

  /** Resolves when there is something to read into: at once, as a rule. */
  async relief(): Promise<void> {
    while (this.#isExhausted) {
      const { promise, resolve } = Promise.withResolvers<void>();
      using _watch = this.watch({ onExhausted() {}, onRelief: resolve });
      await promise;
    }
  }

  /** `listener` is called whenever somebody begins to wait, perhaps from within `take`. One at a time. */
  notifyPressure(listener: () => void): void {
    this.#onPressure = listener;
  }

  /** One step of time for who waits: refuses those that were in line at `looksMax` looks before this one. */
  look(looksMax: number): void {
    for (const [waiter, looks] of [...this.#line]) {
      if (looks >= looksMax) this.#refuse(waiter);
      else if (this.#line.has(waiter)) this.#line.set(waiter, looks + 1); // or it has left because of another one's refusal
    }
  }

  /** Refuses those that hold something while they wait, the youngest first, until requests may grow again. */
  refuseHolders(): void {
    for (const waiter of [...this.#line.keys(), ...this.#heldBack].toReversed()) {
      if (!this.refusesGrowth) return;
      if (waiter.heldBytes > 0) this.#refuse(waiter);
    }
  }

  #refuse(waiter: RoomWaiter): void {
    if (!this.#line.delete(waiter) && !this.#heldBack.delete(waiter)) return; // left because of another one's refusal
    waiter.onRefused(this.refusal());
    this.#serveLater();
  }

  #hasRoom(bytes: number): boolean {
    return this.#usedBytes + Math.min(bytes, this.#reservableBytes) <= this.#reservableBytes;
  }

  #onNoGrowth(): void {
    if (!this.#toldOfNoGrowth) {
      this.#toldOfNoGrowth = true;
      this.#onPressure?.();
    }
    if (this.#usedBytes < this.maxBytes || this.#isExhausted) return;
    this.#isExhausted = true;
    for (const gate of this.#gates) gate.onExhausted();
    this.#onPressure?.();
  }

  /** In a turn of its own: who gives is in the middle of something. */
  #serveLater(): void {
    if (this.#servingLine) return;
    this.#servingLine = true;
    queueMicrotask(() => this.#serve());
  }

  #serve(): void {
    this.#servingLine = false;
    for (const waiter of this.#line.keys()) {
      const bytes = waiter.wantedBytes;
      if (!this.#hasRoom(bytes)) break;
      this.#line.delete(waiter);
      this.#usedBytes += bytes;
      waiter.onRoom();
    }
    if (this.refusesGrowth) return;
    this.#toldOfNoGrowth = false;
    if (!this.#isExhausted) return;
    this.#isExhausted = false;
    for (const gate of [...this.#gates]) {
      if (this.#isExhausted) break; // all used again, and each was told
      gate.onRelief();
    }
  }
}

/** A small body is taken in however little memory is left. */
const littleBytesMax = 4 * 1024;

/**
 * Memory for a body that is waited for as a whole; the caller disposes it.
 * @throws CacheError `busy` with `retry_after`: requests may not grow.
 */
export function holdBody(budget: ByteBudget, bytes: number): HeldBytes {
  if (bytes > littleBytesMax && budget.refusesGrowth) throw budget.refusal();
  const held = new HeldBytes(budget);
  held.set(bytes);
  return held;
}

/** For tests, and for who is no server: counts, and bounds nothing. */
export function unboundedByteBudget(): ByteBudget {
  return new ByteBudget({ maxBytes: Infinity, waitersMax: 0 });
}

/** What one owner holds of a budget, told as a whole, so that every way to its end gives back what it has. */
export class HeldBytes implements Disposable {
  readonly #budget: ByteBudget;
  #bytes = 0;

  constructor(budget: ByteBudget) {
    this.#budget = budget;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** So many are held now. */
  set(bytes: number): void {
    const more = bytes - this.#bytes;
    if (more === 0) return;
    this.#bytes = bytes;
    if (more > 0) this.#budget.take(more);
    else this.#budget.give(-more);
  }

  /** A reservation of `bytes` becomes this owner's. */
  adopt(bytes: number): void {
    this.#bytes += bytes;
  }

  [Symbol.dispose](): void {
    this.set(0);
  }
}
