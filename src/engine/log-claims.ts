// Claims of room in one stream: who has some, who waits for some, and in which order they get it. What fits is its
// owner's to say.
import { assert } from '../base/assert.ts';
import { CacheError } from '../base/cache-error.ts';
import type { CallOptions } from '../base/call-options.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import type { Asker } from './segment-supply.ts';

/** Room in the log. Disposing it gives back what was not used, once or more often. */
export interface RoomClaim extends Disposable {
  /** What is left of it. */
  readonly bytes: number;
}

/** What was given out and not used yet. */
export interface ClaimedRoom {
  readonly bytes: number;
  /** Of the largest claim at the same time: no record is larger. */
  readonly largestBytes: number;
}

/** Whether all of `room` fits, part of it being for `who`. */
export type RoomFits = (room: ClaimedRoom, who: Asker) => boolean;

interface Waiter {
  readonly bytes: number;
  settle(outcome: RoomClaim | CacheError): void;
}

const waitersMax = 10_000;
/** How soon a caller that found the line full may come again. */
const busyRetryMs = 250;
const askers: readonly Asker[] = ['internal', 'external'];

interface ClaimingLog {
  /** So much of the claim is used, or not needed. */
  ended(claim: Claim, bytes: number): void;
  serve(): void;
}

class Claim implements RoomClaim {
  readonly who: Asker;
  /** The log lost the room that this was. */
  isVoid = false;
  #bytes: number;
  readonly #log: ClaimingLog;

  constructor(bytes: number, who: Asker, log: ClaimingLog) {
    this.#bytes = bytes;
    this.who = who;
    this.#log = log;
  }

  get bytes(): number {
    return this.#bytes;
  }

  take(bytes: number): void {
    assert(bytes <= this.#bytes, 'records are no longer than what was claimed for them');
    this.#bytes -= bytes;
    this.#log.ended(this, bytes);
  }

  [Symbol.dispose](): void {
    if (this.#bytes === 0) return;
    this.take(this.#bytes);
    this.#log.serve();
  }
}

export class LogClaims {
  readonly #fits: RoomFits;
  readonly #log: ClaimingLog = { ended: (claim, bytes) => this.#ended(claim, bytes), serve: () => this.serve() };
  readonly #lines: Readonly<Record<Asker, Set<Waiter>>> = { internal: new Set(), external: new Set() };
  /** Valid ones of which something is left. */
  readonly #open = new Set<Claim>();
  #bytes = 0;
  #largestBytes = 0;
  #idle: PromiseWithResolvers<void> | undefined;

  constructor(fits: RoomFits) {
    this.#fits = fits;
  }

  /** Given out, and not used. */
  get room(): ClaimedRoom {
    return { bytes: this.#bytes, largestBytes: this.#largestBytes };
  }

  get waiting(): number {
    return this.#lines.internal.size + this.#lines.external.size;
  }

  /** Whether a claim of so much would be given at once, if it is used in the same turn of the loop. */
  isFree(bytes: number, who: Asker): boolean {
    return this.#isNext(who) && this.#fits(this.#with(bytes), who);
  }

  /** At once where it fits and nobody is before. @throws CacheError `busy`, `cancelled`. */
  claim(bytes: number, who: Asker, options: CallOptions | undefined): MaybePromise<RoomClaim> {
    return this.isFree(bytes, who) ? this.#give(bytes, who) : this.#wait(bytes, who, options?.signal);
  }

  /**
   * Uses a part of a claim for a record that is appended in this turn. False: what it was is lost, and there is no other
   * room at the moment.
   */
  use(claim: RoomClaim, bytes: number): boolean {
    assert(claim instanceof Claim, 'claims are those of this log');
    if (claim.isVoid && !this.#fits(this.#with(bytes), claim.who)) return false;
    claim.take(bytes);
    return true;
  }

  whoHas(claim: RoomClaim): Asker {
    assert(claim instanceof Claim, 'claims are those of this log');
    return claim.who;
  }

  /** Gives room to those who wait, as far as it reaches. */
  serve(): void {
    for (const who of askers) {
      for (const waiter of this.#lines[who]) {
        if (!this.#fits(this.#with(waiter.bytes), who)) return;
        waiter.settle(this.#give(waiter.bytes, who));
      }
    }
  }

  /** What is needed for the first in that line to be served; undefined: nobody waits there. */
  wanted(who: Asker): ClaimedRoom | undefined {
    const [first] = this.#lines[who];
    return first === undefined ? undefined : this.#with(first.bytes);
  }

  /** Sends those who wait away, in the order in which they came. */
  refuse(who: Asker, error: CacheError): void {
    for (const waiter of this.#lines[who]) waiter.settle(error);
  }

  /** The room that was given out is lost. */
  makeVoid(): void {
    for (const claim of this.#open) claim.isVoid = true;
    this.#open.clear();
    this.#count(-this.#bytes);
  }

  /** Resolves when nothing is given out. */
  idle(): Promise<void> {
    if (this.#bytes === 0) return Promise.resolve();
    this.#idle ??= Promise.withResolvers();
    return this.#idle.promise;
  }

  #isNext(who: Asker): boolean {
    return this.#lines.internal.size === 0 && (who === 'internal' || this.#lines.external.size === 0);
  }

  #with(bytes: number): ClaimedRoom {
    return { bytes: this.#bytes + bytes, largestBytes: Math.max(this.#largestBytes, bytes) };
  }

  #give(bytes: number, who: Asker): RoomClaim {
    const claim = new Claim(bytes, who, this.#log);
    this.#largestBytes = Math.max(this.#largestBytes, bytes);
    this.#open.add(claim);
    this.#count(bytes);
    return claim;
  }

  #ended(claim: Claim, bytes: number): void {
    if (claim.isVoid) return;
    if (claim.bytes === 0) this.#open.delete(claim);
    this.#count(-bytes);
  }

  #count(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes > 0) return;
    this.#largestBytes = 0;
    this.#idle?.resolve();
    this.#idle = undefined;
  }

  #wait(bytes: number, who: Asker, signal: AbortSignal | undefined): Promise<RoomClaim> {
    if (this.waiting >= waitersMax) {
      throw new CacheError('busy', `${this.waiting} writes wait for room in the log already`, { details: [{ kind: 'retry_after', delayMs: busyRetryMs }] });
    }
    if (signal?.aborted === true) throw cancelled();
    const { promise, resolve, reject } = Promise.withResolvers<RoomClaim>();
    const waiter: Waiter = {
      bytes,
      settle: (outcome) => {
        this.#lines[who].delete(waiter);
        signal?.removeEventListener('abort', onAbort);
        if (outcome instanceof CacheError) reject(outcome);
        else resolve(outcome);
      },
    };
    const onAbort = (): void => {
      waiter.settle(cancelled());
      this.serve();
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    this.#lines[who].add(waiter);
    return promise;
  }
}

function cancelled(): CacheError {
  return new CacheError('cancelled', 'the call was cancelled while it waited for room in the log');
}
