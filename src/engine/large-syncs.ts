// What keeps the disk busy for milliseconds: syncs of large content, new segments, and deletions. One at a time for the whole disk,
// and no faster than small syncs beside them can bear.
import { CacheError } from '../base/cache-error.ts';
import type { CallOptions } from '../base/call-options.ts';
import type { MonotonicClock, Timers } from '../base/clock.ts';
import type { SyncPort } from '../base/log-files.ts';
import { Semaphore } from '../base/semaphore.ts';
import { io } from './storage-error.ts';
import type { SyncPacer } from './sync-pacer.ts';

export interface LargeSyncsPorts {
  /** Nothing but large content goes through it. */
  readonly syncs: SyncPort;
  readonly monotonicClock: MonotonicClock;
  readonly timers: Timers;
}

/** In line. Each file that is written has one sync under way at most, and how many those are is bounded elsewhere. */
const waitersMax = 10_000;
/** The pacer counts on in microseconds what a timer of milliseconds rounds away. */
const leastDelayMs = 1;
/** A step of a deletion takes some milliseconds. What takes longer is not waited for. */
const deletionMsMax = 50;

export class LargeSyncs {
  readonly #ports: LargeSyncsPorts;
  readonly #pacer: SyncPacer;
  readonly #turns = new Semaphore('large files that are synced', { permitsMax: 1, waitersMax });
  /** In front of `turns`, where content has one place: what makes room for it waits for one sync of content, not for all. */
  readonly #content = new Semaphore('large files that are synced', { permitsMax: 1, waitersMax });

  /** The pacer is told of small syncs by whoever makes those. */
  constructor(ports: LargeSyncsPorts, pacer: SyncPacer) {
    this.#ports = ports;
    this.#pacer = pacer;
  }

  /**
   * Resolves when all that was written to the file before its turn came is durable; the file stays open until then. `bytes`:
   * about so many are not yet.
   * @throws CacheError `unavailable` or `disk_full` (final for that file: what was lost is never found out again), `busy`,
   *   `cancelled` while it waits for its turn.
   */
  async sync(file: { readonly fd: number }, bytes: number, options?: CallOptions): Promise<void> {
    using _place = await this.#content.acquire(options);
    await this.#run(bytes, () => io('sync a large file', this.#ports.syncs.sync(file.fd, 'data')), options);
  }

  /** As `sync`, for a segment that is made ahead of those who will write to it: in front of content. */
  async syncAhead(file: { readonly fd: number }, bytes: number, options?: CallOptions): Promise<void> {
    await this.#run(bytes, () => io('sync a new segment', this.#ports.syncs.sync(file.fd, 'data')), options);
  }

  /**
   * Runs a step of a deletion, in front of content, which may wait for the room. A disk that hangs in it holds up others for a moment
   * only. @throws what `step` throws.
   */
  async deletion<T>(step: () => Promise<T>): Promise<T> {
    const turn = await this.#turns.acquire();
    using _patience = this.#ports.timers.after(deletionMsMax, () => turn[Symbol.dispose]());
    this.#pacer.deletionBegan();
    try {
      return await step();
    } finally {
      this.#pacer.deletionEnded();
      turn[Symbol.dispose]();
    }
  }

  async #run<T>(bytes: number, work: () => Promise<T>, options: CallOptions | undefined): Promise<T> {
    using _turn = await this.#turns.acquire(options);
    const { monotonicClock, timers } = this.#ports;
    const delayMs = this.#pacer.delayUs(bytes, monotonicClock.nowMs() * 1_000) / 1_000;
    try {
      if (delayMs >= leastDelayMs) await pause(timers, delayMs, options?.signal);
      return await work();
    } finally {
      this.#pacer.largeEnded();
    }
  }
}

function pause(timers: Timers, delayMs: number, signal: AbortSignal | undefined): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const cancelled = (): void => {
    timer[Symbol.dispose]();
    reject(new CacheError('cancelled', 'the call was cancelled while its bytes waited to be synced'));
  };
  const timer = timers.after(delayMs, () => {
    signal?.removeEventListener('abort', cancelled);
    resolve();
  });
  if (signal?.aborted === true) cancelled();
  else signal?.addEventListener('abort', cancelled, { once: true });
  return promise;
}
