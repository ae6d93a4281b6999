// What an observer is told of one call, gathered while the call goes on. Made only where somebody observes.
import type { LoopTurns } from '../base/loop-turns.ts';
import type { Span } from '../base/tracer.ts';
import type { HeaderBlock } from '../h2/stream.ts';
import type { CallObserver, EndedCall } from './call-observer.ts';

/** Who watches, and what calls are timed by. */
export interface CallObservation {
  readonly observer: CallObserver;
  readonly turns: LoopTurns;
}

/** For every path that is not served: clients make them up, and there is no bound to their number. */
export const unknownPath = 'unknown';

export class CallRecord implements EndedCall {
  readonly path: string;
  readonly observation: unknown;
  trace: Span | undefined = undefined;
  status = 0;
  receivedBytes = 0;
  sentBytes = 0;
  readonly #headers: HeaderBlock;
  readonly #by: CallObservation;
  readonly #turn: number;
  readonly #startedAtMs: number;
  #ended = false;

  constructor(path: string, headers: HeaderBlock, by: CallObservation) {
    this.path = path;
    this.#headers = headers;
    this.#by = by;
    this.#turn = by.turns.current();
    this.#startedAtMs = by.turns.beganAtMs;
    this.observation = by.observer.started?.(this);
  }

  get durationMs(): number {
    return this.#by.turns.nowMs() - this.#startedAtMs;
  }

  get atOnce(): boolean {
    return this.#by.turns.isCurrent(this.#turn);
  }

  header(name: string): string | undefined {
    return this.#headers.get(name);
  }

  /** Tells the observer; a second call does nothing. */
  end(status: number): void {
    if (this.#ended) return;
    this.#ended = true;
    this.status = status;
    this.#by.observer.ended(this);
  }
}
