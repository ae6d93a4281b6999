// Where the time of one operation goes, step by step.
import type { MonotonicClock } from '../base/clock.ts';

/** The step of a store that works on what it was given, and has not said at what. */
export const workStep = 'write';
/** The store waits for bytes of whoever sends them. */
export const receiveStep = 'receive';
/** The store asks somebody else whether what is there may stay. */
export const judgeStep = 'judge what stands';

export class StepTiming {
  readonly #clock: MonotonicClock;
  readonly #durationsMs = new Map<string, number>();
  #step = workStep;
  #sinceMs: number;
  #receivedBytes = 0;

  constructor(clock: MonotonicClock) {
    this.#clock = clock;
    this.#sinceMs = clock.nowMs();
  }

  /** What came of the caller's bytes so far. */
  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  /** As `onStep` of CallOptions. */
  readonly enter = (step: string): void => {
    if (step === this.#step) return;
    this.#close();
    this.#step = step;
  };

  /** `bytes` of the caller: that they are waited for is a step of its own, between two of which the store works. */
  received(bytes: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
    return {
      [Symbol.asyncIterator]: () => {
        const pieces: AsyncIterator<Uint8Array, unknown> = bytes[Symbol.asyncIterator]();
        const work = (piece?: IteratorResult<Uint8Array, unknown>): void => {
          if (piece?.done === false) this.#receivedBytes += piece.value.byteLength;
          this.enter(workStep);
        };
        return {
          next: () => {
            this.enter(receiveStep);
            const next = pieces.next();
            next.then(work, () => work());
            return next;
          },
          return: async () => (await pieces.return?.()) ?? { done: true, value: undefined },
        };
      },
    };
  }

  /** Ends the last step; gives the time of each that was entered. */
  end(): ReadonlyMap<string, number> {
    this.#close();
    return this.#durationsMs;
  }

  #close(): void {
    const nowMs = this.#clock.nowMs();
    this.#durationsMs.set(this.#step, (this.#durationsMs.get(this.#step) ?? 0) + nowMs - this.#sinceMs);
    this.#sinceMs = nowMs;
  }
}
