// A file system in memory that says what was done, and fails on demand. It loses nothing: what cuts leave is tried on crash-disk.ts.
import { basename, dirname } from 'node:path';
import type { DirectoryEntry, FileHandle, FileStatus, FileSystem } from '../base/file-system.ts';

interface FileNode {
  readonly kind: 'file';
  bytes: Buffer;
  readonly modifiedMs: number;
}

interface DirectoryNode {
  readonly kind: 'directory';
  readonly entries: Map<string, Node>;
}

type Node = FileNode | DirectoryNode;

/** The names of the port's operations, as `operations` records them. */
export type Operation =
  | 'createExclusive' | 'openRead' | 'write' | 'read' | 'syncData' | 'rename' | 'syncDirectory'
  | 'makeDirectory' | 'list' | 'status' | 'remove' | 'discard' | 'space';

/** An error as Node makes them for a failed system call. */
export function systemError(code: string, operation = 'fake'): Error {
  return Object.assign(new Error(`${code}: injected, ${operation}`), { code, syscall: operation });
}

export class FaultyFileSystem implements FileSystem {
  /** Everything done so far, oldest first. */
  readonly operations: { readonly operation: Operation; readonly path: string }[] = [];
  /** Asked before each operation; a code makes it fail with that error. */
  fault: (operation: Operation, path: string) => string | undefined = () => undefined;
  /** What new files get as modification time. */
  nowMs: () => number = () => 0;
  readonly #root: DirectoryNode = directoryNode();

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

  async createExclusive(path: string): Promise<FileHandle> {
    this.#begin('createExclusive', path);
    const directory = this.#directory(dirname(path));
    if (directory.entries.has(basename(path))) throw systemError('EEXIST', path);
    const file: FileNode = { kind: 'file', bytes: Buffer.alloc(0), modifiedMs: this.nowMs() };
    directory.entries.set(basename(path), file);
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
    source.entries.delete(basename(from));
    target.entries.set(basename(to), node);
  }

  async syncDirectory(path: string): Promise<void> {
    this.#begin('syncDirectory', path);
    this.#directory(path);
  }

  async makeDirectory(path: string): Promise<boolean> {
    this.#begin('makeDirectory', path);
    let directory = this.#root;
    let made = false;
    for (const name of path.split('/').filter((part) => part !== '')) {
      const next = directory.entries.get(name) ?? directoryNode();
      if (next.kind !== 'directory') throw systemError('ENOTDIR', path);
      if (!directory.entries.has(name)) {
        directory.entries.set(name, next);
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
    return { totalBytes: 1 << 30, freeBytes: 1 << 30 };
  }

  #handle(path: string, file: FileNode): FileHandle {
    return {
      write: async (bytes) => {
        this.#begin('write', path);
        file.bytes = Buffer.concat([file.bytes, bytes]);
      },
      read: async (into, offset) => {
        this.#begin('read', path);
        return file.bytes.copy(into, 0, offset, offset + into.byteLength);
      },
      syncData: async () => {
        this.#begin('syncData', path);
      },
      async [Symbol.asyncDispose]() {},
    };
  }

  #begin(operation: Operation, path: string): void {
    this.operations.push({ operation, path });
    const code = this.fault(operation, path);
    if (code !== undefined) throw systemError(code, operation);
  }

  #remove(path: string): boolean {
    const parent = this.#find(dirname(path));
    return parent?.kind === 'directory' && parent.entries.delete(basename(path));
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
  return { kind: 'directory', entries: new Map() };
}
