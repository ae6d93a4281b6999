// One operation's life in the scheduler, as data: no clock, no sockets, no waiting. The driver feeds it events
// and performs what it returns.
import { assertNever } from '../base/assert.ts';

declare const workerId: unique symbol;
/** Names one connected worker; given out by the driver. */
export type WorkerId = string & { readonly [workerId]: true };

/** How an operation ended. */
export type Outcome =
  | { readonly kind: 'finished'; readonly exitCode: number }
  | { readonly kind: 'worker_lost'; readonly attempts: number };

export interface LeaseLimits {
  /** A worker that is silent for this long has lost its lease. */
  readonly leaseTimeoutMs: number;
  /** Leases that may run out before the operation is given up. */
  readonly attemptsMax: number;
}

/**
 * One operation, from queue to outcome. Pure: the driver owns clock and sockets and performs the effects.
 *
 *   queued ── assigned ──▶ leased ── finished, or expired with no attempt left ──▶ done
 *      ▲────── expired ──────┘
 */
export type Operation =
  | { readonly state: 'queued'; readonly attempt: number }
  | { readonly state: 'leased'; readonly attempt: number; readonly worker: WorkerId; readonly untilMs: number }
  | { readonly state: 'done'; readonly outcome: Outcome };

export type OperationEvent =
  | { readonly kind: 'assigned' | 'heartbeat'; readonly worker: WorkerId }
  | { readonly kind: 'finished'; readonly worker: WorkerId; readonly outcome: Outcome }
  | { readonly kind: 'tick' };

/** What the driver has to do after a step, in order. */
export type Effect = { readonly kind: 'start' | 'stop'; readonly worker: WorkerId } | { readonly kind: 'publish' };

type Step = readonly [Operation, ...Effect[]];

/** The state after `event`, and what follows from it. An event that does not fit the state changes nothing. */
export function step(from: Operation, event: OperationEvent, nowMs: number, limits: LeaseLimits): Step {
  const untilMs = nowMs + limits.leaseTimeoutMs;
  switch (from.state) {
    case 'queued':
      if (event.kind !== 'assigned') return [from];
      return [{ ...from, state: 'leased', worker: event.worker, untilMs }, { kind: 'start', worker: event.worker }];
    case 'leased':
      // A worker whose lease has passed to another is not heard: two outcomes must not compete.
      if (event.kind !== 'tick' && event.worker !== from.worker) return [from];
      switch (event.kind) {
        case 'assigned':
          return [from];
        case 'heartbeat':
          return [{ ...from, untilMs }];
        case 'finished':
          return [{ state: 'done', outcome: event.outcome }, { kind: 'publish' }];
        case 'tick':
          return nowMs < from.untilMs ? [from] : expire(from, limits);
        default:
          return assertNever(event);
      }
    case 'done':
      return [from]; // published once, never replaced
    default:
      return assertNever(from);
  }
}

function expire(from: Extract<Operation, { state: 'leased' }>, limits: LeaseLimits): Step {
  const stop: Effect = { kind: 'stop', worker: from.worker };
  if (from.attempt < limits.attemptsMax) return [{ state: 'queued', attempt: from.attempt + 1 }, stop];
  return [{ state: 'done', outcome: { kind: 'worker_lost', attempts: from.attempt } }, stop, { kind: 'publish' }];
}
