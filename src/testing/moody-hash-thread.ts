// The entry of a thread for tests of a HashPool: hashes SHA-256, waits at a gate before each piece, and dies of `die`.
import { createHash } from 'node:crypto';
import { getEnvironmentData, isMainThread } from 'node:worker_threads';
import { serveHashes } from '../platform/hash-worker.ts';

/** Under which the gate is found (`setEnvironmentData`): one Int32 of pieces that may still be read; negative: any number. */
export const hashGateName = 'kiln-test-hash-gate';

if (!isMainThread) {
  serveHashes((functionName) => {
    const gate = getEnvironmentData(hashGateName);
    const hash = createHash('sha256');
    return {
      update(bytes) {
        if (gate instanceof Int32Array) pass(gate);
        if (functionName === 'die') process.exit(3);
        hash.update(bytes);
      },
      hex: () => hash.digest('hex'),
    };
  });
}

function pass(gate: Int32Array): void {
  for (let permits = Atomics.load(gate, 0); permits >= 0; permits = Atomics.load(gate, 0)) {
    if (permits === 0) Atomics.wait(gate, 0, 0);
    else if (Atomics.compareExchange(gate, 0, permits, permits - 1) === permits) return;
  }
}
