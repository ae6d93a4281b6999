// How the process ends once the server has stopped. A regular end waits for threads, and thereby for whatever they wait
// for; what a service manager sees is to say how the stop went all the same.
import { exitStatusOf } from '../platform/process.ts';
import type { StopSignal } from '../platform/process.ts';
import type { StopOutcome } from '../wiring/drain.ts';
import { exitStatus } from './terminal.ts';

export type EndOfServe =
  /** By the status, after all threads. */
  | { readonly kind: 'regular'; readonly status: number }
  /** By the status, whatever threads do. */
  | { readonly kind: 'at-once'; readonly status: number }
  /** By a signal to itself: a service manager sees that it was killed. */
  | { readonly kind: 'by-signal'; readonly signal: StopSignal | 'SIGKILL' };

/** `wouldWait`: a regular end would have to wait for somebody else. `signal` is the one that asked for the stop. */
export function endOfServe({ cutOffCalls, lateHandlers, flushed }: StopOutcome, { signal, wouldWait }: { readonly signal: StopSignal; readonly wouldWait: boolean }): EndOfServe {
  if (!flushed || lateHandlers > 0) return { kind: 'by-signal', signal: 'SIGKILL' };
  if (cutOffCalls > 0) return { kind: wouldWait ? 'at-once' : 'regular', status: exitStatus.failure };
  return wouldWait ? { kind: 'by-signal', signal } : { kind: 'regular', status: exitStatusOf(signal) };
}
