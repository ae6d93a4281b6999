// One HTTP/2 stream as an HttpExchange. Which exchanges run and what becomes of a failed handler is http-acceptor.ts.
import { assert } from '../base/assert.ts';
import { unboundedByteBudget } from '../base/byte-budget.ts';
import type { ByteBudget } from '../base/byte-budget.ts';
import type { ConnectionCredentials } from '../base/authorizer.ts';
import { CacheError } from '../base/cache-error.ts';
import { byteSourceOf } from '../base/byte-source.ts';
import type { ByteSource } from '../base/byte-source.ts';
import type { HttpExchange, HttpHeaders } from '../base/http-exchange.ts';
import { errorCode } from './error-code.ts';
import { prepareHeaders } from './header-encoder.ts';
import type { HttpRequestHead } from './http-request-head.ts';
import { RequestBody } from './request-body.ts';
import type { OutgoingHeaders, ServerStream, StreamHandler } from './stream.ts';

export interface HttpExchangeLimits {
  /** Bytes of a body nobody wants that are still taken, so that simple clients get to read the answer. */
  readonly unreadBodyBytesMax: number;
}

export interface HttpExchangeSurroundings {
  /** The value of the `date` header at the moment. */
  readonly httpDate: () => string;
  /** Of what bodies keep; without a bound, if left out. */
  readonly budget?: ByteBudget | undefined;
  readonly credentials?: ConnectionCredentials | undefined;
}

/** One mebibyte: what a client has under way by the default window anyway. */
export const httpExchangeLimits: HttpExchangeLimits = { unreadBodyBytesMax: 1_048_576 };

const noBytes = new Uint8Array(0);
const continueHead = prepareHeaders([[':status', '100']]);
/** They speak about a connection of HTTP/1.1 and are malformed here (RFC 9113 §8.2.2). */
const connectionHeaders: ReadonlySet<string> = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade']);

/** The answer: not begun, being sent, complete (or the client went away). */
type AnswerState = 'none' | 'started' | 'done';

export class HttpStreamExchange implements HttpExchange, StreamHandler {
  readonly method: string;
  readonly target: string;
  readonly headers: HttpHeaders;
  readonly contentLength: number | undefined;
  readonly credentials: ConnectionCredentials | undefined;
  readonly #stream: ServerStream;
  readonly #limits: HttpExchangeLimits;
  readonly #budget: ByteBudget;
  readonly #body: RequestBody;
  readonly #httpDate: () => string;
  #abort: AbortController | undefined = undefined;
  /** The stream was reset; `#brokenOff` when it was by us. */
  #gone = false;
  #brokenOff = false;
  #continueOwed: boolean;
  #bodyTaken = false;
  #answer: AnswerState = 'none';
  #wakeSender: (() => void) | undefined = undefined;

  constructor(stream: ServerStream, head: HttpRequestHead, limits: HttpExchangeLimits, surroundings: HttpExchangeSurroundings) {
    this.method = head.method;
    this.target = head.target;
    this.headers = head.headers;
    this.contentLength = head.contentLength;
    this.credentials = surroundings.credentials;
    this.#stream = stream;
    this.#limits = limits;
    this.#httpDate = surroundings.httpDate;
    this.#budget = surroundings.budget ?? unboundedByteBudget();
    this.#body = new RequestBody(stream, this.#budget);
    this.#continueOwed = head.expectsContinue;
  }

  /** Made when somebody asks: most exchanges end without. */
  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    if (this.#gone && this.#answer !== 'done') this.#abort.abort();
    return this.#abort.signal;
  }

  get answerStarted(): boolean {
    return this.#answer !== 'none';
  }

  get clientGone(): boolean {
    return this.#gone && !this.#brokenOff;
  }

  get awaitsPeer(): boolean {
    return this.#body.isAwaited;
  }

  /** Of what nobody reads any more, only so much is taken, but it has to come. */
  get awaitsRequest(): boolean {
    return this.#body.isAwaited || this.#answer === 'done';
  }

