// The byte budget of a server: how large it is, what becomes of clients that let others wait for it, and who is told.
import { ByteBudget } from '../base/byte-budget.ts';
import type { MonotonicClock, Timers } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Meter } from '../base/metrics.ts';
import { ReportLimit } from '../base/report-limit.ts';
import { formatByteSize } from '../base/units.ts';
import { memoryLimitBytes } from '../platform/process-load.ts';

/** Who has connections that hold memory. */
export interface Evictor {
  /** Ends what holds some and has not moved since the last call, until there is enough. Returns how many calls and connections. */
  evictStalled(isEnough: () => boolean): number;
}

export interface KeeperLimits {
  /** How long a client may let memory lie that others wait for; it may get up to twice that. */
  readonly patienceMs: number;
}

export interface KeeperParts {
  readonly evictors: () => readonly Evictor[];
  readonly clock: MonotonicClock;
  readonly timers: Timers;
  readonly log: Log;
  readonly meter: Meter;
}

/** Most of what a caller may wait in line before it is refused, in looks: who stalls is gone by then. */
const looksInLineMax = 3;
/** While nothing is read at all, that is looked at this often: nobody can get on by itself for sure. */
const exhaustedLookMs = 1_000;
const reportIntervalMs = 60_000;
/** In line; each is a call that has come, so streams and connections bound it already. */
const waitersMax = 100_000;

/** Of the memory there is: stores, code and garbage need theirs too. */
const memoryShare = 1 / 4;
/** What a few builds at a time need at least, and above which more only serves clients that stand still. */
const defaultBytesMin = 64 * 1024 * 1024;
const defaultBytesMax = 512 * 1024 * 1024;

/** @param maxBytes as configured; undefined: derived from the memory there is. @param messageBytesMax must fit some times. */
export function createByteBudget(maxBytes: number | undefined, messageBytesMax: number): ByteBudget {
  const derived = Math.min(defaultBytesMax, Math.max(defaultBytesMin, Math.floor(memoryLimitBytes() * memoryShare)));
  return new ByteBudget({ maxBytes: maxBytes ?? Math.max(derived, 4 * messageBytesMax), waitersMax });
}

/**
 * Looks at the budget while somebody waits for it, and only then. At each look, callers that have waited too long are
 * refused, and clients that hold memory and do not move are ended, as far as that is needed. While nothing is read it
 * first refuses whoever waits with half a message, the last one first, since that alone can be in the way of everybody.
 */
export class ByteBudgetKeeper implements Disposable {
  readonly #budget: ByteBudget;
  readonly #limits: KeeperLimits;
  readonly #parts: KeeperParts;
  readonly #reports: ReportLimit;
  #timer: Disposable | undefined;
  /** When the timer fires. */
  #lookAtMs = Infinity;
  /** Undefined: nobody waits. */
  #pressedSinceMs: number | undefined;
  #exhaustedSinceMs: number | undefined;
  /** Of a time of waiting: only notes where everybody is. */
  #isFirstLook = true;
  #pressedMs = 0;
  #exhaustedMs = 0;
  #exhaustions = 0;
  #evicted = 0;

