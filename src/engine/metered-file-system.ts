// A FileSystem that counts what reaches the disk: bytes, and how long the disk takes to make them durable.
import type { MonotonicClock } from '../base/clock.ts';
import type { DirectoryEntry, FileHandle, FileStatus, FileSystem } from '../base/file-system.ts';
import type { Counter, Histogram, Meter, MetricDefinition } from '../base/metrics.ts';

const syncs: MetricDefinition = { name: 'kiln_disk_sync_duration_seconds', help: 'Time that syncs took, of the content of files and of directories.' };
const readBytes: MetricDefinition = { name: 'kiln_disk_read_bytes_total', help: 'Bytes read from files of the store, by the system from memory or disk.' };
const writtenBytes: MetricDefinition = { name: 'kiln_disk_written_bytes_total', help: 'Bytes written to files of the store.' };
const failures: MetricDefinition = { name: 'kiln_disk_errors_total', help: 'Operations on files that the system refused, by operation.' };

type Operation = 'create' | 'open' | 'read' | 'write' | 'sync' | 'rename' | 'remove' | 'other';

const operations: readonly Operation[] = ['create', 'open', 'read', 'write', 'sync', 'rename', 'remove', 'other'];

class DiskMetrics {
  readonly readBytes: Counter;
  readonly writtenBytes: Counter;
  readonly fileSyncs: Histogram;
  readonly directorySyncs: Histogram;
  readonly #failures: Readonly<Record<Operation, Counter>>;
  readonly #clock: MonotonicClock;

  constructor(meter: Meter, clock: MonotonicClock) {
    this.readBytes = meter.counter(readBytes);
    this.writtenBytes = meter.counter(writtenBytes);
    this.fileSyncs = meter.histogram(syncs, { kind: 'file' });
    this.directorySyncs = meter.histogram(syncs, { kind: 'directory' });
    this.#failures = Object.fromEntries(operations.map((operation) => [operation, meter.counter(failures, { operation })])) as Record<Operation, Counter>;
    this.#clock = clock;
  }

  async run<T>(operation: Operation, work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (thrown) {
      this.#failures[operation].add();
      throw thrown;
    }
  }

  async sync(histogram: Histogram, work: () => Promise<void>): Promise<void> {
    const startedAtMs = this.#clock.nowMs();
    await this.run('sync', work());
    histogram.record((this.#clock.nowMs() - startedAtMs) / 1_000);
  }
}

/** Passes everything on. Files that are not there are no failures: the port gives them as values. */
export class MeteredFileSystem implements FileSystem {
  readonly #inner: FileSystem;
  readonly #metrics: DiskMetrics;

  constructor(inner: FileSystem, meter: Meter, clock: MonotonicClock) {
    this.#inner = inner;
    this.#metrics = new DiskMetrics(meter, clock);
  }

  async createExclusive(path: string): Promise<FileHandle> {
    return new MeteredFile(await this.#metrics.run('create', this.#inner.createExclusive(path)), this.#metrics);
  }

  async openRead(path: string): Promise<FileHandle | undefined> {
    const file = await this.#metrics.run('open', this.#inner.openRead(path));
    return file && new MeteredFile(file, this.#metrics);
  }

  rename(from: string, to: string): Promise<void> {
    return this.#metrics.run('rename', this.#inner.rename(from, to));
  }

  syncDirectory(path: string): Promise<void> {
    return this.#metrics.sync(this.#metrics.directorySyncs, () => this.#inner.syncDirectory(path));
  }

  makeDirectory(path: string): Promise<boolean> {
    return this.#metrics.run('other', this.#inner.makeDirectory(path));
  }

  list(path: string): Promise<readonly DirectoryEntry[] | undefined> {
    return this.#metrics.run('other', this.#inner.list(path));
  }

  status(path: string): Promise<FileStatus | undefined> {
    return this.#metrics.run('other', this.#inner.status(path));
  }

  remove(path: string): Promise<boolean> {
    return this.#metrics.run('remove', this.#inner.remove(path));
  }

  discard(path: string): Promise<void> {
    return this.#inner.discard(path);
  }

  setModified(path: string, modifiedMs: number): Promise<void> {
    return this.#metrics.run('other', this.#inner.setModified(path, modifiedMs));
  }

  space(path: string): Promise<{ readonly totalBytes: number; readonly freeBytes: number }> {
    return this.#metrics.run('other', this.#inner.space(path));
  }
}

class MeteredFile implements FileHandle {
  readonly #inner: FileHandle;
  readonly #metrics: DiskMetrics;

  constructor(inner: FileHandle, metrics: DiskMetrics) {
    this.#inner = inner;
    this.#metrics = metrics;
  }

  async write(bytes: Uint8Array): Promise<void> {
    await this.#metrics.run('write', this.#inner.write(bytes));
    this.#metrics.writtenBytes.add(bytes.byteLength);
  }

  async read(into: Uint8Array, offset: number): Promise<number> {
    const bytes = await this.#metrics.run('read', this.#inner.read(into, offset));
    this.#metrics.readBytes.add(bytes);
    return bytes;
  }

  syncData(): Promise<void> {
    return this.#metrics.sync(this.#metrics.fileSyncs, () => this.#inner.syncData());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#inner[Symbol.asyncDispose]();
  }
}
