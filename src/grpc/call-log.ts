// A line per gRPC call, at debug; at other levels one look at a boolean.
import type { Log } from '../base/log.ts';
import type { CallObserver, EndedCall, StartedCall } from './call-observer.ts';
import { statusName } from './status.ts';

/** Tells of calls beside `inner`, to which everything is passed on: two observers in a row would cost an object per call. */
export class LoggedCalls implements CallObserver {
  readonly #inner: CallObserver | undefined;
  readonly #log: Log;

  constructor(inner: CallObserver | undefined, log: Log) {
    this.#inner = inner;
    this.#log = log;
  }

  started(call: StartedCall): unknown {
    return this.#inner?.started?.(call);
  }

  ended(call: EndedCall): void {
    this.#inner?.ended(call);
    if (!this.#log.debugEnabled) return;
    const { path, status, durationMs, receivedBytes, sentBytes } = call;
    this.#log.debug('call', { path, status: statusName(status), durationMs: rounded(durationMs), receivedBytes, sentBytes, client: call.header('user-agent')?.slice(0, 100) });
  }
}

/** To microseconds. */
function rounded(ms: number): number {
  return Math.round(ms * 1_000) / 1_000;
}
