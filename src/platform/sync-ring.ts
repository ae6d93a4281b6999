// Requests to a thread that syncs, in memory that both sides see. The main side writes a request into the next place of a
// ring and wakes the thread; the thread syncs one after the other and leaves the results in the same places. What is
// written to a file before `ask` is covered by the sync, because the thread sees the request only afterwards: `asked` and
// `done` are stored and loaded by Atomics, which order everything around them.
import { assert } from '../base/assert.ts';

/** Requests that may be open at once. A thread does one at a time, so more places would only make a longer line. */
export const ringPlaces = 64;

/** The word that a thread sleeps on. It changes with every request and at the end, so that none sleeps on what it has not seen. */
export const wakeWord = 2;
/** Words of 32 bits. Counters go round: they are compared and taken modulo the places, nothing else. */
const word = { asked: 0, done: 1, wake: wakeWord, ends: 3, requests: 4, errors: 4 + ringPlaces, microseconds: 4 + 2 * ringPlaces } as const;
const wordCount = 4 + 3 * ringPlaces;

/** What became of a request. `errno`: 0 for success, else as the system numbers it, positive. */
export interface SyncResult {
  readonly errno: number;
  readonly microseconds: number;
}

/** Does one sync, blocking. Gives the errno, 0 for success. */
export type BlockingSync = (fd: number, isNames: boolean) => number;

/** Either side's view. One thread asks, takes and ends; one other serves. */
export class SyncRing {
  readonly words: Int32Array<SharedArrayBuffer>;
  /** Results taken. A place is used again only after that. */
  #taken: number;

  /** `words`: of the other side. `firstRequest`: where the counters begin. */
  constructor(words = new Int32Array(new SharedArrayBuffer(wordCount * Int32Array.BYTES_PER_ELEMENT)), firstRequest?: number) {
    this.words = words;
    if (firstRequest !== undefined) {
      words[word.asked] = firstRequest;
      words[word.done] = firstRequest;
    }
    this.#taken = Atomics.load(words, word.done);
  }

  /** Hands a request over. The caller keeps count: at most `ringPlaces` whose results were not taken. */
  ask(fd: number, isNames: boolean): void {
    const asked = Atomics.load(this.words, word.asked);
    assert(((asked - this.#taken) | 0) < ringPlaces, 'a place of the ring is used again after its result was taken');
    assert(fd >= 0 && fd < 2 ** 30, 'a descriptor fits beside a bit');
    this.words[word.requests + placeOf(asked)] = (fd << 1) | (isNames ? 1 : 0);
    Atomics.store(this.words, word.asked, (asked + 1) | 0);
    this.#wake();
  }

  /** The next result, in the order of the requests; undefined when that one is not finished. */
  take(): SyncResult | undefined {
    if (Atomics.load(this.words, word.done) === this.#taken) return undefined;
    const place = placeOf(this.#taken);
    this.#taken = (this.#taken + 1) | 0;
    return { errno: this.words[word.errors + place] ?? 0, microseconds: (this.words[word.microseconds + place] ?? 0) >>> 0 };
  }

  /** The thread ends when it has done what was asked. */
  end(): void {
    Atomics.store(this.words, word.ends, 1);
    this.#wake();
  }

  /** The thread's side: does what is asked until the end, asleep in between. `onDone` after each request. */
  serve(sync: BlockingSync, onDone: () => void): void {
    const { words } = this;
    for (let next = Atomics.load(words, word.done); ; ) {
      const seen = Atomics.load(words, word.wake); // before the look at what there is to do: else a wake-up could be lost
      if (Atomics.load(words, word.asked) === next) {
        if (Atomics.load(words, word.ends) === 1) return;
        Atomics.wait(words, word.wake, seen);
        continue;
      }
      const place = placeOf(next);
      const request = words[word.requests + place] ?? 0;
      const began = process.hrtime.bigint();
      words[word.errors + place] = sync(request >> 1, (request & 1) === 1);
      words[word.microseconds + place] = Number((process.hrtime.bigint() - began) / 1000n);
      next = (next + 1) | 0;
      Atomics.store(words, word.done, next);
      onDone();
    }
  }

  #wake(): void {
    Atomics.add(this.words, word.wake, 1);
    Atomics.notify(this.words, word.wake);
  }
}

/** Right for counters that have gone round as well, since the number of places is a power of two. */
function placeOf(request: number): number {
  return request & (ringPlaces - 1);
}
