// A span of the OpenTelemetry SDK behind our port.
import { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import type { Attributes, Context, Span as ApiSpan, Tracer as ApiTracer } from '@opentelemetry/api';
import type { Span, SpanAttributes } from '../base/tracer.ts';
import { withoutCredentials } from './log-redaction.ts';

export class OtelSpan implements Span {
  readonly traceId: string;
  readonly #span: ApiSpan;
  readonly #tracer: ApiTracer;
  /** What children are started in; made for the first of them. */
  #context: Context | undefined;

  constructor(span: ApiSpan, tracer: ApiTracer) {
    this.#span = span;
    this.#tracer = tracer;
    this.traceId = span.spanContext().traceId;
  }

  child(name: string, attributes: SpanAttributes = {}): Span {
    this.#context ??= trace.setSpan(ROOT_CONTEXT, this.#span);
    return new OtelSpan(this.#tracer.startSpan(name, { kind: SpanKind.INTERNAL, attributes: defined(attributes) }, this.#context), this.#tracer);
  }

  set(attributes: SpanAttributes): void {
    for (const name in attributes) {
      const value = attributes[name];
      if (value !== undefined) this.#span.setAttribute(name, value);
    }
  }

  event(name: string, attributes: SpanAttributes = {}): void {
    this.#span.addEvent(name, defined(attributes));
  }

  end(failure?: string): void {
    // The text of an error is somebody else's, as in the log, and leaves this machine.
    if (failure !== undefined) this.#span.setStatus({ code: SpanStatusCode.ERROR, message: withoutCredentials(failure) });
    this.#span.end();
  }
}

/** What has a value. Not by Object.entries, which makes an array per attribute. */
export function defined(attributes: SpanAttributes): Attributes {
  const kept: Attributes = {};
  for (const name in attributes) {
    const value = attributes[name];
    if (value !== undefined) kept[name] = value;
  }
  return kept;
}
