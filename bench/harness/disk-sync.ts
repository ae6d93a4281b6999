// What one sync costs on the disk that the servers write to: the floor under every durable write.
import { closeSync, fdatasyncSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { spread } from './statistics.ts';
import type { Spread } from './statistics.ts';

/** Each appends one block, so that there is something to sync. */
const blockBytes = 4_096;

/** Microseconds of one fdatasync after a block was appended to a file in `directory`. */
export function measureSync(directory: string, times: number): Spread {
  const path = join(directory, 'sync-probe');
  const file = openSync(path, 'ax');
  try {
    const block = Buffer.alloc(blockBytes, 1);
    const samples = Array.from({ length: times }, () => {
      writeSync(file, block);
      const startedMs = performance.now();
      fdatasyncSync(file);
      return (performance.now() - startedMs) * 1_000;
    });
    return spread(samples);
  } finally {
    closeSync(file);
    rmSync(path);
  }
}

const tmpfsMagic = 0x01021994;

/** True where syncs are free because nothing is kept. */
export function isInMemory(directory: string): boolean {
  return statfsSync(directory).type === tmpfsMagic;
}
