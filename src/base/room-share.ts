// How much of the byte budget one connection may have for large messages. Whoever lets many of them trickle in would
// otherwise hold all the room there is, at a few kilobytes a second, while others stand in line for it.
import type { ByteBudget, RoomWaiter } from './byte-budget.ts';

/** Of the whole budget. Three quarters of it can be reserved, so one connection leaves most of that to others. */
const shareOfBudget = 1 / 4;

/**
 *   enter ── share and budget have room ──▶ admitted ── leave
 *     └── no share ──▶ held back ── another one leaves ──▶ in the line of the budget ── room ──▶ admitted
 * Who is held back waits for its own connection, so it counts as no pressure on anybody else.
 */
export class RoomShare {
  readonly #budget: ByteBudget;
  readonly #bytesMax: number;
  /** What was asked for by those that are admitted or in the line of the budget. */
  readonly #claims = new Map<RoomWaiter, number>(); // bound: the streams of the connection
  #claimedBytes = 0;
  /** In the order of asking. */
  readonly #heldBack = new Set<RoomWaiter>(); // bound: the streams of the connection

  constructor(budget: ByteBudget) {
    this.#budget = budget;
    this.#bytesMax = budget.maxBytes * shareOfBudget;
  }

  /** Whether it is a share of that budget. */
  isOf(budget: ByteBudget): boolean {
    return this.#budget === budget;
  }

  /**
   * True: what `waiter` wants is reserved. False: it is told when it is, or that it will not be.
   * @throws CacheError `unavailable` with `retry_after` when too many wait.
   */
  enter(waiter: RoomWaiter): boolean {
    const bytes = waiter.wantedBytes;
    if (this.#heldBack.size > 0 || !this.#hasRoom(bytes)) {
      this.#budget.holdBack(waiter);
      this.#heldBack.add(waiter);
      return false;
    }
    const admitted = this.#budget.tryReserve(bytes);
    if (!admitted) this.#budget.enterLine(waiter);
    this.#claim(waiter, bytes);
    return admitted;
  }

  /** Whether so much more may be kept of what came for those that are held back: as much as for those that are not. */
  mayKeep(bytes: number): boolean {
    let keptBytes = bytes;
    for (const { heldBytes } of this.#heldBack) keptBytes += heldBytes;
    return keptBytes <= this.#bytesMax;
  }

  /** `waiter` has given back what it had, or wants nothing any more. */
  leave(waiter: RoomWaiter): void {
    this.#heldBack.delete(waiter);
    this.#claimedBytes -= this.#claims.get(waiter) ?? 0;
    this.#claims.delete(waiter);
    for (const next of this.#heldBack) {
      const bytes = next.wantedBytes;
      if (!this.#hasRoom(bytes)) return;
      this.#heldBack.delete(next);
      this.#claim(next, bytes);
      this.#budget.enterLine(next); // has a place: it was held back there
    }
  }

  /** What is larger than the share has room when nothing else has any. */
  #hasRoom(bytes: number): boolean {
    return this.#claimedBytes === 0 || this.#claimedBytes + bytes <= this.#bytesMax;
  }

  #claim(waiter: RoomWaiter, bytes: number): void {
    this.#claims.set(waiter, bytes);
    this.#claimedBytes += bytes;
  }
}
