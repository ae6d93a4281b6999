// Several observers of calls as one, so that who makes calls knows of one at most.
import type { Span } from '../base/tracer.ts';
import type { CallObserver, EndedCall, StartedCall } from './call-observer.ts';

/** All of `observers`; undefined for none. Each gets back what it returned itself when the call began. */
export function combinedObserver(observers: readonly CallObserver[]): CallObserver | undefined {
  const [first, second, ...others] = observers;
  if (first === undefined || second === undefined) return first;
  return combinedObserver([new BothObservers(first, second), ...others]);
}

interface Observations {
  readonly first: unknown;
  readonly second: unknown;
}

class BothObservers implements CallObserver {
  readonly #first: CallObserver;
  readonly #second: CallObserver;
  /** What either is shown when a call ends, one after the other: it is valid during that only. */
  readonly #shown = new RelayedCall();

  constructor(first: CallObserver, second: CallObserver) {
    this.#first = first;
    this.#second = second;
  }

  started(call: StartedCall): Observations {
    return { first: this.#first.started?.(call), second: this.#second.started?.(call) };
  }

  ended(call: EndedCall): void {
    const { first, second } = call.observation as Observations;
    this.#first.ended(this.#shown.show(call, first));
    this.#second.ended(this.#shown.show(call, second));
  }
}

/** A call as it is, but for what one observer returned. */
class RelayedCall implements EndedCall {
  path = '';
  status = 0;
  receivedBytes = 0;
  sentBytes = 0;
  observation: unknown;
  #call: EndedCall | undefined;

  show(call: EndedCall, observation: unknown): this {
    this.#call = call;
    this.path = call.path;
    this.status = call.status;
    this.receivedBytes = call.receivedBytes;
    this.sentBytes = call.sentBytes;
    this.observation = observation;
    return this;
  }

  get trace(): Span | undefined {
    return this.#call?.trace;
  }

  get durationMs(): number {
    return this.#call?.durationMs ?? 0;
  }

  get atOnce(): boolean {
    return this.#call?.atOnce ?? false;
  }

  header(name: string): string | undefined {
    return this.#call?.header(name);
  }
}
