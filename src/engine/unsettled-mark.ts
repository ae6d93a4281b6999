// That files are to be settled by their names, for as long as they are not: what a start finds damaged it sets apart before, and
// one that ended in between would leave the next nothing to tell by that commits are lost. docs/formats/data-directory.md
import { join } from 'node:path';
import { CacheError } from '../base/cache-error.ts';
import type { Log } from '../base/log.ts';
import type { LogFileSystem } from '../base/log-files.ts';
import type { DurableDirectories } from './durable-directories.ts';
import { io } from './storage-error.ts';

export interface UnsettledMarkPorts {
  readonly files: Pick<LogFileSystem, 'createLog' | 'list' | 'status' | 'remove'>;
  readonly directories: Pick<DurableDirectories, 'sync'>;
  readonly log: Log;
}

const fileMode = 0o600;

export class UnsettledMark {
  readonly #ports: UnsettledMarkPorts;
  readonly #root: string;
  readonly #path: string;

  /** @param root the data directory. */
  constructor(ports: UnsettledMarkPorts, root: string) {
    this.#ports = ports;
    this.#root = root;
    this.#path = join(root, 'unsettled');
  }

  /** A start before has found damage, and has not settled the files. @throws CacheError `unavailable`. */
  async isSet(): Promise<boolean> {
    return (await io('look what the start before has left', this.#ports.files.status(this.#path))) !== undefined;
  }

  /** Durable when it resolves, but for a disk without room, on which a start succeeds as well. Where there are no files there is nothing to settle. @throws CacheError `unavailable`. */
  async set(): Promise<void> {
    const { files, log } = this.#ports;
    const functions = await io('look for files', files.list(join(this.#root, 'objects')));
    if (functions === undefined || functions.length === 0) return;
    try {
      await this.#create();
    } catch (thrown) {
      if (CacheError.from(thrown).kind !== 'disk_full') throw thrown;
      log.warn('the disk has no room to note that the log is damaged; should this start not end, files may be lost', { path: this.#path });
    }
  }

  /** What became of each file is durable. @throws CacheError `unavailable`. */
  async clear(): Promise<void> {
    // Where its going is lost, the next start looks through the files once more.
    await io('note that files are settled', this.#ports.files.remove(this.#path));
  }

  async #create(): Promise<void> {
    const { files, directories } = this.#ports;
    if (!(await this.isSet())) {
      const file = await io('note that files are to be settled', files.createLog(this.#path, fileMode));
      await file[Symbol.asyncDispose]();
    }
    await directories.sync(this.#root); // one that is found too: after a kill the page cache alone may know it
  }
}
