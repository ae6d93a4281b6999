// Makes the path of a unix socket free to listen on, without taking it from somebody who is alive.
import { lstat, stat, unlink } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { CacheError } from '../base/cache-error.ts';
import { errorCodeOf } from './error-code-of.ts';

/** What `sockaddr_un` holds without its final zero: 108 bytes on Linux, 104 on macOS; the smaller, so that a path works on both. */
const pathBytesMax = 103;

/**
 * Removes a socket file whose server is gone.
 * @throws CacheError `failed_precondition` when the path is too long, no socket, or served by somebody;
 *   first line what is wrong, second line what to do.
 */
export async function claimUnixSocketPath(path: string): Promise<void> {
  if (Buffer.byteLength(path) > pathBytesMax) {
    throw new CacheError('failed_precondition', `the socket path ${path} is longer than the ${pathBytesMax} bytes a unix socket may have\nchoose a shorter one: --listen unix:/run/kiln.sock`);
  }
  const status = await lstat(path).catch((cause: unknown) => {
    if (errorCodeOf(cause) === 'ENOENT') return undefined;
    throw new CacheError('failed_precondition', `cannot look at ${path} (${errorCodeOf(cause)})\ncheck the path and its rights`, { cause });
  });
  if (status === undefined) return requireDirectory(dirname(path));
  if (!status.isSocket()) {
    throw new CacheError('failed_precondition', `${path} exists and is not a socket\nremove it, or choose another path: --listen unix:PATH`);
  }
  if (await answers(path)) {
    throw new CacheError('failed_precondition', `another process serves on unix:${path}\nstop it, or choose another path: --listen unix:PATH`);
  }
  await unlink(path).catch((cause: unknown) => {
    if (errorCodeOf(cause) === 'ENOENT') return;
    throw new CacheError('failed_precondition', `cannot remove the socket ${path} that a dead process left (${errorCodeOf(cause)})\nremove it, or choose another path: --listen unix:PATH`, { cause });
  });
}

/** Binding reports a missing directory as a lack of permission. */
async function requireDirectory(directory: string): Promise<void> {
  const status = await stat(directory).catch(() => undefined);
  if (status?.isDirectory() === true) return;
  throw new CacheError('failed_precondition', `${directory}, where the socket should be, is not a directory\ncreate it, or choose another path: --listen unix:PATH`);
}

/** Only a refused connection shows that nobody listens; any other failure may be a living server's. */
function answers(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(path);
  socket.once('connect', () => resolve(true));
  socket.once('error', (error) => resolve(!['ECONNREFUSED', 'ENOENT'].includes(errorCodeOf(error))));
  return promise.finally(() => socket.destroy());
}
