// What an observer is told of one call, gathered while the call goes on. Made only where somebody observes.
import type { LoopTurn, LoopTurns } from '../base/loop-turns.ts';
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

const notEnded = -1;

export class CallRecord implements EndedCall {
  readonly path: string;
  readonly observation: unknown;
  trace: Span | undefined = undefined;
  /** Not a status until the call has ended. */
  status = notEnded;
  receivedBytes = 0;
  sentBytes = 0;
  readonly #headers: HeaderBlock;
  readonly #by: CallObservation;
  readonly #turn: LoopTurn;

  constructor(path: string, headers: HeaderBlock, by: CallObservation) {
    this.path = path;
    this.#headers = headers;
    this.#by = by;
    this.#turn = by.turns.current();
    this.observation = by.observer.started?.(this);
  }

  get durationMs(): number {
    return this.#by.turns.nowMs() - this.#turn.beganAtMs;
  }

  get atOnce(): boolean {
    return !this.#turn.isOver;
  }

  header(name: string): string | undefined {
    return this.#headers.get(name);
  }

  /** Tells the observer; a second call does nothing. */
  end(status: number): void {
    if (this.status !== notEnded) return;
    this.status = status;
    this.#by.observer.ended(this);
  }
}
