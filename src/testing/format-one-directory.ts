// A data directory that the store of format 1 wrote, as long as there was one: format-one-directory.json has its files.
import { mkdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { FilledSizes } from './taken-over.ts';

export interface FormatOneDirectory {
  /** When it began to be filled by `fillFormatOne`, by the clock that was moved, with random bytes of that seed. */
  readonly startMs: number;
  readonly seed: number;
  readonly sizes: FilledSizes;
  /** In the order of their paths, which are below the directory. */
  readonly files: readonly {
    readonly path: string;
    /** Octal. */
    readonly mode: string;
    readonly modifiedMs: number;
    readonly base64: string;
  }[];
}

export async function formatOneDirectory(): Promise<FormatOneDirectory> {
  return JSON.parse(await readFile(new URL('format-one-directory.json', import.meta.url), 'utf8')) as FormatOneDirectory;
}

/** Puts the files below `root`, with modes and times. */
export async function restoreDirectory({ files }: FormatOneDirectory, root: string): Promise<void> {
  for (const { path, mode, modifiedMs, base64 } of files) {
    const to = join(root, path);
    await mkdir(dirname(to), { recursive: true });
    await writeFile(to, Buffer.from(base64, 'base64'), { mode: Number.parseInt(mode, 8) });
    await utimes(to, modifiedMs / 1_000, modifiedMs / 1_000);
  }
}
