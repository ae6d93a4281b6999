// A FileSystem that counts what reaches the disk: bytes, and how long the disk takes to make them durable.
import type { DirectoryEntry, FileHandle, FileStatus, FileSystem } from '../base/file-system.ts';
import type { DiskMetrics } from './disk-metrics.ts';

/** Passes everything on. Files that are not there are no failures: the port gives them as values. */
export class MeteredFileSystem implements FileSystem {
  readonly #inner: FileSystem;
  readonly #metrics: DiskMetrics;

  constructor(inner: FileSystem, metrics: DiskMetrics) {
    this.#inner = inner;
    this.#metrics = metrics;
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
