// Ports that break one promise each: a proof by crashes is one only if it fails with these.
import type { SyncPort, SyncTarget } from '../base/log-files.ts';

/** `dropped`: told as done and never done. `told_early`: told at once, and done when its turn comes. */
export type SpoiltSync = 'dropped' | 'told_early';

/** Says which syncs are spoilt, by the path of the file or directory as it was opened. */
export type WhichSyncs = (path: string, target: SyncTarget) => boolean;

export function spoiltSyncs(inner: SyncPort, how: SpoiltSync, which: WhichSyncs, pathOf: (fd: number) => string | undefined): SyncPort {
  return {
    sync(fd, target) {
      if (!which(pathOf(fd) ?? '', target)) return inner.sync(fd, target);
      if (how === 'told_early') void inner.sync(fd, target).catch(() => undefined);
      return Promise.resolve(100);
    },
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  };
}

/** `inner` with some of its methods replaced. */
export function replacing<T extends object>(inner: T, replaced: Partial<T>): T {
  return new Proxy(inner, {
    get(from, name) {
      const own: unknown = Reflect.get(replaced, name) ?? Reflect.get(from, name, from);
      return typeof own === 'function' ? own.bind(from) : own;
    },
  });
}
