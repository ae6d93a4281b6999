// A data directory: that it can be used, that it is one of ours, and of which format. docs/formats/data-directory.md
import { dirname, join } from 'node:path';
import { CacheError } from '../base/cache-error.ts';
import type { FileSystem } from '../base/file-system.ts';
import { systemCode } from './storage-error.ts';

/** Those that this program knows; the last one is written. */
const dataFormats = [1, 2] as const;
export type DataFormat = (typeof dataFormats)[number];

/** Name of the file that says what the directory is. */
const markerName = 'kiln-data-version';
const markerForm = /^kiln data directory, format (\d+)\n$/;
const markerBytesMax = 100;

/** What may be there before the marker: a start that was interrupted, and the lock taken before it. */
const harmlessNames = /^(?:lock(?:-journal)?|holder\.json.*|kiln-data-version\.partial|lost\+found|\..*)$/;

/**
 * Creates `directory` and its parents where they are missing, so that their names survive a power cut: without
 * that, everything synced below would be out of reach.
 * @throws the system's error.
 */
export async function makeDataDirectory(files: FileSystem, directory: string): Promise<void> {
  const parent = dirname(directory);
  if (parent === directory) return;
  const isThere = (await files.status(directory)) !== undefined;
  if (!isThere) await makeDataDirectory(files, parent);
  await files.makeDirectory(directory);
  try {
    await files.syncDirectory(parent);
  } catch (thrown) {
    // Whoever made it earlier may have died before this sync, so it is tried again; but the parent of a directory
    // that was prepared for us, a mount point say, need not be ours to read.
    if (!isThere) throw thrown;
  }
}

/**
 * The format of `directory`, which exists; undefined: it is new or empty, and may become a data directory. Changes nothing.
 * @throws CacheError `failed_precondition` that says what to do (it holds something else, or has another format); the system's own error.
 */
export async function dataFormat(files: FileSystem, directory: string): Promise<DataFormat | undefined> {
  const marker = join(directory, markerName);
  const found = await readMarker(files, marker);
  if (found === undefined) {
    await refuseForeign(files, directory);
    return undefined;
  }
  const number = markerForm.exec(found)?.[1];
  const format = dataFormats.find((one) => String(one) === number);
  if (format !== undefined) return format;
  throw new CacheError(
    'failed_precondition',
    number === undefined
      ? `${marker} does not say what it should; choose another directory with --data, or empty ${directory} if it holds nothing of value`
      : `the data directory ${directory} has format ${number}, which this version of Kiln does not know; use the version that wrote it, or another directory with --data`,
  );
}

/** From here on the directory has format 2, durably; at no moment is it without one that it had. @throws the system's error. */
export async function writeDataFormat(files: FileSystem, directory: string): Promise<void> {
  const marker = join(directory, markerName);
  const partial = `${marker}.partial`;
  await files.discard(partial);
  {
    await using file = await files.createExclusive(partial);
    await file.write(Buffer.from(`kiln data directory, format ${dataFormats.at(-1)}\n`, 'latin1'));
    await file.syncData();
  }
  await files.rename(partial, marker);
  await files.syncDirectory(directory);
}

/** The refusal that stands for a failure of the system while `directory` was opened; any other failure passes. */
export function dataDirectoryError(directory: string, thrown: unknown): unknown {
  const code = systemCode(thrown);
  const advice = code === undefined ? undefined : adviceFor(directory, code);
  return advice === undefined ? thrown : new CacheError(advice.code, advice.text, { cause: thrown });
}

function adviceFor(directory: string, code: string): { readonly code: 'failed_precondition' | 'resource_exhausted'; readonly text: string } {
  switch (code) {
    case 'ENOTDIR':
    case 'EEXIST':
      return { code: 'failed_precondition', text: `the data directory ${directory} is a file or a link that leads nowhere, or is below one; choose a directory with --data` };
    case 'EACCES':
    case 'EPERM':
      return { code: 'failed_precondition', text: `the data directory ${directory} may not be used by this user (${code}); change its owner or mode, or choose another with --data` };
    case 'EROFS':
      return { code: 'failed_precondition', text: `the data directory ${directory} is on a read-only file system; choose another with --data` };
    case 'ENOSPC':
    case 'EDQUOT':
      return { code: 'resource_exhausted', text: `the disk of the data directory ${directory} is full (${code}); free some space, or choose another with --data` };
    default:
      return { code: 'failed_precondition', text: `the data directory ${directory} cannot be used: the system reports ${code}; choose another with --data` };
  }
}

async function readMarker(files: FileSystem, marker: string): Promise<string | undefined> {
  await using file = await files.openRead(marker);
  if (file === undefined) return undefined;
  const bytes = Buffer.alloc(markerBytesMax);
  return bytes.toString('latin1', 0, await file.read(bytes, 0));
}

/** A directory of somebody else must not become ours: the sweep at start removes files. */
async function refuseForeign(files: FileSystem, directory: string): Promise<void> {
  const foreign = ((await files.list(directory)) ?? []).find(({ name }) => !harmlessNames.test(name));
  if (foreign === undefined) return;
  throw new CacheError(
    'failed_precondition',
    `the data directory ${directory} holds ${JSON.stringify(foreign.name)} and was not made by Kiln; choose an empty or new directory with --data`,
  );
}
