// Files that people write and the program reads at once: configuration, tokens, passwords.
import { constants, open, stat } from 'node:fs/promises';
import { CacheError } from '../base/cache-error.ts';
import { errorCodeOf } from './error-code-of.ts';

/**
 * The file's bytes, or the first `bytesMax` of more. Takes pipes as well, such as /dev/stdin.
 * @throws CacheError `invalid_argument`; first line what is wrong, second line what to do.
 */
export async function readSmallFile(path: string, bytesMax: number): Promise<Uint8Array> {
  try {
    await using file = await open(path, 'r');
    const buffer = Buffer.alloc(bytesMax);
    let length = 0;
    while (length < bytesMax) {
      const { bytesRead } = await file.read(buffer, length, bytesMax - length, null);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    // At the second reading, as for a reload, a pipe has nothing left; an empty file would mean something.
    if (length === 0 && (await file.stat()).isFIFO()) throw new CacheError('invalid_argument', `${path} is a pipe, and nothing comes out of it\nname a file, which can be read again`);
    return buffer.subarray(0, length);
  } catch (cause) {
    if (cause instanceof CacheError) throw cause;
    const code = errorCodeOf(cause);
    const [problem, advice] = words[code] ?? [`${path} cannot be read (${code})`, 'name a file that can be read'];
    throw new CacheError('invalid_argument', `${problem.replace('PATH', path)}\n${advice}`, { cause });
  }
}

/**
 * The same for a file that was read before, which a pipe cannot be: one with a name would be waited for until somebody
 * writes to it.
 * @throws CacheError `invalid_argument`; first line what is wrong, second line what to do.
 */
export async function readSmallFileAgain(path: string, bytesMax: number): Promise<Uint8Array> {
  const status = await stat(path).catch(() => undefined); // whatever is wrong, reading finds it as well
  if (status?.isFIFO() === true) throw new CacheError('invalid_argument', `${path} is a pipe, which cannot be read again\nname a file, which can`);
  return readSmallFile(path, bytesMax);
}

/** Who may read the file besides its owner and group; undefined when that cannot be told. */
export async function fileAccess(path: string): Promise<{ readonly othersMayRead: boolean } | undefined> {
  const status = await stat(path).catch(() => undefined);
  return status === undefined ? undefined : { othersMayRead: (status.mode & constants.S_IROTH) !== 0 };
}

const words: Readonly<Record<string, readonly [problem: string, advice: string]>> = {
  ENOENT: ['there is no file PATH', 'create it, or correct the path'],
  ENOTDIR: ['there is no file PATH: a part of the path is a file itself', 'correct the path'],
  EISDIR: ['PATH is a directory', 'name the file in it'],
  EACCES: ['PATH may not be read by this user', 'give the user that runs Kiln the right to read it, and to enter the directories above it'],
  ELOOP: ['PATH is a symbolic link that leads to itself', 'correct the link'],
};
