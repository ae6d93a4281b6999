// Who waits for room on the disk, first come, first served in each of two lines: segments, which small writes wait for, and other
// files. A file may be large, and small writes are not to wait until all of its room is made: segments pass it, but no more of
// them than take the room that it waits for, so that it gets its own after twice the time at most.
import { CacheError } from '../base/cache-error.ts';
import type { CallOptions } from '../base/call-options.ts';
import type { SpaceLedger, SpaceReservation } from './space-ledger.ts';

interface Waiter {
  readonly bytes: number;
  /** What it gets, or undefined as long as there is nothing for it. */
  readonly take: () => SpaceReservation | 'free' | undefined;
  /** What was given to segments while it was the first of the files. */
  passedBytes: number;
  settle(outcome: SpaceReservation | 'free' | CacheError): void;
}

/** One more is told that the server is busy. */
const waitersMax = 10_000;
/** How soon a write that found no room may be tried again. */
const busyRetryMs = 500;

export class RoomLine {
  readonly #ledger: Pick<SpaceLedger, 'tryReserve'>;
  readonly #supply: { readonly freeCount: number; readonly segmentBytes: number };
  readonly #segments = new Set<Waiter>();
  readonly #files = new Set<Waiter>();
  #servedCount = 0;

  constructor(ledger: Pick<SpaceLedger, 'tryReserve'>, supply: { readonly freeCount: number; readonly segmentBytes: number }) {
    this.#ledger = ledger;
    this.#supply = supply;
  }

  static busy(why: string): CacheError {
    return new CacheError('busy', `the store has no room at the moment: ${why}`, { details: [{ kind: 'retry_after', delayMs: busyRetryMs }] });
  }

  get count(): number {
    return this.#segments.size + this.#files.size;
  }

  /** Of those, who waits for a segment. */
  get segmentCount(): number {
    return this.#segments.size;
  }

  /** How many were given room, ever. */
  get servedCount(): number {
    return this.#servedCount;
  }

  /** What the first one needs; undefined: nobody waits. */
  get firstBytes(): number | undefined {
    return this.#first?.bytes;
  }

  /** What the first of the files needs; 0: none waits. */
  get firstFileBytes(): number {
    return first(this.#files)?.bytes ?? 0;
  }

  /** @throws CacheError `busy` (too many wait), `cancelled`, or what the line is refused with. */
  wait(bytes: number, options?: CallOptions): Promise<SpaceReservation> {
    return this.#wait(this.#files, { bytes, take: () => this.#ledger.tryReserve(bytes) }, options);
  }

  /** As `wait`: room for a new segment, or `free` when there is a file that only needs to be taken. */
  waitForSegment(options?: CallOptions): Promise<SpaceReservation | 'free'> {
    const { segmentBytes } = this.#supply;
    const take = (): SpaceReservation | 'free' | undefined => (this.#supply.freeCount > 0 ? 'free' : this.#ledger.tryReserve(segmentBytes));
    return this.#wait(this.#segments, { bytes: segmentBytes, take }, options);
  }

  /**
   * Gives room to those who wait, in order, as far as it reaches. True: somebody was told of a free file, who takes it
   * before this is asked again in a later turn.
   */
  serve(): boolean {
    for (let waiter = this.#first; waiter !== undefined; waiter = this.#first) {
      const room = waiter.take();
      if (room === undefined) return false;
      this.#servedCount += 1;
      const file = first(this.#files);
      if (file !== undefined && file !== waiter) file.passedBytes += waiter.bytes;
      waiter.settle(room);
      if (room === 'free') return true;
    }
    return false;
  }

  refuseAll(reason: CacheError): void {
    for (const waiter of [...this.#segments, ...this.#files]) waiter.settle(reason);
  }

  refuseFirstFile(reason: CacheError): void {
    first(this.#files)?.settle(reason);
  }

  /** Whose turn it is. */
  get #first(): Waiter | undefined {
    const [segment, file] = [first(this.#segments), first(this.#files)];
    if (segment === undefined || file === undefined) return segment ?? file;
    return file.passedBytes < file.bytes ? segment : file;
  }

  #wait<Room extends SpaceReservation | 'free'>(line: Set<Waiter>, wanted: Pick<Waiter, 'bytes'> & { readonly take: () => Room | undefined }, options: CallOptions | undefined): Promise<Room> {
    const signal = options?.signal;
    if (this.count >= waitersMax) throw RoomLine.busy(`${this.count} writes wait for room already`);
    if (signal?.aborted === true) throw cancelled();
    options?.onStep?.('wait for room');
    const { promise, resolve, reject } = Promise.withResolvers<Room>();
    const waiter: Waiter = {
      ...wanted,
      passedBytes: 0,
      settle: (outcome) => {
        line.delete(waiter);
        signal?.removeEventListener('abort', onAbort);
        if (outcome instanceof CacheError) reject(outcome);
        else resolve(outcome as Room); // what `take` gave
      },
    };
    const onAbort = (): void => waiter.settle(cancelled());
    signal?.addEventListener('abort', onAbort, { once: true });
    line.add(waiter);
    return promise;
  }
}

function first(line: ReadonlySet<Waiter>): Waiter | undefined {
  return line.values().next().value;
}

function cancelled(): CacheError {
  return new CacheError('cancelled', 'the call was cancelled while it waited for room in the store');
}
