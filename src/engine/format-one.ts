// What a data directory of format 1 holds, for the take-over into the next one: found without changing anything, and in the
// end removed. docs/formats/objects.md
import { join } from 'node:path';
import type { LogFileSystem } from '../base/log-files.ts';
import { mapBounded } from '../base/semaphore.ts';
import type { DurableDirectories } from './durable-directories.ts';
import { ObjectLayout, classifyName, isShardName, partsOf, spaces } from './object-layout.ts';
import type { FileKey, Space } from './object-layout.ts';
import { isRecencyLogName, lastUses } from './recency-log.ts';

/** A complete file. Its bytes are not checked. */
export interface FormatOneFile {
  readonly key: FileKey;
  readonly sizeBytes: number;
  /** Milliseconds since the Unix epoch; not in the future. */
  readonly usedMs: number;
}

export interface FormatOneContent {
  /** Both in the order of their last use, the one used longest ago first. */
  readonly blobs: readonly FormatOneFile[];
  readonly values: readonly FormatOneFile[];
  /** A path that Kiln did not make; it is left alone, as all such are. */
  readonly foreign: string | undefined;
}

export interface FormatOneDirectory {
  readonly path: string;
  readonly files: LogFileSystem;
  readonly directories: DurableDirectories;
}

const valuesName = 'values';
const recencyName = 'recency';
/** Directories worked on at the same time, and files looked at in each: enough to keep the thread pool busy. */
const shardsMax = 4;
const filesMax = 16;

/** What `forShards` tells of a directory that holds stored files. */
interface Shard {
  readonly space: Space;
  readonly name: string;
  readonly path: string;
}

/**
 * All stored files of a directory that nobody writes to. Their names are durable: only the page cache may have kept them.
 * @param found called for each file, for whoever shows how far this is.
 * @throws the system's errors.
 */
export async function readFormatOne(directory: FormatOneDirectory, nowMs: number, found: () => void): Promise<FormatOneContent> {
  const { files, directories } = directory;
  const lastUsed = await lastUses(files, join(directory.path, recencyName));
  const [blobs, values]: [FormatOneFile[], FormatOneFile[]] = [[], []];
  let foreign: string | undefined;
  const noteForeign = (path: string): void => void (foreign ??= path);
  await forShards(directory, noteForeign, async ({ space, name: shard, path }) => {
    await mapBounded((await files.list(path)) ?? [], filesMax, async (entry) => {
      const named = classifyName(space, shard, entry.name);
      if (entry.kind !== 'file' || named.kind === 'foreign') noteForeign(join(path, entry.name));
      if (entry.kind !== 'file' || named.kind !== 'stored') return;
      const status = await files.status(join(path, entry.name));
      if (status === undefined) return;
      const usedMs = Math.min(nowMs, Math.max(status.modifiedMs, lastUsed.get(named.key) ?? 0));
      (partsOf(named.key).kind === 'blob' ? blobs : values).push({ key: named.key, sizeBytes: status.sizeBytes, usedMs });
      found();
    });
    await directories.sync(path);
  });
  const byUse = (a: FormatOneFile, b: FormatOneFile): number => a.usedMs - b.usedMs;
  return { blobs: blobs.sort(byUse), values: values.sort(byUse), foreign };
}

/** Whether there is anything that `removeFormatOne` removes, apart from partial files of blobs. */
export async function hasFormatOne({ path, files }: FormatOneDirectory): Promise<boolean> {
  return (await files.status(join(path, valuesName))) !== undefined || (await files.status(join(path, recencyName))) !== undefined;
}

/**
 * Removes values, times of use and partial files: all that format 1 has and the next one has not. Other names stay where they are.
 * What is found by `hasFormatOne` goes last, so that who is interrupted is known to be.
 * @param removed called for each file.
 * @returns a path that Kiln did not make and that keeps its directory from going.
 * @throws the system's errors.
 */
export async function removeFormatOne(directory: FormatOneDirectory, removed: () => void): Promise<string | undefined> {
  const { path: root, files, directories } = directory;
  let foreign: string | undefined;
  const noteForeign = (path: string): void => void (foreign ??= path);
  const noteValue = (path: string): void => void (path.startsWith(join(root, valuesName)) && noteForeign(path));
  await forShards(directory, noteValue, async ({ space, name: shard, path }) => {
    const isValues = space.directory.startsWith(`${valuesName}/`);
    let isSwept = false;
    await mapBounded((await files.list(path)) ?? [], filesMax, async ({ name, kind }) => {
      const named = classifyName(space, shard, name);
      const isOurs = kind === 'file' && (named.kind === 'partial' || (isValues && named.kind === 'stored'));
      if (!isOurs) {
        noteValue(join(path, name));
      } else if (await files.remove(join(path, name))) {
        removed();
        isSwept = true;
      }
    });
    if (isValues) await files.removeDirectory(path);
    else if (isSwept) await directories.sync(path); // nobody looks for partial files again once the rest is gone
  });
  const recency = join(root, recencyName);
  for (const { name, kind } of (await files.list(recency)) ?? []) {
    if (kind === 'file' && isRecencyLogName(name)) await files.remove(join(recency, name));
    else noteForeign(join(recency, name));
  }
  await files.removeDirectory(recency);
  for (const space of spaces) if (space.directory.startsWith(`${valuesName}/`)) await files.removeDirectory(join(root, space.directory));
  await files.removeDirectory(join(root, valuesName));
  return foreign;
}

/** Where the file of that key stands in `directory`. */
export function pathOf({ path }: FormatOneDirectory, key: FileKey): string {
  return new ObjectLayout(path).final(key);
}

async function forShards({ path: root, files }: FormatOneDirectory, foreign: (path: string) => void, work: (shard: Shard) => Promise<void>): Promise<void> {
  for (const space of spaces) {
    const directory = join(root, space.directory);
    await mapBounded((await files.list(directory)) ?? [], shardsMax, async ({ name, kind }) => {
      const path = join(directory, name);
      if (kind === 'directory' && isShardName(name)) await work({ space, name, path });
      else foreign(path);
    });
  }
}
