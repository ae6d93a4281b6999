// A machine's files in memory, behind the ports of the stores. What takes time happens in seeded turns, and what the
// ports say is done at once is done at once. The disk can be had as an image before every change: with those, one run
// gives all the moments at which power may fail or the process be killed.
import type { DirectoryEntry, FileHandle, FileStatus } from '../base/file-system.ts';
import type { LogDirectory, LogFile, LogFileSystem } from '../base/log-files.ts';
import { emptyDisk } from './disk-image.ts';
import type { DiskImage, NodeNumber } from './disk-image.ts';
import { readContent } from './disk-sectors.ts';
import { DiskTree } from './disk-tree.ts';
import { systemError } from './faulty-file-system.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { SeededTurns } from './seeded-turns.ts';

export type DiskOperation =
  | 'create' | 'open' | 'write' | 'truncate' | 'read' | 'sync' | 'rename' | 'link' | 'makeDirectory' | 'list' | 'status' | 'remove' | 'setMode';

/** A sync under way: it reaches as far as the disk was changed when it was asked for. */
export interface BegunSync {
  readonly fd: number;
  readonly node: NodeNumber;
  readonly path: string;
  readonly changes: number;
}

interface Opened {
  readonly fd: number;
  readonly node: NodeNumber;
  /** As it was when it was opened. */
  readonly path: string;
  readonly isReadOnly: boolean;
  syncs: number;
  closing: Promise<void> | undefined;
}

export class CrashDisk implements LogFileSystem {
  /** Changes so far, oldest first, such as `rename /data/a /data/b`. */
  readonly trace: string[] = [];
  /** What the ports forbid, such as closing a file under a sync. */
  readonly violations: string[] = [];
  /** Called before each change. */
  beforeChange: () => void = () => undefined;
  /** Asked before each operation; a code makes it fail with that error, and of a write or sync any part may have been done. */
  fault: (operation: DiskOperation, path: string) => string | undefined = () => undefined;
  /** Of the file system. */
  totalBytes = 1 << 30;
  nowMs: () => number = () => 0;
  readonly #turns: SeededTurns;
  readonly #random: SeededRandom;
  readonly #tree: DiskTree;
  readonly #opened = new Map<number, Opened>();

  /** `random` for orders that nobody promises, and for what a failed operation leaves done. */
  constructor(turns: SeededTurns, random: SeededRandom, image: DiskImage = emptyDisk) {
    this.#turns = turns;
    this.#random = random;
    this.#tree = new DiskTree(image);
  }

  /** The disk now. After a kill the next process finds it so. */
  image(): DiskImage {
    return this.#tree.image();
  }

  /** Path of an open file or directory, as it was opened. */
  pathOf(fd: number): string | undefined {
    return this.#opened.get(fd)?.path;
  }

  /** Every file as processes see it, by path. Not an operation. */
  files(): Map<string, Buffer> {
    return this.#tree.files();
  }

  /** Bytes of every file, by path. Not an operation. */
  fileSizes(): Map<string, number> {
    return new Map(Array.from(this.#tree.contents(), ([path, { sizeBytes }]) => [path, sizeBytes]));
  }

  /** Other bytes for a file, for good and behind everybody's back. Not an operation. */
  tamper(path: string, bytes: Uint8Array): void {
    this.#tree.tamper(this.#tree.existing(path), bytes);
  }

  createExclusive(path: string): Promise<FileHandle> {
    return this.#turns.run(() => this.#appending(this.#create(path, 0o600)));
  }

  openRead(path: string): Promise<FileHandle | undefined> {
    return this.#turns.run(() => {
      const opened = this.#openExisting(path, true);
      return opened === undefined ? undefined : this.#appending(opened);
    });
  }

  createLog(path: string, mode: number): Promise<LogFile> {
    return this.#turns.run(() => this.#logFile(this.#create(path, mode)));
  }

