// The real files of the segment engine: the FileSystem of this machine, and files that are read and written at positions.
import { constants, readSync, writevSync } from 'node:fs';
import { open, rmdir } from 'node:fs/promises';
import type { FileHandle as NodeHandle } from 'node:fs/promises';
import { assert } from '../base/assert.ts';
import type { LogDirectory, LogFile, LogFileSystem } from '../base/log-files.ts';
import { errorCodeOf } from './error-code-of.ts';
import { NodeFileSystem } from './node-file-system.ts';

/** POSIX allows either of the last two for a directory that is not empty. */
const keptDirectoryCodes: ReadonlySet<string> = new Set(['ENOENT', 'ENOTEMPTY', 'EEXIST']);
const createFlags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL;

/** What is open, until it is closed: the next file may get the same descriptor. */
class OpenHandle implements LogDirectory {
  readonly #handle: NodeHandle;
  #closing: Promise<void> | undefined;

  constructor(handle: NodeHandle) {
    this.#handle = handle;
  }

  get fd(): number {
    return this.handle.fd;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // What must survive was synced before; an error of close says nothing that could still be acted on.
    this.#closing ??= this.#handle.close().catch(() => undefined);
    await this.#closing;
  }

  protected get handle(): NodeHandle {
    assert(this.#closing === undefined, 'a closed file is not used');
    return this.#handle;
  }
}

class NodeLogFile extends OpenHandle implements LogFile {
  writeNow(buffers: readonly Uint8Array[], position: number): void {
    let rest = buffers;
    let at = position;
    while (rest.length > 0) {
      const written = writevSync(this.fd, rest, at);
      at += written;
      rest = buffersBehind(rest, written);
    }
  }

  readNow(into: Uint8Array, position: number): number {
    let got = 0;
    while (got < into.byteLength) {
      const count = readSync(this.fd, into, got, into.byteLength - got, position + got);
      if (count === 0) break;
      got += count;
    }
    return got;
  }

  async read(into: Uint8Array, position: number): Promise<number> {
    let got = 0;
    while (got < into.byteLength) {
      const { bytesRead } = await this.handle.read(into, got, into.byteLength - got, position + got);
      if (bytesRead === 0) break;
      got += bytesRead;
    }
    return got;
  }

  async write(bytes: Uint8Array, position: number): Promise<void> {
    let offset = 0;
    while (offset < bytes.byteLength) {
      const { bytesWritten } = await this.handle.write(bytes, offset, bytes.byteLength - offset, position + offset);
      offset += bytesWritten;
    }
  }

  async truncate(lengthBytes: number): Promise<void> {
    await this.handle.truncate(lengthBytes);
  }

  async setMode(mode: number): Promise<void> {
    await this.handle.chmod(mode);
  }

  async status(): Promise<{ readonly sizeBytes: number; readonly links: number }> {
    const { size, nlink } = await this.handle.stat();
    return { sizeBytes: size, links: nlink };
  }
}

/** What is left of `buffers` behind their first `count` bytes, nothing when that is all: the system may take less than it is given. */
export function buffersBehind(buffers: readonly Uint8Array[], count: number): readonly Uint8Array[] {
  let skipped = 0;
  for (const [index, buffer] of buffers.entries()) {
    if (skipped + buffer.byteLength > count) return [buffer.subarray(count - skipped), ...buffers.slice(index + 1)];
    skipped += buffer.byteLength;
  }
  return [];
}

/** Files of this machine. Paths are absolute. */
export class NodeLogFileSystem extends NodeFileSystem implements LogFileSystem {
  async createLog(path: string, mode: number): Promise<LogFile> {
    const handle = await open(path, createFlags, mode);
    try {
      // The umask may have taken bits away; the mode is a promise to whoever links the file.
      if ((process.umask() & mode) !== 0) await handle.chmod(mode);
    } catch (thrown) {
      await handle.close().catch(() => undefined);
      throw thrown;
    }
    return new NodeLogFile(handle);
  }

  async openLog(path: string, access?: 'read'): Promise<LogFile | undefined> {
    try {
      return new NodeLogFile(await open(path, access === 'read' ? constants.O_RDONLY : constants.O_RDWR));
    } catch (thrown) {
      if (errorCodeOf(thrown) === 'ENOENT') return undefined;
      throw thrown;
    }
  }

  async openDirectory(path: string): Promise<LogDirectory> {
    return new OpenHandle(await open(path, constants.O_RDONLY | constants.O_DIRECTORY));
  }

  async removeDirectory(path: string): Promise<boolean> {
    try {
      await rmdir(path);
      return true;
    } catch (thrown) {
      if (keptDirectoryCodes.has(errorCodeOf(thrown))) return false;
      throw thrown;
    }
  }
}
