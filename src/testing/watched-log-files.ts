// Log files of this machine that tell what was done to them and fail on demand, and syncs that end when a test says so.
import { basename } from 'node:path';
import type { LogDirectory, LogFile, SyncPort, SyncTarget } from '../base/log-files.ts';
import { NodeLogFileSystem } from '../platform/node-log-files.ts';
import { systemError } from './faulty-file-system.ts';

/** `write` is one call, whatever it writes. */
export type LogOperation = 'create' | 'open' | 'write' | 'truncate' | 'rename' | 'remove' | 'sync';

export class WatchedLogFiles extends NodeLogFileSystem implements AsyncDisposable {
  /** "operation name", in order; of a rename the new name; syncs end with " begins" and " ends". */
  readonly events: string[] = [];
  /** Asked before each; a code makes it fail with that error. */
  fault: (operation: LogOperation, name: string) => string | undefined = () => undefined;
  /** Names of what is open, by descriptor. */
  readonly names = new Map<number, string>();
  /** Ends of what was written, by descriptor: the length of what a sync makes durable. */
  readonly writtenEnds = new Map<number, number>();

  readonly #opened: AsyncDisposable[] = [];

  /** Closes what was left open, as the end of a process does. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#opened.map((opened) => opened[Symbol.asyncDispose]()));
  }

  override async createLog(path: string, mode: number): Promise<LogFile> {
    this.note('create', basename(path));
    return this.#watched(basename(path), await super.createLog(path, mode));
  }

  override async openLog(path: string, access?: 'read'): Promise<LogFile | undefined> {
    this.note('open', basename(path));
    const file = await super.openLog(path, access);
    return file === undefined ? undefined : this.#watched(basename(path), file);
  }

  override async openDirectory(path: string): Promise<LogDirectory> {
    const directory = await super.openDirectory(path);
    this.#opened.push(directory);
    this.names.set(directory.fd, `${basename(path)}/`);
    return directory;
  }

  override async rename(from: string, to: string): Promise<void> {
    this.note('rename', basename(to));
    await super.rename(from, to);
    for (const [fd, name] of this.names) if (name === basename(from)) this.names.set(fd, basename(to));
  }

  override async remove(path: string): Promise<boolean> {
    this.note('remove', basename(path));
    return super.remove(path);
  }

  /** @throws what `fault` says. */
  note(operation: LogOperation, name: string, suffix = ''): void {
    this.events.push(`${operation} ${name}${suffix}`);
    const code = this.fault(operation, name);
    if (code !== undefined) throw systemError(code, operation);
  }

  #watched(name: string, file: LogFile): LogFile {
    const { fd } = file;
    this.#opened.push(file);
    this.names.set(fd, name);
    this.writtenEnds.set(fd, 0);
    const wrote = (end: number): void => void this.writtenEnds.set(fd, Math.max(end, this.writtenEnds.get(fd) ?? 0));
    return {
      fd,
      writeNow: (buffers, position) => {
        this.note('write', this.names.get(fd) ?? name);
        file.writeNow(buffers, position);
        wrote(buffers.reduce((end, { byteLength }) => end + byteLength, position));
      },
      readNow: (into, position) => file.readNow(into, position),
      read: (into, position) => file.read(into, position),
      write: async (bytes, position) => {
        this.note('write', this.names.get(fd) ?? name);
        await file.write(bytes, position);
        wrote(position + bytes.byteLength);
      },
      truncate: async (lengthBytes) => {
        this.note('truncate', this.names.get(fd) ?? name);
        await file.truncate(lengthBytes);
      },
      setMode: (mode) => file.setMode(mode),
      status: () => file.status(),
      async [Symbol.asyncDispose]() {
        await file[Symbol.asyncDispose]();
      },
    };
  }
}

interface AskedSync {
  readonly fd: number;
  readonly name: string;
  readonly end: number;
  /** It waits for `end`. */
  readonly isHeld: boolean;
  readonly outcome: PromiseWithResolvers<number>;
}

/**
 * Syncs of watched files. They do nothing, as the system has the bytes in any case; what a sync has made durable is told
 * when it ends. Promises as little as a SyncPort does: up to what was written when it was asked.
 */
export class HeldSyncs implements SyncPort {
  readonly #files: WatchedLogFiles;
  readonly #asked: AskedSync[] = [];
  /** Whether a sync waits for `end`; asked when it begins. */
  isHeld: (name: string) => boolean = () => false;
  /** Up to where a file was synced, by its name at that time. */
  readonly durableEnds = new Map<string, number>();
  /** How many were under way at the same time, at most, for one file. */
  mostAtOnce = 0;

  constructor(files: WatchedLogFiles) {
    this.#files = files;
  }

  /** Names of what waits, oldest first. */
  get held(): readonly string[] {
    return this.#asked.filter(({ isHeld }) => isHeld).map(({ name }) => name);
  }

  async sync(fd: number, _target: SyncTarget): Promise<number> {
    const name = this.#files.names.get(fd) ?? `descriptor ${fd}`;
    const sync: AskedSync = { fd, name, end: this.#files.writtenEnds.get(fd) ?? 0, isHeld: this.isHeld(name), outcome: Promise.withResolvers() };
    this.#files.events.push(`sync ${name} begins`);
    this.#asked.push(sync);
    this.mostAtOnce = Math.max(this.mostAtOnce, this.#asked.filter((other) => other.fd === fd).length);
    if (!sync.isHeld) setImmediate(() => this.#end(sync));
    return sync.outcome.promise;
  }

  /** Ends the oldest one, and lets those who waited for it go on. */
  async end(): Promise<void> {
    const first = this.#asked.find(({ isHeld }) => isHeld);
    if (first === undefined) throw new Error('no sync waits');
    this.#end(first);
    await new Promise((resolve) => setImmediate(resolve));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Nothing is open.
  }

  #end(sync: AskedSync): void {
    this.#asked.splice(this.#asked.indexOf(sync), 1);
    try {
      this.#files.note('sync', sync.name, ' ends');
      this.durableEnds.set(sync.name, Math.max(sync.end, this.durableEnds.get(sync.name) ?? 0));
      sync.outcome.resolve(100);
    } catch (thrown) {
      sync.outcome.reject(thrown);
    }
  }
}
