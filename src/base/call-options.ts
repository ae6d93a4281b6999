// What every verb that may wait takes last.
import type { Span } from './tracer.ts';

/** Options of a call that may wait. `signal` ends the wait with `cancelled` and frees what the call holds. */
export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** What the call is part of, if that is traced. Handed down as it is, or replaced by a child of it. */
  readonly trace?: Span | undefined;
  /**
   * Told what the call does next, in a word or two ("sync", "wait for room"), by those whose work takes time: for
   * whoever reports where a call hangs. Must not throw.
   */
  readonly onStep?: ((step: string) => void) | undefined;
}
