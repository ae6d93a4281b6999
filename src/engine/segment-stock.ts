// Files for segments that are made before anybody asks for them: as many as were begun within the last second, but for one of each
// stream. To make room for a file and to fill it takes longer than a busy log needs for half of a short segment, which is how far
// ahead its writer asks.
import type { MonotonicClock } from '../base/clock.ts';
import { CacheError } from '../base/cache-error.ts';
import type { CallOptions } from '../base/call-options.ts';
import type { Log } from '../base/log.ts';
import { unlessCancelled } from '../base/unless-cancelled.ts';
import type { FreeFiles } from './free-files.ts';
import type { StreamName } from './segment-format.ts';
import type { SpaceLedger } from './space-ledger.ts';

export interface SegmentStockPorts {
  /** See FreeFiles. */
  readonly make: FreeFiles['make'];
  readonly put: FreeFiles['put'];
  readonly ledger: Pick<SpaceLedger, 'tryReserve' | 'maxBytes'>;
  readonly clock: MonotonicClock;
  readonly log: Log;
  /** Free files that anybody may have. */
  readonly freeCount: () => number;
  /** There is no room for one that is missing: whoever makes room looks what it lacks. */
  readonly onMissing: () => void;
}

/** What was begun for so long says how many will be. */
const rateMs = 1_000;
/** Of the store, at most. */
const stockShare = 1 / 32;
/** Without a bound of the store. */
const stockMost = 16;
/** After a failure none is made for so long: who needs a segment tries by itself, and is told. */
const restMs = 5_000;

interface Making {
  readonly ended: Promise<void>;
  readonly urgent: AbortController;
}

export class SegmentStock {
  readonly #ports: SegmentStockPorts;
  readonly #segmentBytes: number;
  /** When the latest were begun, oldest first; of each stream one more than the stock may be. */
  readonly #begunMs: Readonly<Record<StreamName, number[]>> = { blob: [], value: [], touch: [] };
  #making: Making | undefined;
  #restUntilMs = -Infinity;
  #isClosed = false;

  constructor(ports: SegmentStockPorts, segmentBytes: number) {
    this.#ports = ports;
    this.#segmentBytes = segmentBytes;
  }

  /** How many files should be there that nobody has asked for. */
  get wantedCount(): number {
    const sinceMs = this.#ports.clock.nowMs() - rateMs;
    let count = 0;
    for (const begunMs of Object.values(this.#begunMs)) count += Math.max(0, begunMs.filter((atMs) => atMs > sinceMs).length - 1);
    return Math.min(count, this.#countMax());
  }

  /** Of those, how many are neither there nor being made. */
  get missingCount(): number {
    if (this.#isClosed || this.#ports.clock.nowMs() < this.#restUntilMs) return 0;
    return Math.max(0, this.wantedCount - this.#ports.freeCount() - (this.#making === undefined ? 0 : 1));
  }

  /** A segment of that stream was begun. */
  begun(stream: StreamName): void {
    const begunMs = this.#begunMs[stream];
    begunMs.push(this.#ports.clock.nowMs());
    if (begunMs.length > this.#countMax() + 1) begunMs.shift();
  }

  /** Makes one that is missing, if there is room, and then the next. Waits for nobody. */
  refill(): void {
    if (this.#making !== undefined || this.missingCount === 0) return;
    const room = this.#ports.ledger.tryReserve(this.#segmentBytes);
    if (room === undefined) {
      this.#ports.onMissing();
      return;
    }
    const urgent = new AbortController();
    const ended = this.#ports
      .make(room, urgent.signal)
      .then((file) => this.#ports.put(file))
      .catch((thrown: unknown) => this.#failed(thrown))
      .finally(() => {
        this.#making = undefined;
        this.refill();
      });
    this.#making = { ended, urgent };
  }

  /** Waits for the file that is being made, which is not filled on once it is urgent. False: none is. @throws CacheError `cancelled`. */
  async next(urgent: AbortSignal, options?: CallOptions): Promise<boolean> {
    const making = this.#making;
    if (making === undefined) return false;
    const hurry = (): void => making.urgent.abort();
    if (urgent.aborted) hurry();
    else urgent.addEventListener('abort', hurry, { once: true });
    try {
      await unlessCancelled(making.ended, 'a segment that is being made was waited for', options);
    } finally {
      urgent.removeEventListener('abort', hurry);
    }
    return true;
  }

  /** Ends what is being made, and makes nothing more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#making?.urgent.abort();
    await this.#making?.ended;
  }

  #countMax(): number {
    const { maxBytes } = this.#ports.ledger;
    return maxBytes === Infinity ? stockMost : Math.max(1, Math.floor((maxBytes * stockShare) / this.#segmentBytes));
  }

  #failed(thrown: unknown): void {
    this.#restUntilMs = this.#ports.clock.nowMs() + restMs;
    this.#ports.log.warn('a segment could not be made ahead of who will need it', { reason: CacheError.from(thrown).message });
  }
}
