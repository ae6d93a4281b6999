// An exchange as it is, noting what it was answered: for those who report exchanges and change nothing about them.
import type { ConnectionCredentials } from '../base/authorizer.ts';
import type { ByteSource } from '../base/byte-source.ts';
import type { HttpExchange, HttpHeaders } from '../base/http-exchange.ts';
import type { Span } from '../base/tracer.ts';

export class AnsweredExchange implements HttpExchange {
  /** Of the answer; undefined while there is none. */
  status: number | undefined;
  /** Of the body of the answer. */
  answerBytes: number | undefined;
  readonly trace: Span | undefined;
  readonly #inner: HttpExchange;

  /** `trace` takes the place of a span that `inner` has. */
  constructor(inner: HttpExchange, trace: Span | undefined = inner.trace) {
    this.#inner = inner;
    this.trace = trace;
  }

  get method(): string {
    return this.#inner.method;
  }

  get target(): string {
    return this.#inner.target;
  }

  get headers(): HttpHeaders {
    return this.#inner.headers;
  }

  get contentLength(): number | undefined {
    return this.#inner.contentLength;
  }

  get signal(): AbortSignal {
    return this.#inner.signal;
  }

  get credentials(): ConnectionCredentials | undefined {
    return this.#inner.credentials;
  }

  body(): AsyncIterable<Uint8Array> {
    return this.#inner.body();
  }

  respond(status: number, headers?: HttpHeaders, body?: ByteSource | Uint8Array): Promise<void> {
    this.status = status;
    this.answerBytes = body instanceof Uint8Array ? body.byteLength : body?.sizeBytes;
    return this.#inner.respond(status, headers, body);
  }
}
