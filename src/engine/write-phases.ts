// Where the time of one write goes, phase by phase.
import type { MonotonicClock } from '../base/clock.ts';

/**
 * In this order; `receive` and `write` take turns, piece by piece.
 *   permit ─▶ room ─▶ temp ─▶ receive ⇄ write ─▶ sync ─▶ lock ─▶ publish ─▶ directory_sync
 */
export type WritePhase =
  /** In line for an open file. */
  | 'permit'
  /** In line for room in the store. */
  | 'room'
  /** Making the partial file. */
  | 'temp'
  /** Waiting for bytes of whoever sends them. */
  | 'receive'
  | 'write'
  | 'sync'
  /** In line behind other writes of the same key. */
  | 'lock'
  /** Renaming. */
  | 'publish'
  /** Until a sync of the directory, shared with other writes, has covered the new name. */
  | 'directory_sync';

export class WritePhases {
  readonly #clock: MonotonicClock;
  readonly #onStep: ((step: string) => void) | undefined;
  readonly #durationsMs = new Map<WritePhase, number>();
  readonly #startedMs: number;
  #current: WritePhase = 'permit';
  #sinceMs: number;

  /** Begins with `permit`. `onStep` is told of every phase. */
  constructor(clock: MonotonicClock, onStep?: (step: string) => void) {
    this.#clock = clock;
    this.#onStep = onStep;
    this.#startedMs = clock.nowMs();
    this.#sinceMs = this.#startedMs;
    onStep?.(this.#current);
  }

  enter(phase: WritePhase): void {
    this.#close();
    this.#current = phase;
    this.#onStep?.(phase);
  }

  /** Ends the last phase; gives how long all took together. */
  end(): number {
    this.#close();
    return this.#sinceMs - this.#startedMs;
  }

  /** Undefined for a phase that was never entered. The one that goes on counts when it ends. */
  durationMs(phase: WritePhase): number | undefined {
    return this.#durationsMs.get(phase);
  }

  #close(): void {
    const nowMs = this.#clock.nowMs();
    this.#durationsMs.set(this.#current, (this.#durationsMs.get(this.#current) ?? 0) + nowMs - this.#sinceMs);
    this.#sinceMs = nowMs;
  }
}
