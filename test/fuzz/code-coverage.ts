// Which parts of the engine an input reached, as V8 counts them: what tells the fuzzer that an input is worth keeping.
import { Session } from 'node:inspector';
import type { Profiler } from 'node:inspector';

/** Counts in this process, from its making to its disposal. Files that are loaded before it count as well. */
export class CodeCoverage implements Disposable {
  readonly #session = new Session();
  readonly #isCounted: (url: string) => boolean;
  readonly #howOften: boolean;
  readonly #seen = new Set<string>();

  /** `howOften`: a place counts again when it runs many times more often in one go than before. */
  constructor(isCounted: (url: string) => boolean, howOften: boolean) {
    this.#isCounted = isCounted;
    this.#howOften = howOften;
    this.#session.connect();
    this.#session.post('Profiler.enable');
    this.#session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
    this.takeNew();
  }

  [Symbol.dispose](): void {
    this.#session.post('Profiler.stopPreciseCoverage');
    this.#session.disconnect();
  }

  /** Places ever seen, by how often they ran in one go. */
  get size(): number {
    return this.#seen.size;
  }

  /** How many places have run since the last call that never ran before, or never so often. */
  takeNew(): number {
    const before = this.#seen.size;
    let failure: Error | null = null;
    // In the session of one's own thread the answer comes before `post` returns.
    this.#session.post('Profiler.takePreciseCoverage', (error, taken) => {
      failure = error;
      if (error === null) for (const script of taken.result) if (this.#isCounted(script.url)) this.#add(script);
    });
    if (failure !== null) throw new Error('V8 gave no coverage', { cause: failure });
    return this.#seen.size - before;
  }

  #add({ scriptId, functions }: Profiler.ScriptCoverage): void {
    for (const { ranges } of functions) {
      for (const { startOffset, endOffset, count } of ranges) {
        const often = this.#howOften ? Math.min(4, Math.floor(Math.log2(count) / 2)) : 0;
        if (count > 0) this.#seen.add(`${scriptId}:${startOffset}:${endOffset}:${often}`);
      }
    }
  }
}
