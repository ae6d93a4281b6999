// Which cores server and generator run on. Apart, neither takes the other's time; where that cannot be had it is said.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

export interface Pinning {
  /** Core numbers; undefined where nothing is pinned. */
  readonly server: number | undefined;
  readonly generator: number | undefined;
  /** Why nothing is pinned. */
  readonly lacking: string | undefined;
}

/** Decides by what this process may use, which in a container is less than the machine has. */
export function findPinning(): Pinning {
  const cores = allowedCores(readFileSync('/proc/self/status', 'utf8'));
  const [server, generator] = cores;
  if (server === undefined || generator === undefined) return unpinned('there is only one core, which server and generator share');
  if (spawnSync('taskset', ['--version']).error !== undefined) return unpinned('taskset is not installed (Debian: util-linux)');
  return { server, generator, lacking: undefined };
}

function unpinned(lacking: string): Pinning {
  return { server: undefined, generator: undefined, lacking };
}

/** The cores in `Cpus_allowed_list` of /proc/PID/status, such as `0-3,8`, ascending. */
export function allowedCores(status: string): readonly number[] {
  const list = /^Cpus_allowed_list:\s*(\S+)/m.exec(status)?.[1] ?? '';
  return list.split(',').filter(Boolean).flatMap((range) => {
    const [first = NaN, last = first] = range.split('-').map(Number);
    return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => first + index);
  });
}

/** The words that run `words` on that core; they replace themselves, so that the process id stays the same. */
export function pinnedTo(core: number | undefined, words: readonly string[]): readonly [string, ...string[]] {
  const [first = '', ...rest] = words;
  return core === undefined ? [first, ...rest] : ['taskset', '-c', String(core), first, ...rest];
}
