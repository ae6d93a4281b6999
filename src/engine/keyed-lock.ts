// One at a time per name.

/**
 * Runs tasks of the same key one after the other, in the order they came; tasks of different keys do not wait.
 * Holds nothing for a key without tasks.
 */
export class KeyedLock {
  readonly #last = new Map<string, Promise<unknown>>();

  /** The outcome of `task`. A task whose key is free begins before this returns. */
  run<T>(key: string, task: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key);
    const outcome = before === undefined ? task() : before.then(task, task);
    const settled = (): void => {
      if (this.#last.get(key) === outcome) this.#last.delete(key);
    };
    this.#last.set(key, outcome);
    outcome.then(settled, settled);
    return outcome;
  }
}
