// What an observer is told of one call, gathered while the call goes on. Made only where somebody observes.
import type { MonotonicClock } from '../base/clock.ts';
import type { Span } from '../base/tracer.ts';
import type { HeaderBlock } from '../h2/stream.ts';
import type { CallObserver, EndedCall } from './call-observer.ts';

/** Who watches, and by which clock. */
export interface CallObservation {
  readonly observer: CallObserver;
  readonly clock: MonotonicClock;
}

/** For every path that is not served: clients make them up, and there is no bound to their number. */
export const unknownPath = 'unknown';

export class CallRecord implements EndedCall {
  readonly path: string;
  readonly observation: unknown;
  trace: Span | undefined = undefined;
  status = 0;
  durationMs = 0;
  receivedBytes = 0;
  sentBytes = 0;
  readonly #headers: HeaderBlock;
  readonly #by: CallObservation;
  readonly #startedAtMs: number;
  #ended = false;

  constructor(path: string, headers: HeaderBlock, by: CallObservation) {
    this.path = path;
    this.#headers = headers;
    this.#by = by;
    this.#startedAtMs = by.clock.nowMs();
    this.observation = by.observer.started?.(this);
  }

  header(name: string): string | undefined {
    return this.#headers.get(name);
  }

  /** Tells the observer; a second call does nothing. */
  end(status: number): void {
    if (this.#ended) return;
    this.#ended = true;
    this.status = status;
    this.durationMs = this.#by.clock.nowMs() - this.#startedAtMs;
    this.#by.observer.ended(this);
  }
}
