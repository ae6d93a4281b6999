// A LogFileSystem and a SyncPort that count what reaches the disk.
import type { LogDirectory, LogFile, LogFileSystem, SyncPort, SyncTarget } from '../base/log-files.ts';
import type { DiskMetrics } from './disk-metrics.ts';
import { MeteredFileSystem } from './metered-file-system.ts';

/** Passes everything on. */
export class MeteredLogFileSystem extends MeteredFileSystem implements LogFileSystem {
  readonly #inner: LogFileSystem;
  readonly #metrics: DiskMetrics;

  constructor(inner: LogFileSystem, metrics: DiskMetrics) {
    super(inner, metrics);
    this.#inner = inner;
    this.#metrics = metrics;
  }

  async createLog(path: string, mode: number): Promise<LogFile> {
    return new MeteredLogFile(await this.#metrics.run('create', this.#inner.createLog(path, mode)), this.#metrics);
  }

  async openLog(path: string, access?: 'read'): Promise<LogFile | undefined> {
    const file = await this.#metrics.run('open', this.#inner.openLog(path, access));
    return file && new MeteredLogFile(file, this.#metrics);
  }

  openDirectory(path: string): Promise<LogDirectory> {
    return this.#metrics.run('open', this.#inner.openDirectory(path));
  }

  removeDirectory(path: string): Promise<boolean> {
    return this.#metrics.run('remove', this.#inner.removeDirectory(path));
  }
}

class MeteredLogFile implements LogFile {
  readonly fd: number;
  readonly #inner: LogFile;
  readonly #metrics: DiskMetrics;

  constructor(inner: LogFile, metrics: DiskMetrics) {
    this.fd = inner.fd;
    this.#inner = inner;
    this.#metrics = metrics;
  }

  writeNow(buffers: readonly Uint8Array[], position: number): void {
    try {
      this.#inner.writeNow(buffers, position);
    } catch (thrown) {
      this.#metrics.failed('write');
      throw thrown;
    }
    for (const { byteLength } of buffers) this.#metrics.writtenBytes.add(byteLength);
  }

  readNow(into: Uint8Array, position: number): number {
    try {
      const bytes = this.#inner.readNow(into, position);
      this.#metrics.readBytes.add(bytes);
      return bytes;
    } catch (thrown) {
      this.#metrics.failed('read');
      throw thrown;
    }
  }

  async read(into: Uint8Array, position: number): Promise<number> {
    const bytes = await this.#metrics.run('read', this.#inner.read(into, position));
    this.#metrics.readBytes.add(bytes);
    return bytes;
  }

  async write(bytes: Uint8Array, position: number): Promise<void> {
    await this.#metrics.run('write', this.#inner.write(bytes, position));
    this.#metrics.writtenBytes.add(bytes.byteLength);
  }

  truncate(lengthBytes: number): Promise<void> {
    return this.#metrics.run('other', this.#inner.truncate(lengthBytes));
  }

  setMode(mode: number): Promise<void> {
    return this.#metrics.run('other', this.#inner.setMode(mode));
  }

  status(): Promise<{ readonly sizeBytes: number; readonly links: number }> {
    return this.#metrics.run('other', this.#inner.status());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#inner[Symbol.asyncDispose]();
  }
}

/** Passes everything on. The time is what the system took, without what was waited for its turn. */
export class MeteredSyncs implements SyncPort {
  readonly #inner: SyncPort;
  readonly #metrics: DiskMetrics;

  constructor(inner: SyncPort, metrics: DiskMetrics) {
    this.#inner = inner;
    this.#metrics = metrics;
  }

  async sync(fd: number, target: SyncTarget): Promise<number> {
    const microseconds = await this.#metrics.run('sync', this.#inner.sync(fd, target));
    const histogram = target === 'data' ? this.#metrics.fileSyncs : this.#metrics.directorySyncs;
    histogram.record(microseconds / 1_000_000);
    return microseconds;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#inner[Symbol.asyncDispose]();
  }
}
