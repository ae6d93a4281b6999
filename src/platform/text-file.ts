// Small files of text that people write: read whole, within a bound, or added to at the end.
import { open, readFile, rename, rm, stat } from 'node:fs/promises';
import { CacheError } from '../base/cache-error.ts';
import { errorCodeOf } from './error-code-of.ts';

/**
 * The text of the file, or undefined when there is none.
 * @throws CacheError `failed_precondition`; first line what is wrong, second line what to do.
 */
export async function readTextFile(path: string, bytesMax: number): Promise<string | undefined> {
  try {
    const { size } = await stat(path);
    if (size > bytesMax) throw new CacheError('failed_precondition', `${path} has ${size} bytes, more than the ${bytesMax} that such a file may have\nname another file`);
    return await readFile(path, 'utf8');
  } catch (cause) {
    if (cause instanceof CacheError) throw cause;
    if (errorCodeOf(cause) === 'ENOENT') return undefined;
    throw new CacheError('failed_precondition', `cannot read ${path} (${errorCodeOf(cause)})\nlet the user that runs Kiln read it, or name another file`, { cause });
  }
}

/**
 * Puts `text` in the place of the file, whole or not at all, readable by its owner only.
 * @throws CacheError `failed_precondition`; first line what is wrong, second line what to do.
 */
export async function replacePrivateFile(path: string, text: string): Promise<void> {
  const partial = `${path}.partial`;
  try {
    await rm(partial, { force: true }); // left by a run that was killed
    {
      await using file = await open(partial, 'wx', 0o600);
      await file.writeFile(text);
      await file.sync();
    }
    await rename(partial, path);
  } catch (cause) {
    await rm(partial, { force: true }).catch(() => {});
    throw new CacheError('failed_precondition', `cannot write ${path} (${errorCodeOf(cause)})\nname a file in a directory that you may write to`, { cause });
  }
}
