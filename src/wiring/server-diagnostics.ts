// Profiles and snapshots of this server: one at a time, into a bounded directory, each said in the log.
import { CacheError } from '../base/cache-error.ts';
import type { DiagnosticFile, DiagnosticKind, Diagnostics } from '../base/diagnostics.ts';
import type { Log } from '../base/log.ts';
import { formatByteSize } from '../base/units.ts';
import type { DiagnosticFiles } from '../platform/diagnostic-files.ts';
import { errorCodeOf } from '../platform/error-code-of.ts';
import { availableMemoryBytes, heapUsedBytes } from '../platform/process-load.ts';

/** Where profiles come from. Paths are of files that do not exist yet; each resolves to the size of the file. */
export interface ProfileSource {
  writeCpuProfile(path: string, durationMs: number): Promise<number>;
  writeHeapSnapshot(path: string): Promise<number>;
}

/** What a snapshot takes, as multiples of the heap: the copy in memory while it is made, and its text on the disk. */
const snapshotCost = { memory: 1.5, disk: 3 } as const;
/** Room on the disk that is not ours to fill with what nobody asked to keep. */
const diskReserveBytes = 256 * 1024 * 1024;
/** For who comes while another one is being taken. */
const retryAfterMs = 10_000;

export class ServerDiagnostics implements Diagnostics {
  readonly #source: ProfileSource;
  readonly #files: DiagnosticFiles;
  readonly #log: Log;
  #running: DiagnosticKind | undefined;

  constructor(source: ProfileSource, files: DiagnosticFiles, log: Log) {
    this.#source = source;
    this.#files = files;
    this.#log = log;
  }

  get busy(): boolean {
    return this.#running !== undefined;
  }

  list(kind: DiagnosticKind): Promise<readonly DiagnosticFile[]> {
    return this.#files.list(kind);
  }

  takeCpuProfile(durationMs: number): Promise<DiagnosticFile> {
    return this.#take('cpu-profile', async (path) => {
      await this.#requireDisk(0);
      return this.#source.writeCpuProfile(path, durationMs);
    });
  }

  takeHeapSnapshot(): Promise<DiagnosticFile> {
    return this.#take('heap-snapshot', async (path) => {
      const heapBytes = heapUsedBytes();
      await this.#requireDisk(heapBytes * snapshotCost.disk);
      const [needed, available] = [heapBytes * snapshotCost.memory, availableMemoryBytes()];
      if (available < needed) {
        throw new CacheError('resource_exhausted', `a heap snapshot takes ${formatByteSize(needed)} of memory, and ${formatByteSize(available)} are free; restart the server with a higher memory limit, or take one while less is in use`);
      }
      this.#log.warn('taking a heap snapshot: nothing is served until it is written, and its file holds all that is in memory, secrets included', {
        heap: formatByteSize(heapBytes),
        path,
      });
      return this.#source.writeHeapSnapshot(path);
    });
  }

  async #take(kind: DiagnosticKind, write: (path: string) => Promise<number>): Promise<DiagnosticFile> {
    if (this.#running !== undefined) {
      throw new CacheError('busy', `a ${wordsFor[this.#running]} is being taken; one at a time`, { details: [{ kind: 'retry_after', delayMs: retryAfterMs }] });
    }
    this.#running = kind;
    try {
      const { path, takenAt } = await this.#files.begin(kind);
      const sizeBytes = await write(path);
      this.#log.info(`${wordsFor[kind]} written`, { path, sizeBytes });
      // The file is there and can be fetched, whatever becomes of older ones.
      await this.#files.prune().catch((thrown: unknown) => this.#log.warn('old profiles could not be removed', { directory: this.#files.directory, reason: String(thrown) }));
      return { kind, path, sizeBytes, takenAt };
    } catch (thrown) {
      throw failureOf(kind, this.#files.directory, thrown);
    } finally {
      this.#running = undefined;
    }
  }

  async #requireDisk(fileBytes: number): Promise<void> {
    const [needed, free] = [fileBytes + diskReserveBytes, await this.#files.freeBytes()];
    if (free >= needed) return;
    throw new CacheError('disk_full', `${formatByteSize(needed)} of disk are to be free for this, and ${formatByteSize(free)} are; make room in ${this.#files.directory} or on its disk`);
  }
}

const wordsFor = { 'cpu-profile': 'CPU profile', 'heap-snapshot': 'heap snapshot' } as const satisfies Record<DiagnosticKind, string>;

function failureOf(kind: DiagnosticKind, directory: string, cause: unknown): unknown {
  const code = errorCodeOf(cause);
  if (cause instanceof CacheError || code === 'unknown') return cause;
  if (code === 'ENOSPC' || code === 'EDQUOT') return new CacheError('disk_full', `the disk is too full for a ${wordsFor[kind]} in ${directory}`, { cause });
  return new CacheError('failed_precondition', `cannot write a ${wordsFor[kind]} to ${directory} (${code}); it must be a directory that the server may write to`, { cause });
}
