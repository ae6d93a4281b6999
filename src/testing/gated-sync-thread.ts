// The entry of a thread that syncs files of which a test knows everything: they are numbers in memory, and a sync does not
// begin, or does not end, before the test lets it.
import { getEnvironmentData, parentPort, workerData } from 'node:worker_threads';
import { assert } from '../base/assert.ts';
import { SyncRing } from '../platform/sync-ring.ts';

/** Files of the gate. */
export const gatedFiles = 256;
/** What this descriptor is asked for ends the thread in the middle of it. */
export const deadlyFd = 250;
/** Fails with EIO. */
export const brokenFd = 251;
/** Words of the gate: how many syncs may still end (negative: as many as like), how many began, then per file what was written and what is durable. */
export const gateWord = { permits: 0, begun: 1, written: 2, durable: 2 + gatedFiles } as const;
/** Under which the gate is found (`setEnvironmentData`), an Int32Array. */
export const gateName = 'kiln-test-sync-gate';
export const gateWords = 2 + 2 * gatedFiles;

const eio = 5;

/** A sync as bad as is legal: durable is only what was written when it began. */
export function gatedSync(gate: Int32Array, fd: number): number {
  const written = Atomics.load(gate, gateWord.written + fd);
  Atomics.add(gate, gateWord.begun, 1);
  Atomics.notify(gate, gateWord.begun);
  for (let permits = Atomics.load(gate, gateWord.permits); permits >= 0; permits = Atomics.load(gate, gateWord.permits)) {
    if (permits === 0) Atomics.wait(gate, gateWord.permits, 0);
    else if (Atomics.compareExchange(gate, gateWord.permits, permits, permits - 1) === permits) break;
  }
  if (fd === deadlyFd) process.exit(3);
  if (fd === brokenFd) return eio;
  Atomics.store(gate, gateWord.durable + fd, written);
  return 0;
}

if (parentPort !== null) {
  const port = parentPort;
  const gate = getEnvironmentData(gateName);
  assert(gate instanceof Int32Array, 'the test sets a gate');
  new SyncRing(workerData as Int32Array<SharedArrayBuffer>).serve((fd) => gatedSync(gate, fd), () => port.postMessage(0));
}
