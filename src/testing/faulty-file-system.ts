// A file system in memory that forgets what was not synced, stops at any step, and fails on demand.
import { basename, dirname } from 'node:path';
import type { DirectoryEntry, FileHandle, FileStatus, FileSystem } from '../base/file-system.ts';
import type { SeededRandom } from './seeded-random.ts';

interface FileNode {
  readonly kind: 'file';
  bytes: Buffer;
  /** So many bytes from the start survive a power cut for sure. */
  syncedBytes: number;
  modifiedMs: number;
}

interface DirectoryNode {
  readonly kind: 'directory';
  entries: Map<string, Node>;
  /** The entries that survive a power cut for sure. */
  synced: Map<string, Node>;
  /** What was done since the last sync, in order; each may or may not survive. A rename within one directory is one change. */
  pending: Change[];
}

/** First the name that went, then the one that came. */
interface Change {
  readonly removed?: string;
  readonly added?: readonly [string, Node];
}

type Node = FileNode | DirectoryNode;

/** The names of the port's operations, as `operations` records them. */
export type Operation =
  | 'createExclusive' | 'openRead' | 'write' | 'read' | 'syncData' | 'rename' | 'syncDirectory'
  | 'makeDirectory' | 'list' | 'status' | 'remove' | 'discard' | 'space';

/** Thrown by every operation after the cut: the process that called is dead and must not be heard. */
export class CutError extends Error {
  override readonly name = 'CutError';
}

/** An error as Node makes them for a failed system call. */
export function systemError(code: string, operation = 'fake'): Error {
  return Object.assign(new Error(`${code}: injected, ${operation}`), { code, syscall: operation });
}

export class FaultyFileSystem implements FileSystem {
  /** Everything done so far, oldest first. */
  readonly operations: { readonly operation: Operation; readonly path: string }[] = [];
  /** The process dies before the operation of that number; Infinity: never. */
  cutAt = Infinity;
  /** Asked before each operation; a code makes it fail with that error, `short` makes a write stop halfway with ENOSPC. */
  fault: (operation: Operation, path: string) => string | undefined = () => undefined;
  freeBytes = 1 << 30;
  /** What new files get as modification time. */
  nowMs: () => number = () => 0;
  #root: DirectoryNode = directoryNode();

  /** The state that a process finds that starts after this one was killed: the kernel has lost nothing, nor synced more. */
  afterKill(): FaultyFileSystem {
    return this.#next(cloneTree(this.#root));
  }

  /** One of the states that a power cut may leave: any subset of unsynced names, unsynced bytes lost, zeroed or kept. */
  afterPowerCut(random: SeededRandom): FaultyFileSystem {
    return this.#next(survivors(this.#root, random));
  }

