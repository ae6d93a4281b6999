// The priority of single threads. What computes for seconds on a thread of its own, as hashing large bodies does, would otherwise share the
// processors with the loop and the threads that sync as an equal: each hand-over of a small write then waits for a time slice or two.
import { readlinkSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';

/** The least there is. */
const niceMost = 19;

/**
 * Lowers the priority of the calling thread by so much, as `nice` counts. False: the system has no priorities of threads (only Linux has)
 * or does not say which thread this is; then nothing has changed.
 */
export function lowerThreadPriority(by: number): boolean {
  try {
    const thread = Number(readlinkSync('/proc/thread-self').split('/').at(-1));
    setPriority(thread, Math.min(niceMost, getPriority(thread) + by));
    return true;
  } catch {
    return false; // it is faster without, and not needed
  }
}
