// The port of traces: what one request did, step by step, for the few requests that are looked at. A request that is
// not traced has no span, and `undefined` travels for free; so nothing here is made, named or read for it.
import { isPromise } from './maybe-promise.ts';
import type { MaybePromise } from './maybe-promise.ts';

/** What a span or an event is known by. Undefined ones are left out. Secrets never become attributes. */
export type SpanAttributes = Readonly<Record<string, string | number | boolean | undefined>>;

/** A piece of work that is traced. Ends once; what is told to it afterwards is lost. None of this throws. */
export interface Span {
  /** 32 digits of hex; what a person looks for in the tracing system. */
  readonly traceId: string;
  /** A part of this work; ended by whoever began it. */
  child(name: string, attributes?: SpanAttributes): Span;
  set(attributes: SpanAttributes): void;
  /** Something that happened at this moment. */
  event(name: string, attributes?: SpanAttributes): void;
  /** `failure` says what went wrong, in words for people; left out when nothing did. */
  end(failure?: string): void;
}

/** Where a request says it comes from (W3C Trace Context, headers `traceparent` and `tracestate`). */
export interface IncomingTrace {
  readonly traceparent: string | undefined;
  readonly tracestate: string | undefined;
}

export interface Tracer {
  /**
   * Whether the request that came with that `traceparent` is to be traced. Asked once per request, before anything is
   * made for its span, because the answer is nearly always no.
   */
  samples(traceparent: string | undefined): boolean;
  /** The span of a request for which `samples` said yes, as a child of the caller's when there is one. */
  start(name: string, incoming: IncomingTrace, attributes?: SpanAttributes): Span;
}

/**
 * A part of a traced request that was asked for just now: an event of `parent` when its outcome is there already, which
 * needs no duration and is several times cheaper, else a child that ends with it. `describe` is told what came out.
 */
export function tracedPart<T>(parent: Span, name: string, outcome: MaybePromise<T>, describe: (value: T) => SpanAttributes): MaybePromise<T> {
  if (isPromise(outcome)) return tracedWork(parent.child(name), outcome, describe);
  parent.event(name, describe(outcome));
  return outcome;
}

/** `work`, which ends `span`. */
export async function tracedWork<T>(span: Span, work: Promise<T>, describe?: (value: T) => SpanAttributes): Promise<T> {
  try {
    const value = await work;
    if (describe !== undefined) span.set(describe(value));
    span.end();
    return value;
  } catch (thrown) {
    span.end(String(thrown));
    throw thrown;
  }
}
