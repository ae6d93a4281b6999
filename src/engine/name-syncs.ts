// Where directories of large files are synced. On a journal that is a commit, with all that others have written beside it, and takes tens of
// milliseconds: on the thread for small syncs everybody would wait for it. Large content has waited for its own already.
import type { SyncPort, SyncTarget } from '../base/log-files.ts';

/** The ports are their owner's. */
export class NameSyncs implements Pick<SyncPort, 'sync'> {
  readonly #smallSyncs: Pick<SyncPort, 'sync'>;
  readonly #largeSyncs: Pick<SyncPort, 'sync'>;
  #isServing = false;

  constructor({ smallSyncs, largeSyncs }: { readonly smallSyncs: Pick<SyncPort, 'sync'>; readonly largeSyncs: Pick<SyncPort, 'sync'> }) {
    this.#smallSyncs = smallSyncs;
    this.#largeSyncs = largeSyncs;
  }

  /** From now on there are others to wait for. A start needs no second thread. */
  serve(): void {
    this.#isServing = true;
  }

  sync(fd: number, target: SyncTarget): Promise<number> {
    return (this.#isServing ? this.#largeSyncs : this.#smallSyncs).sync(fd, target);
  }
}
