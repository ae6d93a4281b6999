// One at a time per name, with a line that has a bound and that one may leave.
import type { CallOptions } from './call-options.ts';
import { Semaphore } from './semaphore.ts';

/** Gives one turn at a time per name, in the order of asking; names do not wait for each other. Holds nothing for a name that nobody asks for. */
export class KeyedTurns {
  readonly #purpose: string;
  readonly #waitersMax: number;
  /** Bound: one per call that has a turn or waits for one. */
  readonly #lines = new Map<string, { readonly turns: Semaphore; users: number }>();

  /** `purpose` says in a refusal what there is too much of, such as "writers of one entry". `waitersMax` is for each name. */
  constructor(purpose: string, limits: { readonly waitersMax: number }) {
    this.#purpose = purpose;
    this.#waitersMax = limits.waitersMax;
  }

  /** Names that somebody has a turn of. */
  get busyCount(): number {
    return this.#lines.size;
  }

  /**
   * A turn; dispose it to end it, once or more often.
   * @throws CacheError `unavailable` with `retry_after` (the line is full), `cancelled` by the signal while in line.
   */
  async take(name: string, options?: CallOptions): Promise<Disposable> {
    const line = this.#lines.get(name) ?? { turns: new Semaphore(this.#purpose, { permitsMax: 1, waitersMax: this.#waitersMax }), users: 0 };
    this.#lines.set(name, line);
    line.users += 1;
    const leave = (): void => {
      line.users -= 1;
      if (line.users === 0) this.#lines.delete(name);
    };
    try {
      const turn = await line.turns.acquire(options);
      let held = true;
      return {
        [Symbol.dispose]: () => {
          if (!held) return;
          held = false;
          turn[Symbol.dispose]();
          leave();
        },
      };
    } catch (thrown) {
      leave();
      throw thrown;
    }
  }
}
