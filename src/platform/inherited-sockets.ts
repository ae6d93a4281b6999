// Sockets that a service manager has opened before it started this process (systemd's socket activation, the
// sd_listen_fds protocol): who connects while the service is not there waits instead of being refused.
import { readFile, readlink } from 'node:fs/promises';
import { CacheError } from '../base/cache-error.ts';

/** An open file descriptor that somebody listens on, and is to be accepted from. */
export interface InheritedSocket {
  readonly fd: number;
  /** What the service manager calls it; in systemd the socket unit, unless FileDescriptorName says otherwise. */
  readonly name: string;
}

/** The first one; 0 to 2 are the standard streams. */
const firstFd = 3;
/** No service has more; a larger number is a mistake. */
const socketsMax = 256;

const variables = ['LISTEN_FDS', 'LISTEN_PID', 'LISTEN_FDNAMES', 'LISTEN_PIDFDID'] as const;

/**
 * The sockets meant for the process `pid`, in the order of the socket units; none without `LISTEN_FDS`, or when it is
 * meant for another process. Removes the variables, so that children do not believe in them; Node has marked the
 * descriptors as not to be passed on when it started.
 * @throws CacheError `invalid_argument` when `LISTEN_FDS` is not a number of sockets.
 */
export function takeInheritedSockets(environment: Record<string, string | undefined>, pid: number): readonly InheritedSocket[] {
  const { LISTEN_FDS: count, LISTEN_PID: owner, LISTEN_FDNAMES: names = '' } = environment;
  for (const variable of variables) delete environment[variable];
  if (count === undefined || owner !== String(pid)) return [];
  if (!/^\d{1,4}$/.test(count) || Number(count) > socketsMax) {
    throw new CacheError('invalid_argument', `LISTEN_FDS is ${JSON.stringify(count)}, not a number of sockets up to ${socketsMax}\nleave it to the service manager, or unset it`);
  }
  const given = names === '' ? [] : names.split(':');
  return Array.from({ length: Number(count) }, (_, index) => ({ fd: firstFd + index, name: given[index] ?? 'unknown' }));
}

/** The path that the unix socket `fd` is bound to, as far as Linux tells: a socket of another network name space is not listed. */
export async function unixPathOf(fd: number): Promise<string | undefined> {
  try {
    const inode = /^socket:\[(\d+)\]$/.exec(await readlink(`/proc/self/fd/${fd}`))?.[1];
    const line = (await readFile('/proc/self/net/unix', 'utf8')).split('\n').find((text) => text.split(/ +/)[6] === inode);
    return inode === undefined ? undefined : line?.split(/ +/).slice(7).join(' ') || undefined;
  } catch {
    return undefined;
  }
}
