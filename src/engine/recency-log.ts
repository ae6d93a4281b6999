// When the files of a data directory of format 1 were used, as far as its logs tell. A hint: they may be late, short or gone.
// docs/formats/recency.md
import { join } from 'node:path';
import type { FileSystem } from '../base/file-system.ts';
import type { FileKey } from './object-layout.ts';
import { readRecencyLog } from './recency-format.ts';

/** The last use of each file, of all logs in `directory`, in milliseconds since 1970. Files may be gone since. @throws the system's errors. */
export async function lastUses(files: FileSystem, directory: string): Promise<ReadonlyMap<FileKey, number>> {
  const lastUsed = new Map<FileKey, number>();
  for (const { name } of (await files.list(directory)) ?? []) {
    if (!isRecencyLogName(name)) continue;
    await using file = await files.openRead(join(directory, name));
    if (file === undefined) continue;
    // The latest wins, in whatever order the files are read: a crash may leave an old one beside its successor.
    for await (const { key, usedMs } of readRecencyLog(file)) lastUsed.set(key, Math.max(usedMs, lastUsed.get(key) ?? 0));
  }
  return lastUsed;
}

/** Whether a file in that directory is a log. */
export function isRecencyLogName(name: string): boolean {
  return /^\d{8}$/.test(name);
}
