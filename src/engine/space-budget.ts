// Who may take how much of the disk. Room is taken before the first byte comes and made by letting files go.
import { CacheError } from '../base/cache-error.ts';
import type { CallOptions } from '../base/call-options.ts';
import { allocatedBytes } from './allocated-bytes.ts';

/** What the budget is spent on, as told by those who spend it. */
export interface SpaceUse {
  /** Allocated by files that are in place, in bytes: stored, quarantined, or being deleted. */
  placedBytes(): number;
  /** Lets one file go; undefined when none may go now. */
  evictOne(): Eviction | undefined;
  /** Space that cannot be had by evicting, such as the quarantine. */
  fixedBytes(): number;
}

/** A file on its way out. */
export interface Eviction {
  readonly bytes: number;
  /** Resolves when its space is free. */
  readonly done: Promise<void>;
}

export interface SpaceLimits {
  readonly maxBytes: number;
  /** Kept free in the background, so that few writes wait for deletions. */
  readonly headroomBytes: number;
  /** Writes that wait for room; one more is told that the server is busy. */
  readonly waitersMax: number;
}

/** Room that was taken. `Symbol.dispose` gives it back; do so once the file is counted, or will never come. */
export type Reservation = Disposable;

interface Waiter {
  readonly bytes: number;
  settle(error: CacheError | undefined): void;
}

/** The bound where none is given: a tenth of what the disk could hold for us, and enough for one large build. */
const defaultShare = 0.1;
const defaultBytesMin = 1024 ** 3;

/** `usedBytes` is what we hold already: a restart must not shrink the store by its own content. */
export function defaultMaxBytes(freeBytes: number, usedBytes: number): number {
  return Math.max(defaultBytesMin, Math.floor((freeBytes + usedBytes) * defaultShare));
}

/** Deletions at the same time: enough to use the thread pool, few enough to leave it to reads. */
const evictionsMax = 8;

/** How soon a write that found all room taken by other writes may be tried again. */
const busyRetryMs = 500;

export class SpaceBudget {
  readonly #use: SpaceUse;
  readonly #limits: SpaceLimits;
  #reservedBytes = 0;
  /** In the order they came; a small write does not overtake a large one, which would never get its room. */
  readonly #waiters = new Set<Waiter>();
  #eviction: Promise<void> | undefined;

  constructor(use: SpaceUse, limits: SpaceLimits) {
    this.#use = use;
    this.#limits = limits;
  }

  get maxBytes(): number {
    return this.#limits.maxBytes;
  }

  /** Taken by writes in progress, in bytes. */
  get reservedBytes(): number {
    return this.#reservedBytes;
  }

  /**
   * Room for a file of `contentBytes`.
   * @throws CacheError `resource_exhausted` (it can never fit), `unavailable` with `retry_after` (other writes in
   *   progress hold the room, or too many wait), `cancelled` by the signal while waiting.
   */
  async reserve(contentBytes: number, options?: CallOptions): Promise<Reservation> {
    const bytes = allocatedBytes(contentBytes);
    const attainableBytes = this.#limits.maxBytes - this.#use.fixedBytes();
    if (bytes > attainableBytes) {
      throw new CacheError('disk_full', `${contentBytes} bytes do not fit into a store of ${this.#limits.maxBytes} bytes (--max-size)`);
    }
    if (this.#waiters.size > 0 || !this.#fits(bytes)) await this.#wait(bytes, options?.signal);
    else this.#reservedBytes += bytes;
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (held) this.#reservedBytes -= bytes;
        held = false;
        if (this.#waiters.size > 0) this.trim();
      },
    };
  }

  /** Starts to make room in the background if there is less than the headroom or somebody waits. */
  trim(): void {
    this.#eviction ??= this.#evict().finally(() => {
      this.#eviction = undefined;
      if (this.#waiters.size > 0) this.trim(); // came after the last look, while this still seemed to run
    });
  }

  /** Resolves once no eviction is under way. */
  async idle(): Promise<void> {
    while (this.#eviction !== undefined) await this.#eviction;
  }

  #fits(bytes: number): boolean {
    return this.#use.placedBytes() + this.#reservedBytes + bytes <= this.#limits.maxBytes;
  }

  #wait(bytes: number, signal: AbortSignal | undefined): Promise<void> {
    if (this.#waiters.size >= this.#limits.waitersMax) throw busy(`${this.#waiters.size} writes wait for room already`);
    if (signal?.aborted) throw cancelled();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter: Waiter = {
      bytes,
      settle: (error) => {
        this.#waiters.delete(waiter);
        signal?.removeEventListener('abort', onAbort);
        if (error === undefined) resolve();
        else reject(error);
      },
    };
    const onAbort = (): void => waiter.settle(cancelled());
    signal?.addEventListener('abort', onAbort, { once: true });
    this.#waiters.add(waiter);
    this.trim();
    return promise;
  }

  async #evict(): Promise<void> {
    // Not in the turn of the loop that asked: a request is answered first.
    await Promise.resolve();
    for (;;) {
      this.#serveWaiters();
      if (this.#waiters.size === 0 && this.#fits(this.#limits.headroomBytes)) return;
      const evicted = this.#evictSome();
      if (evicted.length === 0) {
        this.#refuseWaiters(new AllInUse());
        return;
      }
      const failed = (await Promise.allSettled(evicted)).find((outcome) => outcome.status === 'rejected');
      if (failed !== undefined) {
        // Whoever waits must learn that no room can be made; who waits next starts another try.
        this.#refuseWaiters(failed.reason);
        return;
      }
    }
  }

  /** Lets as many files go as the next waiter, or else the headroom, needs; a few at a time. */
  #evictSome(): readonly Promise<void>[] {
    const [next] = this.#waiters;
    let missingBytes = this.#use.placedBytes() + this.#reservedBytes + (next?.bytes ?? this.#limits.headroomBytes) - this.#limits.maxBytes;
    const evicted: Promise<void>[] = [];
    while (missingBytes > 0 && evicted.length < evictionsMax) {
      const eviction = this.#use.evictOne();
      if (eviction === undefined) break;
      evicted.push(eviction.done);
      missingBytes -= eviction.bytes;
    }
    return evicted;
  }

  /** Gives room to those who wait, in order, as far as it reaches. */
  #serveWaiters(): void {
    for (const waiter of this.#waiters) {
      if (!this.#fits(waiter.bytes)) return;
      this.#reservedBytes += waiter.bytes;
      waiter.settle(undefined);
    }
  }

  #refuseWaiters(cause: unknown): void {
    for (const waiter of this.#waiters) {
      if (cause instanceof AllInUse) waiter.settle(busy('all room is taken by writes in progress'));
      else waiter.settle(new CacheError('unavailable', 'no room can be made: deleting a stored file failed', { cause }));
    }
  }
}

/** Nothing may go at the moment. Never leaves this file. */
class AllInUse extends Error {}

function busy(why: string): CacheError {
  return new CacheError('busy', `the store has no room at the moment: ${why}`, { details: [{ kind: 'retry_after', delayMs: busyRetryMs }] });
}

function cancelled(): CacheError {
  return new CacheError('cancelled', 'the call was cancelled while it waited for room in the store');
}
