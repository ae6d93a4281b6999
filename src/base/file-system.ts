// The port of files. A fake that forgets what was not synced stands in for it in crash tests.
// Errors keep the operating system's `code` (ENOENT, ENOSPC, ...): who knows what an operation means maps them.

/** An open file. Disposing it closes it; closing twice does nothing. */
export interface FileHandle extends AsyncDisposable {
  /** Appends all of `bytes`. @throws ENOSPC, EIO, ... */
  write(bytes: Uint8Array): Promise<void>;
  /** Reads into `into` from `offset`; fewer bytes than asked only at the end of the file. */
  read(into: Uint8Array, offset: number): Promise<number>;
  /** fdatasync: content and length survive a power cut. A failure is final, never retried. */
  syncData(): Promise<void>;
}

/** What a directory holds. */
export interface DirectoryEntry {
  readonly name: string;
  readonly kind: 'file' | 'directory' | 'other';
}

/** What is known of a file without opening it. */
export interface FileStatus {
  readonly kind: 'file' | 'directory' | 'other';
  readonly sizeBytes: number;
  /** Milliseconds since the Unix epoch. */
  readonly modifiedMs: number;
}

/** Paths are absolute. */
export interface FileSystem {
  /** Creates a file that must not exist yet, for appending. */
  createExclusive(path: string): Promise<FileHandle>;
  /** Opens for reading; undefined when there is no such file. */
  openRead(path: string): Promise<FileHandle | undefined>;
  rename(from: string, to: string): Promise<void>;
  /** Makes names created, renamed or removed in the directory survive a power cut. */
  syncDirectory(path: string): Promise<void>;
  /** Creates the directory and its parents; fine when it exists. Resolves to true when it was created. */
  makeDirectory(path: string): Promise<boolean>;
  /** Entries in no particular order; undefined when there is no such directory. */
  list(path: string): Promise<readonly DirectoryEntry[] | undefined>;
  status(path: string): Promise<FileStatus | undefined>;
  /** Removes a file; resolves to false when there was none. */
  remove(path: string): Promise<boolean>;
  /** Removes a file if it can; never throws. For clean-up whose failure start-up makes good. */
  discard(path: string): Promise<void>;
  /** Bytes of the file system that holds `path`, in all and free for us. */
  space(path: string): Promise<{ readonly totalBytes: number; readonly freeBytes: number }>;
}
