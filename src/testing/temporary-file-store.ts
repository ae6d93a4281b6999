// A file store in a directory of its own, for tests: real files, a clock moved by hand, a log that is kept.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ByteBudget } from '../base/byte-budget.ts';
import type { FileSystem } from '../base/file-system.ts';
import type { Log } from '../base/log.ts';
import { noMeter } from '../base/metrics.ts';
import type { Meter } from '../base/metrics.ts';
import { FileStore } from '../blob/file-store.ts';
import type { FileStoreOptions } from '../blob/file-store.ts';
import { NodeFileSystem } from '../platform/node-file-system.ts';
import { ManualClock } from './manual-clock.ts';

/** A log that remembers its lines as "level message". */
export class RememberingLog implements Log {
  readonly debugEnabled = true;
  readonly lines: string[] = [];
  debug(message: string): void {
    this.lines.push(`debug ${message}`);
  }
  info(message: string): void {
    this.lines.push(`info ${message}`);
  }
  warn(message: string): void {
    this.lines.push(`warn ${message}`);
  }
  error(message: string): void {
    this.lines.push(`error ${message}`);
  }
}

export async function temporaryDirectory(): Promise<{ readonly path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'kiln-test-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** A store without a lock of the operating system: tests of the lock are elsewhere. Starts at the real time. */
export async function openFileStore(
  directory: string,
  options: Partial<FileStoreOptions> = {},
  ports: { readonly files?: FileSystem; readonly clock?: ManualClock; readonly log?: Log; readonly meter?: Meter; readonly budget?: ByteBudget } = {},
): Promise<FileStore> {
  const clock = ports.clock ?? new ManualClock(Date.now());
  return FileStore.open(
    { directory, maxBytes: 64 << 20, ...options },
    {
      files: ports.files ?? new NodeFileSystem(),
      monotonicClock: clock,
      wallClock: clock,
      timers: clock,
      log: ports.log ?? new RememberingLog(),
      meter: ports.meter ?? noMeter,
      budget: ports.budget,
      lock: async () => ({ async [Symbol.asyncDispose]() {} }),
    },
  );
}

/** A store in a fresh directory that goes with it. */
export async function temporaryFileStore(options: Partial<FileStoreOptions> = {}): Promise<{ readonly store: FileStore; readonly directory: string } & AsyncDisposable> {
  const directory = await temporaryDirectory();
  const store = await openFileStore(directory.path, options);
  return {
    store,
    directory: directory.path,
    async [Symbol.asyncDispose]() {
      await store.close();
      await directory[Symbol.asyncDispose]();
    },
  };
}
