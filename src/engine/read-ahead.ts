// Waiting for one thing while the next is on its way.
import { assert } from '../base/assert.ts';

/**
 * What `read` gives for each item, in their order; up to `aheadMax` are under way at the same time. Ends with the first failure,
 * once nothing is under way any more.
 */
export async function* readAhead<Item, Result>(items: Iterable<Item>, aheadMax: number, read: (item: Item) => Promise<Result>): AsyncGenerator<Result, void, undefined> {
  assert(aheadMax > 0, 'one at a time at least');
  const running: Promise<Result>[] = []; // at most aheadMax
  const rest = items[Symbol.iterator]();
  try {
    for (;;) {
      while (running.length < aheadMax) {
        const next = rest.next();
        if (next.done === true) break;
        const result = read(next.value);
        result.catch(() => undefined); // told when its turn comes
        running.push(result);
      }
      const first = running[0];
      if (first === undefined) return;
      const result = await first;
      void running.shift();
      yield result;
    }
  } finally {
    await Promise.allSettled(running);
  }
}
