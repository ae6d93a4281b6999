// Who waits for room on the disk, first come, first served.
import { CacheError } from '../base/cache-error.ts';
import type { CallOptions } from '../base/call-options.ts';
import type { SpaceLedger, SpaceReservation } from './space-ledger.ts';

interface Waiter {
  readonly bytes: number;
  /** Whether a segment that is given up would do. */
  readonly isForSegment: boolean;
  /** What it gets, or undefined as long as there is nothing for it. */
  readonly take: () => SpaceReservation | 'free' | undefined;
  settle(outcome: SpaceReservation | 'free' | CacheError): void;
}

/** One more is told that the server is busy. */
const waitersMax = 10_000;
/** How soon a write that found no room may be tried again. */
const busyRetryMs = 500;

export class RoomLine {
  readonly #ledger: Pick<SpaceLedger, 'tryReserve'>;
  readonly #supply: { readonly freeCount: number; readonly segmentBytes: number };
  readonly #waiters = new Set<Waiter>();
  #servedCount = 0;

  constructor(ledger: Pick<SpaceLedger, 'tryReserve'>, supply: { readonly freeCount: number; readonly segmentBytes: number }) {
    this.#ledger = ledger;
    this.#supply = supply;
  }

  static busy(why: string): CacheError {
    return new CacheError('busy', `the store has no room at the moment: ${why}`, { details: [{ kind: 'retry_after', delayMs: busyRetryMs }] });
  }

  get count(): number {
    return this.#waiters.size;
  }

  /** How many were given room, ever. */
  get servedCount(): number {
    return this.#servedCount;
  }

  /** What the first one needs; undefined: nobody waits. */
  get firstBytes(): number | undefined {
    return this.#waiters.values().next().value?.bytes;
  }

  /** What the first one needs beside segments that are there already; 0: nothing, or nobody waits. */
  get firstNewBytes(): number {
    const first = this.#waiters.values().next().value;
    return first === undefined || first.isForSegment ? 0 : first.bytes;
  }

  /** @throws CacheError `busy` (too many wait), `cancelled`, or what the line is refused with. */
  wait(bytes: number, options?: CallOptions): Promise<SpaceReservation> {
    return this.#wait({ bytes, isForSegment: false, take: () => this.#ledger.tryReserve(bytes) }, options);
  }

  /** As `wait`: room for a new segment, or `free` when there is a file that only needs to be taken. */
  waitForSegment(options?: CallOptions): Promise<SpaceReservation | 'free'> {
    const { segmentBytes } = this.#supply;
    const take = (): SpaceReservation | 'free' | undefined => (this.#supply.freeCount > 0 ? 'free' : this.#ledger.tryReserve(segmentBytes));
    return this.#wait({ bytes: segmentBytes, isForSegment: true, take }, options);
  }

  /**
   * Gives room to those who wait, in order, as far as it reaches. True: somebody was told of a free file, who takes it
   * before this is asked again in a later turn.
   */
  serve(): boolean {
    for (const waiter of this.#waiters) {
      const room = waiter.take();
      if (room === undefined) return false;
      this.#servedCount += 1;
      waiter.settle(room);
      if (room === 'free') return true;
    }
    return false;
  }

  refuseAll(reason: CacheError): void {
    for (const waiter of this.#waiters) waiter.settle(reason);
  }

  refuseFirst(reason: CacheError): void {
    this.#waiters.values().next().value?.settle(reason);
  }

  #wait<Room extends SpaceReservation | 'free'>(wanted: Omit<Waiter, 'settle'> & { readonly take: () => Room | undefined }, options: CallOptions | undefined): Promise<Room> {
    const signal = options?.signal;
    if (this.#waiters.size >= waitersMax) throw RoomLine.busy(`${this.#waiters.size} writes wait for room already`);
    if (signal?.aborted === true) throw cancelled();
    options?.onStep?.('wait for room');
    const { promise, resolve, reject } = Promise.withResolvers<Room>();
    const waiter: Waiter = {
      ...wanted,
      settle: (outcome) => {
        this.#waiters.delete(waiter);
        signal?.removeEventListener('abort', onAbort);
        if (outcome instanceof CacheError) reject(outcome);
        else resolve(outcome as Room); // what `take` gave
      },
    };
    const onAbort = (): void => waiter.settle(cancelled());
    signal?.addEventListener('abort', onAbort, { once: true });
    this.#waiters.add(waiter);
    return promise;
  }
}

function cancelled(): CacheError {
  return new CacheError('cancelled', 'the call was cancelled while it waited for room in the store');
}
