// A writer that never stops, on a store with little room: what is on the disk stays below the bound, nothing is refused, and
// memory does not grow. KILN_WRITER_SECONDS sets for how long (60).
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { seededRandom } from '../../src/testing/seeded-random.ts';
import { startDaemon } from '../e2e/daemon.ts';
import type { Daemon } from '../e2e/daemon.ts';
import { temporaryDirectory } from '../e2e/file-tree.ts';
import { BuildClient, contentPool } from './build-client.ts';
import { Ledger } from './ledger.ts';
import { checkAccounts, storeMetrics, takenBy } from './store-accounts.ts';

const seconds = Number(process.env['KILN_WRITER_SECONDS'] ?? '60');
const workers = 8;
const mebibyte = 1024 * 1024;
const maxBytes = 512 * mebibyte;
/** Of a store of this size. */
const segmentBytes = 4 * mebibyte;
const flags = ['--max-size', '512MiB', '--min-free-space', '0B', '--lease', '1s', '--limits-hot-memory', '32MiB', '--limits-buffered-bytes', '64MiB'];
/** Of `maxBytes`, however long that takes. */
const writtenTimes = 1.25;
const sampleMs = 200;
/** Who reads what is older than that finds most of it gone. */
const blobsKnown = 2_000;
/** The program, 96 MiB that its limits allow, and what is garbage. */
const memoryBytesMax = 512 * mebibyte;

interface Peaks {
  allocatedBytes: number;
  countedBytes: number;
  memoryBytes: number;
  samples: number;
}

function memoryOf({ pid }: Daemon): number {
  return Number(/^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
}

/** The smaller of two looks, where one is too large: files go and come while one is taken. */
function look(data: string) {
  const first = takenBy(data);
  if (first.allocatedBytes <= maxBytes) return first;
  const second = takenBy(data);
  return second.allocatedBytes < first.allocatedBytes ? second : first;
}

describe('a writer that never stops', () => {
  it(`K2-12, K2-13: for ${seconds} s the disk holds no more than --max-size and one segment, nothing is refused, memory stays bounded`, async (t) => {
    const random = seededRandom(t);
    const data = join(temporaryDirectory(t, 'writer'), 'data');
    const daemon = await startDaemon(t, data, { flags });
    const ledger = new Ledger({ leaseMs: 0, leasedBytesMax: Infinity });
    using client = new BuildClient({ port: daemon.port, ledger, random, pool: contentPool(random) });
    const beganMs = performance.now();
    const isOver = (): boolean => performance.now() - beganMs > seconds * 1_000 && ledger.keptBytes > writtenTimes * maxBytes;
    const work = Promise.all(Array.from({ length: workers }, (_, worker) => client.workUntil(isOver, worker)));
    const peaks: Peaks[] = [];
    while (!isOver()) {
      const peak = (peaks[Math.min(3, Math.floor((performance.now() - beganMs) / (seconds * 250)))] ??= { allocatedBytes: 0, countedBytes: 0, memoryBytes: 0, samples: 0 });
      const { allocatedBytes, countedBytes } = look(data);
      peak.allocatedBytes = Math.max(peak.allocatedBytes, allocatedBytes);
      peak.countedBytes = Math.max(peak.countedBytes, countedBytes);
      peak.memoryBytes = Math.max(peak.memoryBytes, memoryOf(daemon));
      peak.samples += 1;
      ledger.forgetBefore(blobsKnown);
      await Promise.race([delay(sampleMs), work]); // throws what a worker was refused
    }
    await work;
    const words = peaks.map(({ allocatedBytes, memoryBytes, samples }) => `${mib(allocatedBytes)} on the disk, ${mib(memoryBytes)} of memory (${samples} samples)`);
    const { evictions_total: evictions = 0, bytes = 0 } = await storeMetrics(daemon);
    t.diagnostic(`seed ${random.seed}: ${Math.round(ledger.keptBytes / 1e6)} MB were written and acknowledged in ${seconds} s, ${evictions} entries evicted, at the end ${mib(bytes)}; most by quarter: ${words.join('; ')}`);
    for (const { allocatedBytes, countedBytes, memoryBytes } of peaks) {
      assert.ok(Math.max(allocatedBytes, countedBytes) <= maxBytes + segmentBytes, `${allocatedBytes} bytes on the disk`);
      assert.ok(memoryBytes <= memoryBytesMax, `${memoryBytes} bytes of memory`);
    }
    await checkAccounts(daemon, data, maxBytes);
    assert.ok(evictions > 0);
    await daemon.stop();
  });
});

function mib(bytes: number): string {
  return `${Math.round(bytes / mebibyte)} MiB`;
}
