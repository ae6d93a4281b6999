// Turns of the event loop: what happens between two waits. Whatever is answered within the turn in which it was asked
// leaves at the end of that turn, with everything else that was; so one look at the clock at either end tells for all
// of it how long it took. (A look costs 50 to 100 ns, a small call a few microseconds: bench/unary.)
import type { MonotonicClock } from './clock.ts';

export class LoopTurns {
  readonly #clock: MonotonicClock;
  readonly #listeners: ((tookMs: number) => void)[] = [];
  readonly #end = (): void => {
    this.#isOpen = false;
    const tookMs = this.#clock.nowMs() - this.#beganAtMs;
    for (const listener of this.#listeners) listener(tookMs);
  };
  #number = 0;
  #isOpen = false;
  #beganAtMs = 0;

  constructor(clock: MonotonicClock) {
    this.#clock = clock;
  }

  /** The number of this turn. It begins when it is asked for first. */
  current(): number {
    if (this.#isOpen) return this.#number;
    this.#isOpen = true;
    this.#number += 1;
    this.#beganAtMs = this.#clock.nowMs();
    void Promise.resolve().then(this.#end); // when the turn has nothing more to do but promises
    return this.#number;
  }

  /** When the current turn began. */
  get beganAtMs(): number {
    return this.#beganAtMs;
  }

  /** Whether that turn still goes on. */
  isCurrent(turn: number): boolean {
    return this.#isOpen && turn === this.#number;
  }

  nowMs(): number {
    return this.#clock.nowMs();
  }

  /** Calls `listener` at the end of every turn. For as long as this lives; it must not throw. */
  onEnd(listener: (tookMs: number) => void): void {
    this.#listeners.push(listener);
  }
}
