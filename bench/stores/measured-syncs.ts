// Syncs that are counted and timed: what a sync took in a run says more than what it takes on an idle disk.
import type { SyncPort, SyncTarget } from '../../src/base/log-files.ts';

/** Disposing it disposes the port within. Nobody shares a sync here: that is for those above. */
export class MeasuredSyncs implements SyncPort {
  readonly #inner: SyncPort;
  #microseconds: number[] = [];

  constructor(inner: SyncPort) {
    this.#inner = inner;
  }

  /** Microseconds of each sync of content that ended since the last time. */
  take(): readonly number[] {
    const microseconds = this.#microseconds;
    this.#microseconds = [];
    return microseconds;
  }

  async sync(fd: number, target: SyncTarget): Promise<number> {
    const microseconds = await this.#inner.sync(fd, target);
    if (target === 'data') this.#microseconds.push(microseconds);
    return microseconds;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#inner[Symbol.asyncDispose]();
  }
}
