// Who observes calls and what they are timed by, and the calls that are over before they have begun.
import type { LoopTurns } from '../base/loop-turns.ts';
import type { Span } from '../base/tracer.ts';
import type { HeaderBlock } from '../h2/stream.ts';
import type { CallObserver, EndedCall } from './call-observer.ts';
import type { Refusal } from './request-head.ts';

export interface CallObservation {
  readonly observer: CallObserver;
  readonly turns: LoopTurns;
}

/** For every path that is not served: clients make them up, and there is no bound to their number. */
export const unknownPath = 'unknown';

/** The status of a call that is going on. */
export const notEnded = -1;

/** Tells of a call that is answered from its headers alone. */
export function observeRefusal(refusal: Refusal, headers: HeaderBlock, { observer, turns }: CallObservation): void {
  turns.current(); // whose end tells how long it took
  const call = new RefusedCallRecord(refusal, headers);
  call.observation = observer.started?.(call);
  observer.ended(call);
}

class RefusedCallRecord implements EndedCall {
  readonly path: string;
  readonly status: number;
  readonly durationMs = 0;
  readonly atOnce = true;
  readonly receivedBytes = 0;
  readonly sentBytes = 0;
  observation: unknown = undefined;
  trace: Span | undefined = undefined;
  readonly #headers: HeaderBlock;

  constructor({ method, status }: Refusal, headers: HeaderBlock) {
    this.path = method?.path ?? unknownPath;
    this.status = status;
    this.#headers = headers;
  }

  get traceparent(): string | undefined {
    return this.#headers.get('traceparent');
  }

  header(name: string): string | undefined {
    return this.#headers.get(name);
  }
}
