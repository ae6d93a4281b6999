// Turns of the event loop: what happens between two waits. Whatever is answered within the turn in which it was asked
// leaves at the end of that turn, with everything else that was; so one look at the clock at either end tells for all
// of it how long it took. (A look costs 50 to 100 ns, a small call a few microseconds: bench/unary.)
import type { MonotonicClock } from './clock.ts';

/** One turn. */
export interface LoopTurn {
  /** When it was asked for first. */
  readonly beganAtMs: number;
  readonly isOver: boolean;
}

/** Also a clock that stands still during a turn: for whoever notes the time of many small things. */
export class LoopTurns implements MonotonicClock {
  readonly #clock: MonotonicClock;
  readonly #listeners: ((tookMs: number) => void)[] = [];
  readonly #end = (): void => {
    const turn = this.#turn;
    if (turn === undefined) return;
    turn.isOver = true;
    this.#turn = undefined;
    const tookMs = this.#clock.nowMs() - turn.beganAtMs;
    for (const listener of this.#listeners) listener(tookMs);
  };
  #turn: { beganAtMs: number; isOver: boolean } | undefined;

  constructor(clock: MonotonicClock) {
    this.#clock = clock;
  }

  /** This turn. It begins when it is asked for first. */
  current(): LoopTurn {
    if (this.#turn !== undefined) return this.#turn;
    this.#turn = { beganAtMs: this.#clock.nowMs(), isOver: false };
    void Promise.resolve().then(this.#end); // when the turn has nothing more to do but promises
    return this.#turn;
  }

  /** When this turn began. */
  nowMs(): number {
    return this.current().beganAtMs;
  }

  /** By the clock. */
  exactNowMs(): number {
    return this.#clock.nowMs();
  }

  /** Calls `listener` at the end of every turn. For as long as this lives; it must not throw. */
  onEnd(listener: (tookMs: number) => void): void {
    this.#listeners.push(listener);
  }
}
