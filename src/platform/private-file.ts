// Files that belong to one user, added to by a command: never half written, and never read by others meanwhile.
import { open, realpath, rename, rm } from 'node:fs/promises';
import { CacheError } from '../base/cache-error.ts';
import { errorCodeOf } from './error-code-of.ts';

const newFileMode = 0o600;
const permissionBits = 0o777;

interface Present {
  readonly text: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/**
 * Puts what `change` makes of its text in the place of the file, whole or not at all; `change` gets an empty text for
 * a file that is not there. A new file is its owner's alone; owner, group and mode of an old one stay. Through a link, the
 * file it leads to is changed. Two at a time exclude each other. `confirm` is waited for when everything is prepared:
 * if it fails, nothing is changed.
 * @throws CacheError `failed_precondition`; first line what is wrong, second line what to do. Whatever `change` and
 *   `confirm` throw.
 */
export async function changePrivateFile(path: string, change: (text: string) => string, confirm: () => Promise<void> = async () => {}): Promise<void> {
  const target = await realpath(path).catch(() => path);
  const partial = `${target}.partial`;
  await using undo = new AsyncDisposableStack();
  try {
    const file = undo.use(await open(partial, 'wx', newFileMode)); // the lock as well
    let isOurs = true;
    undo.defer(async () => {
      if (isOurs) await rm(partial, { force: true });
    });
    const before = await readPresent(target);
    await file.writeFile(change(before?.text ?? ''));
    if (before !== undefined) {
      await file.chown(before.uid, before.gid);
      await file.chmod(before.mode);
    }
    await file.sync();
    await confirm();
    await rename(partial, target);
    isOurs = false; // whoever is next may have made one of the same name by now
  } catch (cause) {
    if (cause instanceof CacheError) throw cause;
    throw explained(path, partial, cause);
  }
}

async function readPresent(path: string): Promise<Present | undefined> {
  try {
    await using file = await open(path, 'r');
    const { mode, uid, gid } = await file.stat();
    return { text: await file.readFile('utf8'), mode: mode & permissionBits, uid, gid };
  } catch (error) {
    if (errorCodeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function explained(path: string, partial: string, cause: unknown): CacheError {
  const code = errorCodeOf(cause);
  const isTaken = code === 'EEXIST';
  const problem = isTaken ? `${path} is being changed by somebody else: there is a file ${partial}` : `cannot change ${path} (${code})`;
  const advice = isTaken ? 'wait until it is gone; if nobody is at work, remove it' : 'name a file that you own, in a directory that you may write to';
  return new CacheError('failed_precondition', `${problem}\n${advice}`, { cause });
}