  openLog(path: string, access?: 'read'): Promise<LogFile | undefined> {
    return this.#turns.run(() => {
      const opened = this.#openExisting(path, access === 'read');
      return opened === undefined ? undefined : this.#logFile(opened);
    });
  }

  openDirectory(path: string): Promise<LogDirectory> {
    return this.#turns.run(() => {
      this.#ask('open', path);
      const node = this.#tree.existing(path);
      this.#tree.directory(node);
      const opened = this.#open(node, path);
      return { fd: opened.fd, [Symbol.asyncDispose]: () => this.#close(opened) };
    });
  }

  rename(from: string, to: string): Promise<void> {
    return this.#turns.run(() => {
      this.#change('rename', from, to);
      this.#tree.rename(from, to);
    });
  }

  /** Another name for a file, as a worker makes one. */
  link(from: string, to: string): Promise<void> {
    return this.#turns.run(() => {
      this.#change('link', from, to);
      this.#tree.link(from, to);
    });
  }

  async syncDirectory(path: string): Promise<void> {
    await using directory = await this.openDirectory(path);
    await this.#sync(directory.fd);
  }

  makeDirectory(path: string): Promise<boolean> {
    return this.#turns.run(() => {
      this.#ask('makeDirectory', path);
      let made = false;
      let at = '';
      for (const name of path.split('/')) {
        if (name === '') continue;
        at = `${at}/${name}`;
        const node = this.#tree.find(at);
        if (node !== undefined) {
          this.#tree.directory(node);
          continue;
        }
        this.#change('makeDirectory', at);
        this.#tree.createDirectory(at);
        made = true;
      }
      return made;
    });
  }

  removeDirectory(path: string): Promise<boolean> {
    return this.#turns.run(() => {
      this.#ask('remove', path);
      const node = this.#tree.find(path);
      if (node === undefined || this.#tree.directory(node).cached.size > 0) return false;
      this.#change('remove', path);
      this.#tree.unlink(path);
      return true;
    });
  }

  /** One way round or the other, since no order is promised. */
  list(path: string): Promise<readonly DirectoryEntry[] | undefined> {
    return this.#turns.run(() => {
      this.#ask('list', path);
      const number = this.#tree.find(path);
      if (number === undefined) return undefined;
      const entries = Array.from(this.#tree.directory(number).cached, ([name, child]): DirectoryEntry => ({ name, kind: this.#tree.node(child).kind }));
      return this.#random.fraction() < 0.5 ? entries : entries.toReversed();
    });
  }

  status(path: string): Promise<FileStatus | undefined> {
    return this.#turns.run(() => {
      this.#ask('status', path);
      const number = this.#tree.find(path);
      if (number === undefined) return undefined;
      const node = this.#tree.node(number);
      if (node.kind === 'directory') return { kind: 'directory', sizeBytes: 0, modifiedMs: 0 };
      return { kind: 'file', sizeBytes: node.cached.sizeBytes, modifiedMs: node.modifiedMs };
    });
  }

  remove(path: string): Promise<boolean> {
    return this.#turns.run(() => {
      this.#ask('remove', path);
      const node = this.#tree.find(path);
      if (node === undefined) return false;
      this.#tree.file(node);
      this.#change('remove', path);
      this.#tree.unlink(path);
      return true;
    });
  }

  async discard(path: string): Promise<void> {
    await this.remove(path).catch(() => false); // by contract: what cannot be removed stays for the next start
  }

  space(_path: string): Promise<{ readonly totalBytes: number; readonly freeBytes: number }> {
    return this.#turns.run(() => ({ totalBytes: this.totalBytes, freeBytes: Math.max(0, this.totalBytes - this.#tree.usedBytes) }));
  }

  /** For ports of syncs. All that was done up to now will be durable when the sync ends. @throws EBADF */
  syncBegins(fd: number, changes: number = this.changes): BegunSync {
    const opened = this.#opened.get(fd);
    if (opened === undefined) {
      this.violations.push(`a sync of descriptor ${fd}, which is not open`);
      throw systemError('EBADF', 'sync');
    }
    opened.syncs += 1;
    return { fd, node: opened.node, path: opened.path, changes };
  }

  /** @throws what `fault` says: then an unknown part is durable, and the rest never will be. */
  syncEnds({ fd, node, path, changes }: BegunSync): void {
    const opened = this.#opened.get(fd);
    if (opened !== undefined) opened.syncs -= 1;
    const code = this.#change('sync', path);
    if (code === undefined) {
      this.#tree.sync(node, changes);
      return;
    }
    this.#tree.failSync(node, changes, this.#random);
    throw systemError(code, path);
  }

  /** How often the disk was changed. */
  get changes(): number {
    return this.#tree.changes;
  }

  async #sync(fd: number): Promise<void> {
    const sync = this.syncBegins(fd);
    await this.#turns.run(() => this.syncEnds(sync));
  }

  #logFile(opened: Opened): LogFile {
    const { fd, node, path } = opened;
    const write = (buffers: readonly Uint8Array[], position: number): void => this.#write(opened, buffers, position);
    const read = (into: Uint8Array, position: number): number => {
      this.#use(opened);
      this.#ask('read', path);
      return readContent(this.#tree.file(node).cached, into, position);
    };
    return {
      fd,
      writeNow: write,
      readNow: read,
      read: (into, position) => this.#turns.run(() => read(into, position)),
      write: (bytes, position) => this.#turns.run(() => write([bytes], position)),
      truncate: (sizeBytes) =>
        this.#turns.run(() => {
          this.#use(opened);
          this.#change('truncate', path, String(sizeBytes));
          this.#tree.truncate(node, sizeBytes);
        }),
      setMode: (mode) =>
        this.#turns.run(() => {
          this.#use(opened);
          this.#ask('setMode', path);
          this.#tree.setFacts(node, { mode });
        }),
      status: () =>
        this.#turns.run(() => {
          this.#use(opened);
          this.#ask('status', path);
          return { sizeBytes: this.#tree.file(node).cached.sizeBytes, links: this.#tree.linksOf(node) };
        }),
      [Symbol.asyncDispose]: () => this.#close(opened),
    };
  }

  #appending(opened: Opened): FileHandle {
    const file = this.#logFile(opened);
    return {
      write: (bytes) => this.#turns.run(() => this.#write(opened, [bytes], this.#tree.file(opened.node).cached.sizeBytes)),
      read: (into, offset) => file.read(into, offset),
      syncData: () => this.#sync(opened.fd),
      [Symbol.asyncDispose]: () => this.#close(opened),
    };
  }

  #write(opened: Opened, buffers: readonly Uint8Array[], position: number): void {
    const { node, path, isReadOnly } = opened;
    this.#use(opened);
    if (isReadOnly) throw systemError('EBADF', path);
    const code = this.#change('write', path, `${position}+${buffers.reduce((sum, { byteLength }) => sum + byteLength, 0)}`);
    if (code === undefined) {
      this.#tree.write(node, buffers, position);
      return;
    }
    const whole = Buffer.concat(buffers);
    this.#tree.write(node, [whole.subarray(0, this.#random.integer(0, whole.byteLength))], position);
    throw systemError(code, path);
  }

  #ask(operation: DiskOperation, path: string): void {
    const code = this.fault(operation, path);
    if (code !== undefined) throw systemError(code, path);
  }

  /** Of writes and syncs, which may be done in part, gives the code of the fault; of others throws it. */
  #change(operation: DiskOperation, path: string, more?: string): string | undefined {
    const code = this.fault(operation, path);
    if (code !== undefined && operation !== 'write' && operation !== 'sync') throw systemError(code, path);
    this.beforeChange();
    this.trace.push(`${operation} ${path}${more === undefined ? '' : ` ${more}`}${code === undefined ? '' : ` fails: ${code}`}`);
    return code;
  }

  #create(path: string, mode: number): Opened {
    this.#change('create', path);
    return this.#open(this.#tree.createFile(path, { mode, modifiedMs: this.nowMs() }), path);
  }

  #openExisting(path: string, isReadOnly: boolean): Opened | undefined {
    this.#ask('open', path);
    const node = this.#tree.find(path);
    if (node === undefined) return undefined;
    this.#tree.file(node);
    return this.#open(node, path, isReadOnly);
  }

  #open(node: NodeNumber, path: string, isReadOnly = false): Opened {
    let fd = 3;
    while (this.#opened.has(fd)) fd += 1; // the smallest that is free, as the system does
    const opened: Opened = { fd, node, path, isReadOnly, syncs: 0, closing: undefined };
    this.#opened.set(fd, opened);
    return opened;
  }

  #use({ path, closing }: Opened): void {
    if (closing === undefined) return;
    this.violations.push(`${path} was used after it was closed`);
    throw systemError('EBADF', path);
  }

  #close(opened: Opened): Promise<void> {
    opened.closing ??= this.#turns.run(() => {
      if (opened.syncs > 0) this.violations.push(`${opened.path} was closed while it was synced`);
      this.#opened.delete(opened.fd);
    });
    return opened.closing;
  }
}