  constructor(budget: ByteBudget, limits: KeeperLimits, parts: KeeperParts) {
    this.#budget = budget;
    this.#limits = limits;
    this.#parts = parts;
    this.#reports = new ReportLimit(parts.clock, reportIntervalMs);
    budget.notifyPressure(() => this.#onPressure());
    this.#meter();
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
    this.#budget.notifyPressure(() => {});
  }

  #onPressure(): void {
    const nowMs = this.#parts.clock.nowMs();
    if (this.#pressedSinceMs === undefined) {
      this.#pressedSinceMs = nowMs;
      this.#lookIn(0, nowMs); // where everybody is; not now, in the middle of something
    }
    if (!this.#budget.isExhausted || this.#exhaustedSinceMs !== undefined) return;
    this.#exhaustedSinceMs = nowMs;
    this.#exhaustions += 1;
    this.#report();
    this.#lookIn(exhaustedLookMs, nowMs);
  }

  #lookIn(delayMs: number, nowMs: number): void {
    if (nowMs + delayMs >= this.#lookAtMs) return;
    this.#timer?.[Symbol.dispose]();
    this.#lookAtMs = nowMs + delayMs;
    this.#timer = this.#parts.timers.after(delayMs, () => this.#look());
  }

  #look(): void {
    this.#lookAtMs = Infinity;
    const budget = this.#budget;
    this.#count();
    if (!budget.isPressed) {
      this.#pressedSinceMs = undefined;
      this.#isFirstLook = true;
      return;
    }
    const { isExhausted } = budget;
    const isEnough = this.#isFirstLook ? () => true : () => budget.hasEnough;
    if (isExhausted && !this.#isFirstLook) budget.refuseHolders();
    for (const evictor of this.#parts.evictors()) this.#evicted += evictor.evictStalled(isEnough);
    if (!isExhausted && !this.#isFirstLook) budget.look(looksInLineMax);
    if (!this.#isFirstLook) this.#report();
    this.#isFirstLook = false;
    this.#lookIn(isExhausted ? exhaustedLookMs : this.#limits.patienceMs, this.#parts.clock.nowMs());
  }

  /** Adds up the time since the last look. */
  #count(): void {
    const nowMs = this.#parts.clock.nowMs();
    if (this.#pressedSinceMs !== undefined) {
      this.#pressedMs += nowMs - this.#pressedSinceMs;
      this.#pressedSinceMs = nowMs;
    }
    if (this.#exhaustedSinceMs === undefined) return;
    this.#exhaustedMs += nowMs - this.#exhaustedSinceMs;
    this.#exhaustedSinceMs = this.#budget.isExhausted ? nowMs : undefined;
  }

  #report(): void {
    const heldBack = this.#reports.next();
    if (heldBack === undefined) return;
    const budget = this.#budget;
    const text = budget.isExhausted
      ? 'the memory for requests and answers is used up, and nothing is read until clients take or send more; raise limits.buffered-bytes, or lower limits.connections or limits.streams'
      : 'large requests and answers wait for memory, since clients take or send slowly; raise limits.buffered-bytes, or lower limits.connections or limits.streams';
    this.#parts.log.warn(text, {
      used: formatByteSize(budget.usedBytes),
      max: formatByteSize(budget.maxBytes),
      waiting: budget.waiterCount,
      refused: budget.refusedCount,
      ended: this.#evicted,
    });
  }

  #meter(): void {
    const { meter } = this.#parts;
    const budget = this.#budget;
    meter.gauge({ name: 'kiln_buffered_bytes', help: 'Bytes of requests and answers in memory that wait for something.' }, () => budget.usedBytes);
    meter.gauge({ name: 'kiln_buffered_max_bytes', help: 'The bound of kiln_buffered_bytes (limits.buffered-bytes).' }, () => budget.maxBytes);
    meter.gauge({ name: 'kiln_buffered_waiting', help: 'Large messages and reads of blobs that wait for kiln_buffered_bytes to become less.' }, () => budget.waiterCount);
    const seconds = { name: 'kiln_buffered_pressure_seconds_total', help: 'Time in which something waited for memory, by what: large (messages and reads of blobs), everything (nothing was read).' } as const;
    meter.observedCounter(seconds, () => (this.#count(), this.#pressedMs / 1_000), { waiting: 'large' });
    meter.observedCounter(seconds, () => (this.#count(), this.#exhaustedMs / 1_000), { waiting: 'everything' });
    meter.observedCounter({ name: 'kiln_buffered_exhausted_total', help: 'How often kiln_buffered_bytes came to its bound, so that nothing was read.' }, () => this.#exhaustions);
    meter.observedCounter({ name: 'kiln_buffered_refused_total', help: 'Calls that were refused since there was no memory for them.' }, () => budget.refusedCount);
    meter.observedCounter({ name: 'kiln_buffered_evicted_total', help: 'Calls and connections that were ended because they held memory that others waited for, and did not move.' }, () => this.#evicted);
  }
}
