// A Tracer that a test can look into.
import type { IncomingTrace, Span, SpanAttributes, Tracer } from '../base/tracer.ts';

/** A span as it was told. Its parts stand in the order in which they began. */
export class RecordedSpan implements Span {
  readonly traceId = '0af7651916cd43dd8448eb211c80319c';
  readonly name: string;
  readonly incoming: IncomingTrace | undefined;
  readonly children: RecordedSpan[] = [];
  readonly events: { readonly name: string; readonly attributes: SpanAttributes }[] = [];
  attributes: SpanAttributes;
  /** How often it was ended. */
  ends = 0;
  failure: string | undefined;

  constructor(name: string, attributes: SpanAttributes = {}, incoming?: IncomingTrace) {
    this.name = name;
    this.incoming = incoming;
    this.attributes = withoutUndefined(attributes);
  }

  child(name: string, attributes?: SpanAttributes): RecordedSpan {
    const child = new RecordedSpan(name, attributes);
    this.children.push(child);
    return child;
  }

  set(attributes: SpanAttributes): void {
    this.attributes = { ...this.attributes, ...withoutUndefined(attributes) };
  }

  event(name: string, attributes: SpanAttributes = {}): void {
    this.events.push({ name, attributes: withoutUndefined(attributes) });
  }

  end(failure?: string): void {
    this.ends += 1;
    this.failure = failure;
  }
}

export class RecordedTracer implements Tracer {
  readonly spans: RecordedSpan[] = [];
  /** What `samples` was asked. */
  readonly asked: (string | undefined)[] = [];
  sampling = true;

  samples(traceparent: string | undefined): boolean {
    this.asked.push(traceparent);
    return this.sampling;
  }

  start(name: string, incoming: IncomingTrace, attributes?: SpanAttributes): RecordedSpan {
    const span = new RecordedSpan(name, attributes, incoming);
    this.spans.push(span);
    return span;
  }
}

function withoutUndefined(attributes: SpanAttributes): SpanAttributes {
  return Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== undefined));
}