  onStalled(reason: string): void {
    if (this.#answer === 'none') this.#body.break(new CacheError('deadline_exceeded', reason));
  }

  /** An answer that has begun cannot tell; its stream is reset if it does not get on. */
  onEvicted(): void {
    if (this.#answer === 'none') this.#body.break(this.#budget.refusal());
  }

  /** Ends an answer that cannot be completed in the only way that the client takes for broken. */
  breakOff(): void {
    this.#brokenOff = true;
    this.#stream.reset(errorCode.internalError);
  }

  body(): AsyncIterable<Uint8Array> {
    assert(!this.#bodyTaken, 'the body of an exchange is taken once');
    this.#bodyTaken = true;
    if (this.#continueOwed && !this.#body.ended && this.#answer === 'none') this.#stream.sendHeaders(continueHead, false);
    this.#continueOwed = false;
    return this.#body.read();
  }

  async respond(status: number, headers: HttpHeaders = {}, body: ByteSource | Uint8Array = noBytes): Promise<void> {
    assert(this.#answer === 'none', 'an exchange is answered once');
    this.#answer = 'started';
    await using source = body instanceof Uint8Array ? byteSourceOf(body) : body;
    const bodiless = this.method === 'HEAD' || status === 204 || status === 304 || source.sizeBytes === 0;
    this.#stream.sendHeaders(this.#answerHeaders(status, headers, source.sizeBytes), bodiless);
    if (!bodiless) await this.#send(source);
    this.#answer = 'done';
    // A client that still waits for "100 Continue" may never send its body, and a tunnel has no end to wait for.
    const endsNow = this.#continueOwed || this.method === 'CONNECT';
    this.#body.discard(endsNow ? -1 : this.#limits.unreadBodyBytesMax);
  }

  onData(bytes: Uint8Array): void {
    this.#continueOwed = false; // it did not wait
    this.#body.push(bytes);
  }

  onEnd(): void {
    this.#body.end();
  }

  onReset(): void {
    this.#gone = true;
    this.#body.break();
    if (this.#answer !== 'done') this.#abort?.abort();
    this.#wake();
  }

  onDrained(): void {
    this.#wake();
  }

  #answerHeaders(status: number, headers: HttpHeaders, sizeBytes: number): OutgoingHeaders {
    const outgoing: [string, string][] = [[':status', String(status)]];
    for (const [name, value] of Object.entries(headers)) {
      const lower = name.toLowerCase();
      if (value !== undefined && !connectionHeaders.has(lower)) outgoing.push([lower, value]);
    }
    const has = (name: string): boolean => outgoing.some(([known]) => known === name);
    if (!has('content-length') && status !== 204) outgoing.push(['content-length', String(sizeBytes)]);
    if (!has('date')) outgoing.push(['date', this.#httpDate()]);
    return outgoing;
  }

  async #send(source: ByteSource): Promise<void> {
    try {
      if (source.inMemory !== undefined) await this.#sendPiece(source.inMemory, true);
      else await this.#sendPieces(source);
    } catch (thrown) {
      if (!this.#gone) this.breakOff();
      throw thrown;
    }
  }

  async #sendPieces(source: ByteSource): Promise<void> {
    let sentBytes = 0;
    for await (const chunk of source) {
      if (this.#gone) return;
      sentBytes += chunk.length;
      assert(sentBytes <= source.sizeBytes, 'a source yields no more than its size');
      await this.#sendPiece(chunk, sentBytes === source.sizeBytes);
    }
    assert(sentBytes === source.sizeBytes || this.#gone, 'a source yields all of its size');
  }

  /** Resolves when nothing is queued any more: one piece is on its way at a time. */
  async #sendPiece(bytes: Uint8Array, endStream: boolean): Promise<void> {
    this.#stream.sendData([bytes], endStream);
    while (this.#stream.queuedBytes > 0 && !this.#gone) {
      await new Promise<void>((resolve) => (this.#wakeSender = resolve));
    }
  }

  #wake(): void {
    const wake = this.#wakeSender;
    this.#wakeSender = undefined;
    wake?.();
  }
}
