// Directories whose names, and the names in them, survive a power cut. Knows nothing of what the files are.
import { dirname } from 'node:path';
import type { FileSystem } from '../base/file-system.ts';
import { io, systemCode } from './storage-error.ts';

/** One sync under way, and the one that those wait for who came too late for it. */
interface Sync {
  readonly current: Promise<void>;
  next?: Promise<void>;
}

/** What is needed of files. */
export type DirectoryFiles = Pick<FileSystem, 'makeDirectory' | 'syncDirectory'>;

/** Makes and syncs directories below `root`, which exists and is durable. Syncs of one directory are shared. */
export class DurableDirectories {
  readonly #files: DirectoryFiles;
  readonly #root: string;
  /** Directories known to survive. Bounded by the layout: some hundred shards. */
  readonly #known = new Map<string, Promise<void>>();
  readonly #syncs = new Map<string, Sync>();

  constructor(files: DirectoryFiles, root: string) {
    this.#files = files;
    this.#root = root;
  }

  /**
   * Resolves once `directory` exists and its name, and those of its parents up to the root, survive a power cut.
   * That holds for a directory that was there before as well: whoever made it may have died before its sync.
   */
  ensure(directory: string): Promise<void> {
    if (directory === this.#root) return Promise.resolve();
    const known = this.#known.get(directory);
    if (known !== undefined) return known;
    const made = this.#make(directory);
    this.#known.set(directory, made);
    made.catch(() => this.#known.delete(directory)); // the next writer tries again; this one gets the error
    return made;
  }

  /** Makes and syncs the directory afresh when it is needed next: somebody removed it behind our back. */
  forget(directory: string): void {
    for (let level = directory; level.length > this.#root.length; level = dirname(level)) this.#known.delete(level);
  }

  /**
   * Resolves once every name created, renamed or removed in `directory` before the call survives a power cut.
   * A sync that is under way may have begun too early for that, so callers meanwhile share the one after it.
   */
  sync(directory: string): Promise<void> {
    const sync = this.#syncs.get(directory);
    if (sync === undefined) return this.#start(directory);
    const begin = (): Promise<void> => this.#start(directory);
    return (sync.next ??= sync.current.then(begin, begin));
  }

  /** As `sync`, for who has taken a name out of `directory`. Where somebody has removed that as well, it is the name of it that has to be gone. */
  async syncRemoval(directory: string): Promise<void> {
    try {
      await this.sync(directory);
    } catch (thrown) {
      if (directory === this.#root || systemCode(thrown) !== 'ENOENT') throw thrown;
      this.forget(directory);
      await this.syncRemoval(dirname(directory));
    }
  }

  async #make(directory: string): Promise<void> {
    const parent = dirname(directory);
    await this.ensure(parent);
    await io(`create the directory ${directory}`, this.#files.makeDirectory(directory));
    await this.sync(parent);
  }

  #start(directory: string): Promise<void> {
    const current = io(`sync the directory ${directory}`, this.#files.syncDirectory(directory)).finally(() => {
      if (sync.next === undefined) this.#syncs.delete(directory);
    });
    const sync: Sync = { current };
    this.#syncs.set(directory, sync);
    return current;
  }
}
