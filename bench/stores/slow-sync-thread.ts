// A thread that syncs, and takes so much longer for it as a disk would that is this much slower.
import { fdatasyncSync, fsyncSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { SyncRing } from '../../src/platform/sync-ring.ts';

/** As a disk without a cache that survives a power cut. */
const addedMs = 2.5;
const never = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));

new SyncRing(workerData as Int32Array<SharedArrayBuffer>).serve(
  (fd, isNames) => {
    if (isNames) fsyncSync(fd);
    else fdatasyncSync(fd);
    Atomics.wait(never, 0, 0, addedMs);
    return 0;
  },
  () => parentPort?.postMessage(0),
);
