// All benchmarks, in the order in which they run.
import type { Benchmark } from './harness/context.ts';
import { attacks } from './workloads/attacks.ts';
import { blobIndex } from './workloads/blob-tables.ts';
import { largeWrites, smallUploads, smallWrites } from './workloads/durable-writes.ts';
import { latency } from './workloads/latency.ts';
import { actionResult, findMissingHot, findMissingHundred, unary, unaryTls } from './workloads/lookups.ts';
import { findMissingRandom, manyBatches, startUp } from './workloads/many-blobs.ts';
import { memoryGrowth } from './workloads/memory-growth.ts';
import { policies } from './workloads/policies.ts';
import { storeMixed } from './workloads/store-mixed.ts';
import { storeStart } from './workloads/store-start.ts';
import { storeLargeWrites, storeSmallWrites } from './workloads/store-writes.ts';
import { telemetry } from './workloads/telemetry.ts';
import { batchRead, batchUpdate, httpGet, streamRead, streamWrite, transportRead, transportWrite } from './workloads/transfers.ts';

export const benchmarks: readonly Benchmark[] = [
  unary,
  unaryTls,
  findMissingHundred,
  findMissingHot,
  findMissingRandom,
  manyBatches,
  actionResult,
  batchRead,
  batchUpdate,
  streamRead,
  streamWrite,
  transportRead,
  transportWrite,
  httpGet,
  smallWrites,
  smallUploads,
  largeWrites,
  latency,
  startUp,
  memoryGrowth,
  blobIndex,
  policies,
  storeSmallWrites,
  storeLargeWrites,
  storeMixed,
  storeStart,
  telemetry,
  attacks,
];
