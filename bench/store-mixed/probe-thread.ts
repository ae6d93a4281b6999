// The thread from which calls come at a steady rate, whatever the loop that answers them does: it says when each was due, and when it was sent.
import { parentPort, workerData } from 'node:worker_threads';
import { nowMs } from './probes.ts';
import type { ProbeOptions } from './probes.ts';

const { callsPerSecond, state } = workerData as ProbeOptions;
const everyMs = 1_000 / callsPerSecond;

for (let dueMs = nowMs() + everyMs; Atomics.load(state, 0) === 0; dueMs += everyMs) {
  const earlyMs = dueMs - nowMs();
  if (earlyMs > 0) Atomics.wait(state, 0, 0, earlyMs);
  parentPort?.postMessage({ dueMs, sentMs: nowMs() });
}
