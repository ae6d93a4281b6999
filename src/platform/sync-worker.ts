// The thread that syncs: sleeps until it is asked, makes the system call, and says that it is done.
import { fdatasyncSync, fsyncSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { assert } from '../base/assert.ts';
import { SyncRing } from './sync-ring.ts';

assert(parentPort !== null, 'this file is the start of a thread');
const port = parentPort;

new SyncRing(workerData as Int32Array<SharedArrayBuffer>).serve(
  (fd, isNames) => {
    try {
      if (isNames) fsyncSync(fd);
      else fdatasyncSync(fd);
      return 0;
    } catch (thrown) {
      // Whatever else goes wrong ends the thread, which fails all that is open.
      if (thrown instanceof Error && 'errno' in thrown && typeof thrown.errno === 'number') return Math.abs(thrown.errno);
      throw thrown;
    }
  },
  () => port.postMessage(0),
);
