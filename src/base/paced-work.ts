// Long work in parts, with a turn of the loop for everybody else between them.
import type { CallOptions } from './call-options.ts';
import { CacheError } from './cache-error.ts';
import type { NextTurn } from './clock.ts';

/** Counts what was done in this turn. */
export class PacedWork {
  readonly #nextTurn: NextTurn;
  readonly #turnBytes: number;
  readonly #options: CallOptions | undefined;
  #doneBytes = 0;

  /** `turnBytes`: what may be done in one turn. `options`: of the call that the work is done for. */
  constructor(nextTurn: NextTurn, turnBytes: number, options: CallOptions | undefined) {
    this.#nextTurn = nextTurn;
    this.#turnBytes = turnBytes;
    this.#options = options;
  }

  /** Notes work. Gives a promise to be waited for when it is the turn of others. @throws CacheError `cancelled` by it. */
  did(bytes: number): Promise<void> | undefined {
    this.#doneBytes += bytes;
    return this.#doneBytes < this.#turnBytes ? undefined : this.pause();
  }

  /** As `did`, whatever was done. */
  async pause(): Promise<void> {
    this.#doneBytes = 0;
    await this.#nextTurn();
    if (this.#options?.signal?.aborted === true) throw new CacheError('cancelled', 'the call was cancelled while work was done for it');
  }
}
