// What the rest of Kiln may learn of gRPC calls: one seam for metrics and traces, called from nowhere else.
import type { Span } from '../base/tracer.ts';

/** A call as it begins. */
export interface StartedCall {
  /** `/package.Service/Method`: one of the served ones, or `unknown` for any other path. */
  readonly path: string;
  /** Set by the observer that traces, while the call begins; handlers hand it on to the stores. */
  trace?: Span | undefined;
  /** The header of that name (W3C Trace Context); found once per distinct header block, since it is asked for with every call. */
  readonly traceparent: string | undefined;
  /** First value of a request header. */
  header(name: string): string | undefined;
}

/** A call that has been answered, or that ended without an answer. */
export interface EndedCall extends StartedCall {
  /** `grpc-status`; a call whose client went away has CANCELLED (1). */
  readonly status: number;
  /** By the monotonic clock, from the headers of the request to the status. Costs a look at the clock. */
  readonly durationMs: number;
  /** Answered in the turn of the loop in which it began; when the answer leaves, that turn ends. */
  readonly atOnce: boolean;
  /** Of messages, with their prefixes, as they are on the wire. */
  readonly receivedBytes: number;
  readonly sentBytes: number;
  /** What `started` returned. */
  readonly observation: unknown;
}

/**
 * Must be cheap and must not throw: it runs inside of every call. There is one per server; several stand one around the
 * other, and what is passed back and forth is the innermost one's.
 */
export interface CallObserver {
  /** Whatever is returned comes back with `ended`. Left out by an observer that needs only the end. */
  started?(call: StartedCall): unknown;
  /** Exactly once for each call, refused ones included. The object is valid during this call only. */
  ended(call: EndedCall): void;
}
