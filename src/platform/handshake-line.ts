// How many TLS handshakes are under way at a time: each takes the memory of an engine of its own, and whoever begins one
// need not know anything. A pure step-by-step part: what is begun and ended is somebody else's.
import type { MonotonicClock, Timers } from '../base/clock.ts';

export interface HandshakeLimits {
  /** At a time; more wait in line. */
  readonly handshakesMax: number;
  /** From the first byte of a client to the end of its handshake, the time in line included. */
  readonly handshakeTimeoutMs: number;
}

/**
 * While others wait, a handshake that takes longer makes room. The more wait, the less it gets, so that the last in line
 * has its turn within half of its time; but an honest one takes a few round trips.
 */
const patienceMs = { min: 250, max: 2_000 };

/** Why a handshake is given up. */
export type HandshakeEnd = 'timeout' | 'crowded';

export interface HandshakeLinePorts<T> {
  readonly clock: MonotonicClock;
  readonly timers: Timers;
  begin(item: T): void;
  /** To give one up that was entered, begun or not. It has left then. */
  giveUp(item: T, why: HandshakeEnd): void;
}

export class HandshakeLine<T> {
  #limits: HandshakeLimits;
  readonly #ports: HandshakeLinePorts<T>;
  /** When they began, in that order. Bounded by `handshakesMax`. */
  readonly #running = new Map<T, number>();
  /** Bounded by the connections of the listeners. */
  readonly #waiting = new Set<T>();
  /** The most that waited since nobody did. */
  #crowd = 0;
  #advancing = false;
  readonly #deadlines = new Map<T, Disposable>();
  #crowded: Disposable | undefined;

  constructor(limits: HandshakeLimits, ports: HandshakeLinePorts<T>) {
    this.#limits = limits;
    this.#ports = ports;
  }

  get running(): number {
    return this.#running.size;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Those that have entered keep their time. */
  limit(limits: HandshakeLimits): void {
    this.#limits = limits;
    this.#advance();
  }

  enter(item: T): void {
    this.#deadlines.set(item, this.#ports.timers.after(this.#limits.handshakeTimeoutMs, () => this.#giveUp(item, 'timeout')));
    this.#waiting.add(item);
    this.#crowd = Math.max(this.#crowd, this.#waiting.size);
    this.#advance();
  }

  /** It is done, however it ended. Does nothing for one that has left. */
  leave(item: T): void {
    if (this.#remove(item)) this.#advance();
  }

  #giveUp(item: T, why: HandshakeEnd): void {
    this.#remove(item);
    this.#ports.giveUp(item, why);
    this.#advance();
  }

  /** True when its place is free now. */
  #remove(item: T): boolean {
    this.#deadlines.get(item)?.[Symbol.dispose]();
    this.#deadlines.delete(item);
    this.#waiting.delete(item);
    return this.#running.delete(item);
  }

  #advance(): void {
    // One that leaves as it begins makes room for the next, which the loop that runs takes: thousands may have hung up
    // while they waited.
    if (this.#advancing) return;
    this.#advancing = true;
    for (const item of this.#waiting) {
      if (this.#running.size >= this.#limits.handshakesMax) break;
      this.#waiting.delete(item);
      this.#running.set(item, this.#ports.clock.nowMs());
      this.#ports.begin(item);
    }
    this.#advancing = false;
    if (this.#waiting.size > 0) this.#watchOldest();
    else this.#crowd = 0;
  }

  #watchOldest(): void {
    const leftMs = this.#oldestLeftMs;
    if (leftMs === undefined) return;
    this.#crowded?.[Symbol.dispose](); // with more in line, it may be earlier
    this.#crowded = this.#ports.timers.after(Math.max(leftMs, 0), () => {
      this.#crowded = undefined;
      const [oldest] = this.#running.keys();
      if (this.#waiting.size === 0 || oldest === undefined) return;
      if ((this.#oldestLeftMs ?? 0) <= 0) this.#giveUp(oldest, 'crowded');
      else this.#watchOldest();
    });
  }

  /** What the oldest that runs has left before it makes room; undefined when none runs. */
  get #oldestLeftMs(): number | undefined {
    const [begunMs] = this.#running.values();
    const { handshakesMax, handshakeTimeoutMs } = this.#limits;
    const fairMs = ((handshakeTimeoutMs / 2) * handshakesMax) / this.#crowd;
    return begunMs === undefined ? undefined : begunMs + Math.min(Math.max(fairMs, patienceMs.min), patienceMs.max) - this.#ports.clock.nowMs();
  }
}
