// Real files of a process that dies at a certain operation: what was done before is in the directory, as after kill -9, and
// nothing is done from then on. Or of one whose operations fail.
import { fdatasyncSync, fsyncSync } from 'node:fs';
import type { LogFileSystem, SyncPort, SyncTarget } from '../base/log-files.ts';

/** Thrown by every operation after the cut: the process that called is dead and must not be heard. */
class CutError extends Error {
  override readonly name = 'CutError';
}

/** Told of each operation before it is done: "rename /data/a"; what it throws is what the operation fails with. */
export type BeforeOperation = (operation: string, path: string) => void;

/** Counts operations, and ends them all at one of them. */
export class Mortality {
  /** Oldest first. */
  readonly operations: string[] = [];
  /** So many are done; Infinity: all. */
  diesAfter = Infinity;
  readonly before: BeforeOperation = (operation, path) => {
    if (this.operations.length >= this.diesAfter) throw new CutError('the process is dead');
    this.operations.push(`${operation} ${path}`);
  };

  get isDead(): boolean {
    return this.operations.length >= this.diesAfter;
  }
}

/** Closing is no operation: the kernel closes what a dead process had open. */
const neverAsked: ReadonlySet<string | symbol> = new Set([Symbol.asyncDispose, Symbol.dispose]);

/** `files`, each operation asked for before; those of what is open are called after the file. */
export function mortalFiles(files: LogFileSystem, before: BeforeOperation): LogFileSystem {
  return asking(files, (name, [path]) => ({ operation: name, path: typeof path === 'string' ? path : '' }), before);
}

/** Syncs of this thread, done when they are asked for. `path` of the operation is the name of the target. */
export function mortalSyncs(before: BeforeOperation): SyncPort {
  return {
    sync: async (fd: number, target: SyncTarget) => {
      before('sync', target);
      if (target === 'data') fdatasyncSync(fd);
      else fsyncSync(fd);
      return 100;
    },
    async [Symbol.asyncDispose]() {},
  };
}

type Named = (name: string, args: readonly unknown[]) => { readonly operation: string; readonly path: string };

function asking<T extends object>(target: T, named: Named, before: BeforeOperation): T {
  return new Proxy(target, {
    get(from, name) {
      const own: unknown = Reflect.get(from, name, from);
      if (typeof own !== 'function') return own;
      if (neverAsked.has(name) || typeof name === 'symbol') return own.bind(from) as unknown;
      return (...args: readonly unknown[]): unknown => {
        const { operation, path } = named(name, args);
        if (name === 'discard') return discarding(() => before(operation, path), () => Reflect.apply(own, from, args) as unknown);
        if (name.endsWith('Now')) {
          before(operation, path);
          return Reflect.apply(own, from, args) as unknown;
        }
        return askingLater(() => before(operation, path), async () => opened(await (Reflect.apply(own, from, args) as Promise<unknown>), path, before));
      };
    },
  });
}

async function askingLater(before: () => void, work: () => Promise<unknown>): Promise<unknown> {
  before();
  return await work();
}

/** It never throws, and does nothing when it may not. */
async function discarding(before: () => void, work: () => unknown): Promise<void> {
  try {
    before();
  } catch {
    return;
  }
  await work();
}

/** What was opened asks too. */
function opened(result: unknown, path: string, before: BeforeOperation): unknown {
  if (typeof result !== 'object' || result === null || !(Symbol.asyncDispose in result)) return result;
  return asking(result, (name) => ({ operation: name, path }), before);
}
