// The real FileSystem.
import { constants } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat, statfs, unlink } from 'node:fs/promises';
import type { FileHandle as NodeHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { DirectoryEntry, FileHandle, FileStatus, FileSystem } from '../base/file-system.ts';
import { errorCodeOf } from './error-code-of.ts';

/** Stored content never changes, and hard links share the mode (K1-18): readable by all, writable by nobody. */
const storedMode = 0o444;
/** Appending, so that no write depends on a position; the name must be new. */
const createFlags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_APPEND;

/** An open file of node:fs. */
class NodeFileHandle implements FileHandle {
  readonly #handle: NodeHandle;
  #open = true;

  constructor(handle: NodeHandle) {
    this.#handle = handle;
  }

  async write(bytes: Uint8Array): Promise<void> {
    let offset = 0;
    while (offset < bytes.byteLength) {
      const { bytesWritten } = await this.#handle.write(bytes, offset, bytes.byteLength - offset);
      offset += bytesWritten;
    }
  }

  async read(into: Uint8Array, offset: number): Promise<number> {
    let got = 0;
    while (got < into.byteLength) {
      const { bytesRead } = await this.#handle.read(into, got, into.byteLength - got, offset + got);
      if (bytesRead === 0) break;
      got += bytesRead;
    }
    return got;
  }

  syncData(): Promise<void> {
    return this.#handle.datasync();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    // What must survive was synced before; an error of close says nothing that could still be acted on.
    await this.#handle.close().catch(() => undefined);
  }
}

/** Files of this machine. Paths are absolute. */
export class NodeFileSystem implements FileSystem {
  async createExclusive(path: string): Promise<FileHandle> {
    const handle = await open(path, createFlags, storedMode);
    try {
      // The umask may have taken bits away; the mode is a promise to whoever links the file.
      if ((process.umask() & storedMode) !== 0) await handle.chmod(storedMode);
    } catch (thrown) {
      await handle.close().catch(() => undefined);
      throw thrown;
    }
    return new NodeFileHandle(handle);
  }

  async openRead(path: string): Promise<FileHandle | undefined> {
    const handle = await unlessAbsent(open(path, 'r'));
    return handle && new NodeFileHandle(handle);
  }

  async rename(from: string, to: string): Promise<void> {
    await rename(from, to);
  }

  async syncDirectory(path: string): Promise<void> {
    const handle = await open(path, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  }

  async makeDirectory(path: string): Promise<boolean> {
    // One by one: Node's own way to make several tries for ever where the system says that what is there is absent, as
    // below /proc, and hides the reason on a read-only file system.
    try {
      await mkdir(path);
      return true;
    } catch (error) {
      if (errorCodeOf(error) === 'EEXIST' && (await isDirectory(path))) return false;
      const parent = dirname(path);
      if (!isAbsence(error) || parent === path) throw error;
      await this.makeDirectory(parent);
    }
    await mkdir(path).catch(async (error: unknown) => {
      if (errorCodeOf(error) !== 'EEXIST' || !(await isDirectory(path))) throw error; // made by somebody else meanwhile
    });
    return true;
  }

  async list(path: string): Promise<readonly DirectoryEntry[] | undefined> {
    const entries = await unlessAbsent(readdir(path, { withFileTypes: true }));
    return entries?.map((entry) => ({ name: entry.name, kind: kindOf(entry) }));
  }

  async status(path: string): Promise<FileStatus | undefined> {
    const found = await unlessAbsent(stat(path));
    return found && { kind: kindOf(found), sizeBytes: found.size, modifiedMs: found.mtimeMs };
  }

  async remove(path: string): Promise<boolean> {
    return (await unlessAbsent(unlink(path).then(() => true))) ?? false;
  }

  async discard(path: string): Promise<void> {
    await rm(path, { force: true }).catch(() => undefined);
  }

  async space(path: string): Promise<{ totalBytes: number; freeBytes: number }> {
    const { bsize, blocks, bavail } = await statfs(path);
    return { totalBytes: bsize * blocks, freeBytes: bsize * bavail };
  }
}

function kindOf(entry: { isFile(): boolean; isDirectory(): boolean }): DirectoryEntry['kind'] {
  if (entry.isFile()) return 'file';
  return entry.isDirectory() ? 'directory' : 'other';
}

async function unlessAbsent<T>(operation: Promise<T>): Promise<T | undefined> {
  try {
    return await operation;
  } catch (thrown) {
    if (isAbsence(thrown)) return undefined;
    throw thrown;
  }
}

async function isDirectory(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() === true;
}

function isAbsence(thrown: unknown): boolean {
  return errorCodeOf(thrown) === 'ENOENT';
}
