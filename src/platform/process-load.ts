// What the process takes of the machine, as far as somebody decides by it.
import { availableParallelism, totalmem } from 'node:os';

/** CPU time of the main thread since it began; milliseconds. What threads of the pool compute does not count. */
export function mainThreadCpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
}

/** Bytes that JavaScript objects of the main thread take, buffers apart. */
export function heapUsedBytes(): number {
  return process.memoryUsage().heapUsed;
}

/** Bytes that the process may take in all, by the limit of its container if it has one. */
export function memoryLimitBytes(): number {
  const constrained = process.constrainedMemory();
  const installed = totalmem();
  return constrained > 0 ? Math.min(constrained, installed) : installed; // without a limit some systems say 0, some 2^64
}

/** Bytes that the process may still take, by the limit of its container if it has one. */
export function availableMemoryBytes(): number {
  return process.availableMemory();
}

/** Cores that the process may use, by the limit of its container if it has one. */
export function availableCores(): number {
  return availableParallelism();
}
