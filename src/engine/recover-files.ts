// What a start finds on disk: complete files are taken in, what writers that died left behind is removed.
import { join } from 'node:path';
import type { DirectoryEntry, FileSystem } from '../base/file-system.ts';
import { mapBounded } from '../base/semaphore.ts';
import type { DurableDirectories } from './durable-directories.ts';
import { FileTable } from './file-table.ts';
import { classifyName, isShardName, spaces } from './object-layout.ts';
import type { FileKey, ObjectLayout, Space } from './object-layout.ts';

/** A complete file as found. Its bytes are not yet checked. */
export interface FoundFile {
  readonly key: FileKey;
  readonly contentBytes: number;
  readonly modifiedMs: number;
}

export interface Recovered {
  readonly found: readonly FoundFile[];
  readonly sweptPartials: number;
  /** Paths that Kiln did not make; left alone. */
  readonly foreign: readonly string[];
}

/** Directories worked on at the same time, and files looked at in each: enough to keep the thread pool busy. */
const shardsMax = 4;
const statusesMax = 16;
/** More foreign names than this are not worth remembering. */
const foreignMax = 100;

/** Running totals of one recovery. */
interface Tally {
  readonly found: FoundFile[];
  readonly foreign: string[];
  sweptPartials: number;
}

/** Doing this twice finds the same files and sweeps nothing the second time. @throws the system's errors. */
export async function recoverFiles(storage: { readonly files: FileSystem; readonly directories: DurableDirectories }, layout: ObjectLayout): Promise<Recovered> {
  const tally: Tally = { found: [], foreign: [], sweptPartials: 0 };
  const noteForeign = (path: string): void => {
    if (tally.foreign.length < foreignMax) tally.foreign.push(path);
  };
  for (const space of spaces) {
    const directory = join(layout.root, space.directory);
    const shards = (await storage.files.list(directory)) ?? [];
    await mapBounded(shards, shardsMax, async ({ name: shard, kind }) => {
      if (kind !== 'directory' || !isShardName(shard)) noteForeign(join(directory, shard));
      else await recoverShard(storage, { space, shard, path: join(directory, shard) }, tally, noteForeign);
    });
  }
  return tally;
}

async function recoverShard(
  { files, directories }: { readonly files: FileSystem; readonly directories: DurableDirectories },
  { space, shard, path }: { readonly space: Space; readonly shard: string; readonly path: string },
  tally: Tally,
  noteForeign: (path: string) => void,
): Promise<void> {
  await mapBounded((await files.list(path)) ?? [], statusesMax, async (entry: DirectoryEntry) => {
    const named = classifyName(space, shard, entry.name);
    const file = join(path, entry.name);
    if (entry.kind !== 'file' || named.kind === 'foreign') noteForeign(file);
    else if (named.kind === 'partial') {
      if (await files.remove(file)) tally.sweptPartials += 1;
    } else {
      const status = await files.status(file);
      if (status !== undefined) tally.found.push({ key: named.key, contentBytes: status.sizeBytes, modifiedMs: status.modifiedMs });
    }
  });
  // A name may have been seen only because the page cache outlived its writer. From here on it is reported
  // present, and a put of it is acknowledged without a write, so it has to survive a power cut from here on. (The
  // name of the shard itself does: nothing is ever created in a directory before that.)
  await directories.sync(path);
}

/**
 * The files in the order of their last use, by the recency log or else their own time.
 * A time from the future counts as now: a clock that was wrong must not make files immortal.
 */
export function indexFound(found: readonly FoundFile[], lastUsed: ReadonlyMap<FileKey, number>, nowMs: number): FileTable {
  const index = new FileTable();
  const aged = found.map((file) => ({ ...file, usedMs: Math.min(nowMs, Math.max(file.modifiedMs, lastUsed.get(file.key) ?? 0)) }));
  for (const { key, contentBytes, usedMs } of aged.toSorted((a, b) => a.usedMs - b.usedMs)) {
    index.add(key, contentBytes, { verified: false, lastUsedMs: usedMs });
  }
  return index;
}
