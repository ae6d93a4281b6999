// The order in which work happens that is done elsewhere: by the kernel, by threads, in a later turn of the loop. All of
// it waits here, and a seeded choice says what comes next, one piece at a time, with everything that follows from it
// done before the next. So a run can be had again, and another seed gives another order.
import type { NextTurn } from '../base/clock.ts';
import type { SeededRandom } from './seeded-random.ts';

const turnsPerLoop = 1_000;

export class SeededTurns {
  readonly #random: SeededRandom;
  readonly #waiting: (() => void)[] = [];
  #idle: PromiseWithResolvers<void> | undefined;
  #isRunning = false;
  #isOver = false;
  #count = 0;
  #done = 0;
  readonly #turn = (): void => {
    if (this.#isOver) return;
    const work = this.#take();
    if (work === undefined) {
      this.#isRunning = false;
      this.#idle?.resolve();
      this.#idle = undefined;
      return;
    }
    this.#later();
    this.#done += 1;
    work();
  };

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  /** Does `work` in one of the next turns, before or after other work that waits; resolves to what it gives. */
  run<T>(work: () => T): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    this.#waiting.push(() => {
      try {
        resolve(work());
      } catch (thrown) {
        reject(thrown);
      }
    });
    this.#wake();
    return promise;
  }

  /** Pieces of work so far. */
  get done(): number {
    return this.#done;
  }

  /** The port of that name. */
  readonly nextTurn: NextTurn = () => this.run(() => undefined);

  /** Resolves once nothing waits, and nothing follows from what was done. */
  idle(): Promise<void> {
    this.#idle ??= Promise.withResolvers();
    this.#wake();
    return this.#idle.promise;
  }

  /** The machine is off: nothing is done any more, and who waits is not told. */
  stop(): void {
    this.#isOver = true;
    this.#waiting.length = 0;
  }

  #wake(): void {
    if (this.#isRunning || this.#isOver) return;
    this.#isRunning = true;
    this.#later();
  }

  /**
   * When all promises that are settled by then have been followed: a tick that is asked for while that happens comes behind
   * it, and takes a tenth of the time of a turn of the loop. That one comes now and then, for timers and for output.
   */
  #later(): void {
    this.#count += 1;
    if (this.#count % turnsPerLoop === 0) setImmediate(this.#turn);
    else queueMicrotask(() => process.nextTick(this.#turn));
  }

  #take(): (() => void) | undefined {
    const last = this.#waiting.length - 1;
    if (last <= 0) return this.#waiting.pop();
    const chosen = this.#random.integer(0, last);
    const [work, moved] = [this.#waiting[chosen], this.#waiting[last]];
    if (moved !== undefined) this.#waiting[chosen] = moved;
    this.#waiting.pop();
    return work;
  }
}
