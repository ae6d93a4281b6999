// The file that tells scripts that a server is up, and where.
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { CacheError } from '../base/cache-error.ts';
import { errorCodeOf } from './error-code-of.ts';

/** What the file says, as JSON. */
export interface ReadyFileContent {
  readonly pid: number;
  /** `grpc://HOST:PORT`, or `unix:PATH`. */
  readonly grpc: string;
  /** `http://HOST:PORT`, or `unix:PATH`. */
  readonly http: string;
  readonly version: string;
}

/**
 * Writes the file whole or not at all; disposing removes it.
 * @throws CacheError `failed_precondition`; first line what is wrong, second line what to do.
 */
export async function writeReadyFile(path: string, content: ReadyFileContent): Promise<AsyncDisposable> {
  const partial = `${path}.${content.pid}.partial`;
  try {
    await writeFile(partial, `${JSON.stringify(content)}\n`);
    await rename(partial, path);
  } catch (cause) {
    await rm(partial, { force: true }).catch(() => {});
    throw new CacheError('failed_precondition', `cannot write the ready file ${path} (${errorCodeOf(cause)})\nname a file in a directory you may write to: --ready-file FILE`, { cause });
  }
  return {
    async [Symbol.asyncDispose]() {
      await rm(path, { force: true }).catch(() => {}); // stale at worst; the next start removes it
    },
  };
}

/** Removes the file of a server that was killed, so that nobody who waits for the next one takes it for that. */
export async function removeStaleReadyFile(path: string): Promise<void> {
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text === undefined || isAlive(pidIn(text))) return;
  await rm(path, { force: true }).catch(() => {});
}

function pidIn(text: string): number | undefined {
  try {
    const { pid } = JSON.parse(text) as { pid?: unknown };
    return typeof pid === 'number' ? pid : undefined;
  } catch {
    return undefined;
  }
}

/** A file that is not ours to read as one counts as alive: what cannot be told apart is not removed. */
function isAlive(pid: number | undefined): boolean {
  if (pid === undefined) return true;
  if (pid === process.pid) return false; // in a container every start has the same one
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return errorCodeOf(error) !== 'ESRCH';
  }
}
