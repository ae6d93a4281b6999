// How long one connection is read before the others have their turn. The loop reads a connection whose peer sends fast
// up to 32 times before it looks at any other: with calls that cost much for their bytes those were some ten
// milliseconds, in which nobody else was served (bench/attacks).

/** Of work with what one connection has sent, in milliseconds. Uploads have two or three megabytes in it. */
const turnMs = 0.5;

/** The turns of one connection. */
export class ReadTurn {
  readonly #resume: () => void;
  #workedMs = 0;
  #isOver = false;

  /** `resume` is called in the next turn of the loop after one is over. */
  constructor(resume: () => void) {
    this.#resume = resume;
  }

  /** The turn is over, and the next one has not begun: nothing may be read. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Runs `work` with what was read; true when nothing more may be read in this turn. */
  spend(work: () => void): boolean {
    const beganMs = performance.now();
    work();
    this.#workedMs += performance.now() - beganMs;
    if (this.#workedMs < turnMs) return this.#isOver;
    this.#workedMs = 0;
    if (!this.#isOver) {
      this.#isOver = true;
      setImmediate(() => {
        this.#isOver = false;
        this.#resume();
      });
    }
    return true;
  }
}
