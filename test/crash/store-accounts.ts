// What a server counts as taken, held against the files of its data directory.
import assert from 'node:assert/strict';
import { lstatSync, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Daemon } from '../e2e/daemon.ts';

const blockBytes = 4_096;
const statusBlockBytes = 512;
/** Of a start that still deletes and writes hints. */
const patienceMs = 60_000;
const pollMs = 100;
/** What marks the directory, and what is written about the process; the rest counts. */
const uncounted = new Set(['diagnostics']);

export interface Taken {
  /** As the store counts: segments have their length, of other files all blocks count. */
  readonly countedBytes: number;
  /** Everything below the directory, as du has it. */
  readonly allocatedBytes: number;
  /** `countedBytes` by folder. */
  readonly byFolder: Readonly<Record<string, number>>;
}

export function takenBy(data: string): Taken {
  const byFolder: Record<string, number> = {};
  /** A file that is renamed meanwhile is seen twice, or never. */
  const seen = new Set<number>();
  let allocatedBytes = 0;
  const visit = (directory: string, folder: string): void => {
    for (const entry of entriesOf(directory)) {
      const path = join(directory, entry.name);
      const status = lstatSync(path, { throwIfNoEntry: false });
      if (status === undefined || seen.has(status.ino)) continue;
      seen.add(status.ino);
      allocatedBytes += status.blocks * statusBlockBytes;
      if (status.isDirectory()) visit(path, folder === '' ? entry.name : folder);
      else if (folder !== '' && !uncounted.has(folder)) byFolder[folder] = (byFolder[folder] ?? 0) + countedBytes(folder, status.size);
    }
  };
  visit(data, '');
  return { byFolder, allocatedBytes, countedBytes: Object.values(byFolder).reduce((sum, bytes) => sum + bytes, 0) };
}

function entriesOf(directory: string) {
  try {
    return readdirSync(directory, { withFileTypes: true });
  } catch {
    return []; // went meanwhile
  }
}

function countedBytes(folder: string, sizeBytes: number): number {
  return folder === 'segments' ? sizeBytes : Math.max(1, Math.ceil(sizeBytes / blockBytes)) * blockBytes;
}

/** All of kiln_store_*, without those that have labels. */
export async function storeMetrics({ http }: Daemon): Promise<Readonly<Record<string, number>>> {
  const text = await (await fetch(`${http}/metrics`)).text();
  return Object.fromEntries(Array.from(text.matchAll(/^kiln_store_(\w+) (\S+)$/gm), ([, name = '', value]) => [name, Number(value)]));
}

/** What the server counts is what its files take, once it has done what a start does; and nothing was found damaged. */
export async function checkAccounts(daemon: Daemon, data: string, maxBytes: number): Promise<void> {
  const giveUpAtMs = performance.now() + patienceMs;
  for (;;) {
    const taken = takenBy(data);
    const counted = await storeMetrics(daemon);
    if (counted['bytes'] === taken.countedBytes && counted['bytes'] <= maxBytes) {
      assert.equal(counted['corrupt_total'], 0, daemon.logs());
      assert.equal(counted['quarantined'], 0, daemon.logs());
      return;
    }
    if (performance.now() > giveUpAtMs) {
      assert.fail(`${counted['bytes']} bytes are counted, and files take ${taken.countedBytes} of ${maxBytes}: ${JSON.stringify({ ...taken.byFolder, ...counted })}\n${daemon.logs()}`);
    }
    await delay(pollMs);
  }
}

/** For messages: paths below a directory. */
export function namesBelow(data: string): readonly string[] {
  return readdirSync(data, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => relative(data, join(entry.parentPath, entry.name)));
}
