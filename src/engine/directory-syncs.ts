// How the segment engine syncs directories: by the thread for syncs, since the small pool of the runtime is shared with
// everything that reads and opens files.
import type { LogFileSystem, SyncPort } from '../base/log-files.ts';
import type { DirectoryFiles } from './durable-directories.ts';

/** For `DurableDirectories`. A directory is open for as long as its sync takes. */
export class DirectorySyncs implements DirectoryFiles {
  readonly #files: Pick<LogFileSystem, 'makeDirectory' | 'openDirectory'>;
  readonly #syncs: Pick<SyncPort, 'sync'>;

  constructor(files: Pick<LogFileSystem, 'makeDirectory' | 'openDirectory'>, syncs: Pick<SyncPort, 'sync'>) {
    this.#files = files;
    this.#syncs = syncs;
  }

  makeDirectory(path: string): Promise<boolean> {
    return this.#files.makeDirectory(path);
  }

  async syncDirectory(path: string): Promise<void> {
    await using directory = await this.#files.openDirectory(path);
    await this.#syncs.sync(directory.fd, 'names');
  }
}
