// The ports of the segment engine: files that are written at positions, and the two kinds of work on them that would hold
// up the loop, syncs and hashing. What is written goes to the page cache at once, from the loop; whether it is durable is
// the business of a SyncPort. Errors of files keep the operating system's `code`.
import type { FileSystem } from './file-system.ts';

/** An open file that is read and written at positions. Disposing it closes it; closing twice does nothing. */
export interface LogFile extends AsyncDisposable {
  /** Names the file to a SyncPort, and means nothing elsewhere. The file stays open while a sync of it is under way. */
  readonly fd: number;
  /** Writes all bytes at `position`, one buffer behind the other, before it returns. @throws ENOSPC, EIO, ...: any part may be written. */
  writeNow(buffers: readonly Uint8Array[], position: number): void;
  /** Bytes read into `into`, fewer than asked only at the end of the file. Blocks the loop: only for what is in the page cache. */
  readNow(into: Uint8Array, position: number): number;
  /** As `readNow`, off the loop. */
  read(into: Uint8Array, position: number): Promise<number>;
  /** Writes all bytes at `position`, off the loop. `bytes` may not change meanwhile. @throws as `writeNow`. */
  write(bytes: Uint8Array, position: number): Promise<void>;
  /** Cuts the file, or makes it longer by zeros. */
  truncate(lengthBytes: number): Promise<void>;
  /** Permissions, whatever the umask. Only while no other name is linked to the file: links share them (K1-18). */
  setMode(mode: number): Promise<void>;
  /** `links`: how many names it has. */
  status(): Promise<{ readonly sizeBytes: number; readonly links: number }>;
}

/** An open directory, so that its names can be synced. */
export interface LogDirectory extends AsyncDisposable {
  /** As `LogFile.fd`. */
  readonly fd: number;
}

/** Paths are absolute. */
export interface LogFileSystem extends FileSystem {
  /** Creates a file that must not exist yet, for reading and writing. It has `mode` whatever the umask. */
  createLog(path: string, mode: number): Promise<LogFile>;
  /** Opens for reading and writing, or to be read only, as the mode of a file may demand; undefined when there is no such file. */
  openLog(path: string, access?: 'read'): Promise<LogFile | undefined>;
  /** @throws ENOENT, ENOTDIR, ... */
  openDirectory(path: string): Promise<LogDirectory>;
  /** Removes a directory that is empty. False: there was none, or there is something in it. */
  removeDirectory(path: string): Promise<boolean>;
}

/** `data`: content and length of a file (fdatasync); `names`: what a directory holds (fsync). */
export type SyncTarget = 'data' | 'names';

/** Syncs off the loop. Disposing it waits for what was asked, which may take as long as the disk wants. */
export interface SyncPort extends AsyncDisposable {
  /**
   * Resolves when all that was written to `fd` before this call is durable, to the microseconds that the system took.
   * Calls for one fd that wait for a sync to begin share it; one that has begun answers for nobody who comes later.
   * @throws EIO, ENOSPC, EBADF, ... or CacheError `unavailable` (the thread ended, or this is closing). Final for that file:
   *   the kernel tells a lost write once and forgets it, so a later success would say nothing about earlier writes. Whoever
   *   waits for the same fd meanwhile fails as well.
   */
  sync(fd: number, target: SyncTarget): Promise<number>;
}

/** The hash of one body, which comes in pieces. Disposing it gives back what it holds, in the middle too. */
export interface BodyHasher extends Disposable {
  /**
   * Takes bytes in order. They may be written again when it returns undefined, or else when the promise resolves; no other
   * call before that. @throws CacheError `unavailable`: the thread that hashed has ended, and the body must be sent again.
   */
  update(bytes: Uint8Array): Promise<void> | undefined;
  /** Lower-case hex. Ends it; called once. @throws as `update`. */
  hex(): Promise<string>;
}

/** Hashing off the loop. `FunctionName` are the names of the digest functions, which this layer does not know. */
export interface HashPort<FunctionName extends string = string> {
  /** `expectedBytes`: of the whole body, as announced (Infinity: unknown). A small one is hashed where it comes. */
  begin(functionName: FunctionName, expectedBytes: number): BodyHasher;
}
