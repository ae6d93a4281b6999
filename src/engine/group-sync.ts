// Syncs of one open file, shared by all who wrote to it: one at a time, and the next at once if anybody wrote meanwhile.
// Who waits is told in the order in which they came, all of one sync in one pass, so that what follows from being durable
// happens in the order of the writes. Keeps the file's owner from closing it under a sync.
import { assert } from '../base/assert.ts';
import type { SyncPort, SyncTarget } from '../base/log-files.ts';

/** `failed` is final for the file: nothing that was not durable by then will be. */
export type SyncOutcome = { readonly kind: 'durable' } | { readonly kind: 'failed'; readonly cause: unknown };

export interface GroupSyncOptions {
  readonly target: SyncTarget;
  /** What the system took for each sync that succeeded. */
  readonly onSync?: (microseconds: number) => void;
}

/** Of those who came before it began. */
interface RunningSync {
  readonly tickets: ((outcome: SyncOutcome) => void)[];
  readonly outcome: Promise<SyncOutcome>;
}

const durable: SyncOutcome = { kind: 'durable' };

export class GroupSync implements AsyncDisposable {
  readonly #port: SyncPort;
  readonly #file: { readonly fd: number };
  readonly #options: GroupSyncOptions;
  /** Came since the sync under way was asked for. As many as there are writes that are not durable: their owner bounds those. */
  #tickets: ((outcome: SyncOutcome) => void)[] = [];
  #running: Promise<void> | undefined;
  #failure: SyncOutcome | undefined;
  #closed = false;

  /** `file` stays open until this is disposed. */
  constructor(port: SyncPort, file: { readonly fd: number }, options: GroupSyncOptions) {
    this.#port = port;
    this.#file = file;
    this.#options = options;
  }

  /** The file must not be written any more. */
  get hasFailed(): boolean {
    return this.#failure !== undefined;
  }

  /** Somebody waits. */
  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  /**
   * Calls `settled` once, when it is known of all that was written to the file before this call; at once if a sync has
   * failed before. It must not throw.
   */
  whenDurable(settled: (outcome: SyncOutcome) => void): void {
    assert(!this.#closed, 'nobody waits for a file that is being closed');
    if (this.#failure !== undefined) {
      settled(this.#failure);
      return;
    }
    this.#tickets.push(settled);
    this.#running ??= this.#run();
  }

  /** As `whenDurable`; resolves behind the whole pass. @throws as `SyncPort.sync`. */
  durable(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.whenDurable((outcome) => {
        if (outcome.kind === 'durable') resolve();
        else reject(outcome.cause);
      });
    });
  }

  /** Waits for all who came. The file may be closed afterwards. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    for (let running = this.#begin(); running !== undefined; ) {
      const outcome = await running.outcome;
      let { tickets } = running;
      if (outcome.kind === 'failed') {
        this.#failure = outcome;
        // Those that came meanwhile fail too: the next sync would succeed without what this one lost.
        tickets = [...tickets, ...this.#tickets];
        this.#tickets = [];
      }
      // First, so that the disk does not wait for what those do who are told.
      running = this.#begin();
      for (const settled of tickets) settled(outcome);
      running ??= this.#begin();
    }
    this.#running = undefined;
  }

  /** The sync of all who came; undefined: nobody did. */
  #begin(): RunningSync | undefined {
    if (this.#tickets.length === 0) return undefined;
    const tickets = this.#tickets;
    this.#tickets = [];
    return { tickets, outcome: this.#sync() };
  }

  async #sync(): Promise<SyncOutcome> {
    try {
      const microseconds = await this.#port.sync(this.#file.fd, this.#options.target);
      this.#options.onSync?.(microseconds);
      return durable;
    } catch (cause) {
      return { kind: 'failed', cause };
    }
  }
}
