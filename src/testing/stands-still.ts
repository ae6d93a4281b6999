// The end of something that tells nobody that it has ended, such as a source that is not asked any more.
import { setTimeout as sleep } from 'node:timers/promises';

/** Between looks, and how many of them must see the same: long enough for a machine with much else to do. */
const lookMs = 20;
const looks = 10;

/** Resolves when `read` has given the same number, which is not 0, for a while. */
export async function standsStill(read: () => number): Promise<number> {
  for (let [before, same] = [0, 0]; ; ) {
    const now = read();
    same = now === before && now > 0 ? same + 1 : 0;
    before = now;
    if (same === looks) return now;
    await sleep(lookMs);
  }
}