  #next(root: DirectoryNode): FaultyFileSystem {
    const next = new FaultyFileSystem();
    next.nowMs = this.nowMs;
    next.#root = root;
    return next;
  }

  /** Every file with its bytes, by path. Not an operation. */
  snapshot(): Map<string, Buffer> {
    const found = new Map<string, Buffer>();
    const visit = (directory: DirectoryNode, path: string): void => {
      for (const [name, node] of directory.entries) {
        if (node.kind === 'file') found.set(`${path}/${name}`, node.bytes);
        else visit(node, `${path}/${name}`);
      }
    };
    visit(this.#root, '');
    return found;
  }

  /** Damages or shortens a file behind the back of who wrote it. Not an operation. */
  tamper(path: string, change: (bytes: Buffer) => Buffer): void {
    const file = this.#find(path);
    if (file?.kind !== 'file') throw systemError('ENOENT', path);
    file.bytes = change(Buffer.from(file.bytes));
    file.syncedBytes = file.bytes.byteLength;
  }

  async createExclusive(path: string): Promise<FileHandle> {
    this.#begin('createExclusive', path);
    const directory = this.#directory(dirname(path));
    if (directory.entries.has(basename(path))) throw systemError('EEXIST', path);
    const file: FileNode = { kind: 'file', bytes: Buffer.alloc(0), syncedBytes: 0, modifiedMs: this.nowMs() };
    change(directory, { added: [basename(path), file] });
    return this.#handle(path, file);
  }

  async openRead(path: string): Promise<FileHandle | undefined> {
    this.#begin('openRead', path);
    const file = this.#find(path);
    return file?.kind === 'file' ? this.#handle(path, file) : undefined;
  }

  async rename(from: string, to: string): Promise<void> {
    this.#begin('rename', to);
    const [source, target] = [this.#directory(dirname(from)), this.#directory(dirname(to))];
    const node = source.entries.get(basename(from));
    if (node === undefined) throw systemError('ENOENT', from);
    if (source === target) {
      change(source, { removed: basename(from), added: [basename(to), node] });
      return;
    }
    change(source, { removed: basename(from) });
    change(target, { added: [basename(to), node] });
  }

  async syncDirectory(path: string): Promise<void> {
    this.#begin('syncDirectory', path);
    const directory = this.#directory(path);
    const [seen, pending] = [new Map(directory.entries), directory.pending.length];
    await Promise.resolve(); // names made from here on are not promised by this sync
    if (this.operations.length > this.cutAt) throw new CutError('the process is dead');
    directory.synced = seen;
    directory.pending.splice(0, pending);
  }

  async makeDirectory(path: string): Promise<boolean> {
    this.#begin('makeDirectory', path);
    let directory = this.#root;
    let made = false;
    for (const name of path.split('/').filter((part) => part !== '')) {
      const next = directory.entries.get(name) ?? directoryNode();
      if (next.kind !== 'directory') throw systemError('ENOTDIR', path);
      if (!directory.entries.has(name)) {
        change(directory, { added: [name, next] });
        made = true;
      }
      directory = next;
    }
    return made;
  }

  async list(path: string): Promise<readonly DirectoryEntry[] | undefined> {
    this.#begin('list', path);
    const directory = this.#find(path);
    if (directory === undefined) return undefined;
    if (directory.kind !== 'directory') throw systemError('ENOTDIR', path);
    return Array.from(directory.entries, ([name, { kind }]) => ({ name, kind }));
  }

  async status(path: string): Promise<FileStatus | undefined> {
    this.#begin('status', path);
    const node = this.#find(path);
    if (node === undefined) return undefined;
    if (node.kind === 'directory') return { kind: 'directory', sizeBytes: 0, modifiedMs: 0 };
    return { kind: 'file', sizeBytes: node.bytes.byteLength, modifiedMs: node.modifiedMs };
  }

  async remove(path: string): Promise<boolean> {
    this.#begin('remove', path);
    return this.#remove(path);
  }

  async discard(path: string): Promise<void> {
    try {
      this.#begin('discard', path);
      this.#remove(path);
    } catch {
      // by contract: what cannot be removed stays for the sweep at start
    }
  }

  async space(path: string): Promise<{ totalBytes: number; freeBytes: number }> {
    this.#begin('space', path);
    return { totalBytes: 1 << 30, freeBytes: this.freeBytes };
  }

  #handle(path: string, file: FileNode): FileHandle {
    return {
      write: async (bytes) => {
        const short = this.#begin('write', path) === 'short';
        file.bytes = Buffer.concat([file.bytes, short ? bytes.subarray(0, bytes.byteLength >> 1) : bytes]);
        if (short) throw systemError('ENOSPC', 'write');
      },
      read: async (into, offset) => {
        this.#begin('read', path);
        return file.bytes.copy(into, 0, offset, offset + into.byteLength);
      },
      syncData: async () => {
        this.#begin('syncData', path);
        file.syncedBytes = file.bytes.byteLength;
      },
      async [Symbol.asyncDispose]() {},
    };
  }

  /** Records the operation. Returns `short` when the write is to stop halfway. */
  #begin(operation: Operation, path: string): 'short' | undefined {
    if (this.operations.length >= this.cutAt) {
      this.cutAt = -1; // dead for good, however the operations are counted from here
      throw new CutError('the process is dead');
    }
    this.operations.push({ operation, path });
    const code = this.fault(operation, path);
    if (code === 'short') return 'short';
    if (code !== undefined) throw systemError(code, operation);
    return undefined;
  }

  #remove(path: string): boolean {
    const parent = this.#find(dirname(path));
    if (parent?.kind !== 'directory' || !parent.entries.has(basename(path))) return false;
    change(parent, { removed: basename(path) });
    return true;
  }

  #find(path: string): Node | undefined {
    let node: Node | undefined = this.#root;
    for (const name of path.split('/').filter((part) => part !== '')) {
      if (node?.kind !== 'directory') return undefined;
      node = node.entries.get(name);
    }
    return node;
  }

  #directory(path: string): DirectoryNode {
    const node = this.#find(path);
    if (node?.kind !== 'directory') throw systemError('ENOENT', path);
    return node;
  }
}

function directoryNode(): DirectoryNode {
  return { kind: 'directory', entries: new Map(), synced: new Map(), pending: [] };
}

function change(directory: DirectoryNode, done: Change): void {
  apply(directory.entries, done);
  directory.pending.push(done);
}

function apply(entries: Map<string, Node>, { removed, added }: Change): void {
  if (removed !== undefined) entries.delete(removed);
  if (added !== undefined) entries.set(...added);
}

/** The same tree with the same things unsynced. */
function cloneTree(root: DirectoryNode): DirectoryNode {
  const clones = new Map<Node, Node>();
  const names = (from: Map<string, Node>): Map<string, Node> => new Map(Array.from(from, ([name, node]) => [name, clone(node)]));
  const clone = (node: Node): Node => {
    const known = clones.get(node);
    if (known !== undefined) return known;
    if (node.kind === 'file') {
      const file = { ...node, bytes: Buffer.from(node.bytes) };
      clones.set(node, file);
      return file;
    }
    return cloneDirectory(node);
  };
  const cloneDirectory = (node: DirectoryNode): DirectoryNode => {
    const directory = directoryNode();
    clones.set(node, directory);
    directory.entries = names(node.entries);
    directory.synced = names(node.synced);
    directory.pending = node.pending.map(({ removed, added }) => ({
      ...(removed === undefined ? {} : { removed }),
      ...(added === undefined ? {} : { added: [added[0], clone(added[1])] as const }),
    }));
    return directory;
  };
  return cloneDirectory(root);
}

/** What a power cut leaves of a directory, all of it synced. */
function survivors(directory: DirectoryNode, random: SeededRandom): DirectoryNode {
  const entries = new Map(directory.synced);
  for (const done of directory.pending) if (random.integer(0, 1) === 1) apply(entries, done);
  const left = directoryNode();
  for (const [name, node] of entries) left.entries.set(name, node.kind === 'directory' ? survivors(node, random) : survivingFile(node, random));
  left.synced = new Map(left.entries);
  return left;
}

function survivingFile(file: FileNode, random: SeededRandom): FileNode {
  const kept = random.integer(file.syncedBytes, file.bytes.byteLength);
  const bytes = Buffer.from(file.bytes);
  // Either the rest is gone, or its length survived before its bytes did.
  const left = random.integer(0, 2) === 0 ? bytes.subarray(0, kept) : bytes.fill(0, kept);
  return { kind: 'file', bytes: left, syncedBytes: left.byteLength, modifiedMs: file.modifiedMs };
}
