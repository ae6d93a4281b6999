// One HTTP/1.1 request of node:http as an HttpExchange. Which exchanges run, and when a connection ends, is decided
// by node-http.ts.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { assert } from '../base/assert.ts';
import type { ConnectionCredentials } from '../base/authorizer.ts';
import { HeldBytes } from '../base/byte-budget.ts';
import type { ByteBudget } from '../base/byte-budget.ts';
import { byteSourceOf } from '../base/byte-source.ts';
import type { ByteSource } from '../base/byte-source.ts';
import { CacheError } from '../base/cache-error.ts';
import type { HttpExchange, HttpHeaders } from '../base/http-exchange.ts';

export interface NodeHttpExchangeLimits {
  /** Bytes of a refused body that are still read, so that the client sees the answer instead of a reset. */
  readonly unreadBodyBytesMax: number;
  /** How long a client may take to send them, milliseconds. */
  readonly unreadBodyTimeoutMs: number;
}

export interface NodeHttpExchangeParts {
  readonly limits: NodeHttpExchangeLimits;
  /** Of what waits between the connection and the handler. */
  readonly budget: ByteBudget;
}

/** What node:http reads at once, and so keeps of a body that nobody takes. */
const readBytes = 64 * 1024;

const noBytes = new Uint8Array(0);
/** Statuses that have no body by definition (RFC 9110 §6.4.1). */
const bodilessStatuses = new Set([204, 304]);

/** States of the answer: none yet, being sent, everything handed over (or the client went away). */
type AnswerState = 'none' | 'started' | 'done';

export class NodeHttpExchange implements HttpExchange {
  readonly method: string;
  /** "1.1" or "1.0". */
  readonly httpVersion: string;
  readonly target: string;
  readonly headers: HttpHeaders;
  readonly contentLength: number | undefined;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #limits: NodeHttpExchangeLimits;
  #abort: AbortController | undefined;
  /** The connection ended before the answer was complete. */
  #gone = false;
  /** Wakes whoever waits for the client in `#until`; one at a time does. */
  #wake: (() => void) | undefined;
  /** True while the client waits for "100 Continue". */
  #continueOwed: boolean;
  #bodyTaken = false;
  #chunks: AsyncIterator<Uint8Array> | undefined;
  #bodyBytes = 0;
  #bodyEnded: boolean;
  #answer: AnswerState = 'none';
  /** True while nothing goes on until the peer sends what it announced or takes what was sent. */
  #waitsForClient = false;
  readonly #budget: ByteBudget;
  /** What node:http keeps of the body, or may keep, with the chunk that is worked on; and of the answer. */
  readonly #heldBody: HeldBytes;
  readonly #heldAnswer: HeldBytes;
  #isServed = false;
  /** Set by the owner, who knows the connection. */
  credentials: ConnectionCredentials | undefined;
  /** Set by the owner when the connection must not be used again. */
  closeAfterwards = false;

  constructor(request: IncomingMessage, response: ServerResponse, expectsContinue: boolean, { limits, budget }: NodeHttpExchangeParts) {
    this.method = request.method ?? 'GET';
    this.httpVersion = request.httpVersion;
    this.target = request.url ?? '/';
    this.headers = headersOf(request);
    this.contentLength = contentLengthOf(request);
    this.#request = request;
    this.#response = response;
    this.#limits = limits;
    this.#budget = budget;
    this.#heldBody = new HeldBytes(budget);
    this.#heldAnswer = new HeldBytes(budget);
    this.#bodyEnded = this.contentLength === 0;
    this.#continueOwed = expectsContinue && !this.#bodyEnded;
  }

  /** Made when somebody asks: most exchanges end without. */
  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    if (this.#gone) this.#abort.abort();
    return this.#abort.signal;
  }

  get clientGone(): boolean {
    return this.#gone;
  }

  get answerStarted(): boolean {
    return this.#answer !== 'none';
  }

  get waitsForClient(): boolean {
    return this.#waitsForClient;
  }

  /** True when the whole request has come. */
  get requestComplete(): boolean {
    return this.#request.complete;
  }

  /** Of the budget. */
  get heldBytes(): number {
    return this.#heldBody.bytes + this.#heldAnswer.bytes;
  }

  /** It is the turn of this exchange, and its body is read from now on. */
  begin(): void {
    this.#isServed = true;
    if (this.#bodyEnded || this.#budget.refusesGrowth) return; // refused when it is asked for, and dropped
    this.#holdBody(Math.min(readBytes, this.contentLength ?? readBytes));
  }

  /** Its turn is over, however it went. */
  end(): void {
    this.#isServed = false;
    this.#heldBody.set(0);
    this.#heldAnswer.set(0);
  }

  /** The connection is gone. */
  abort(): void {
    if (this.#answer === 'done') return;
    this.#gone = true;
    this.#abort?.abort();
    this.#wake?.();
  }

  async *body(): AsyncGenerator<Uint8Array, void, undefined> {
    assert(!this.#bodyTaken, 'the body of an exchange is taken once');
    this.#bodyTaken = true;
    if (this.#bodyEnded) return;
    if (this.#budget.refusesGrowth && (this.contentLength ?? Infinity) > readBytes) throw this.#budget.refusal();
    if (this.#continueOwed) {
      this.#continueOwed = false;
      this.#response.writeContinue();
    }
    const chunks: AsyncIterableIterator<Uint8Array> = this.#request.iterator({ destroyOnReturn: false });
    this.#chunks = chunks;
    try {
      this.#waitsForClient = true;
      for await (const chunk of chunks) {
        this.#waitsForClient = false;
        this.#bodyBytes += chunk.byteLength;
        this.#holdBody(chunk.byteLength + readBytes);
        yield chunk;
        this.#holdBody(readBytes);
        if (this.#budget.isExhausted) await this.#budget.relief();
        this.#waitsForClient = true;
      }
      this.#bodyEnded = true;
      this.#holdBody(0);
    } catch (error) {
      throw new CacheError('cancelled', 'the client went away before its request was complete', { cause: error });
    } finally {
      this.#waitsForClient = false;
    }
  }

  async respond(status: number, headers: HttpHeaders = {}, body: ByteSource | Uint8Array = noBytes): Promise<void> {
    assert(this.#answer === 'none', 'an exchange is answered once');
    this.#answer = 'started';
    await using source = body instanceof Uint8Array ? byteSourceOf(body) : body;
    const remaining = this.#unreadBytes();
    const closes = this.closeAfterwards || remaining > this.#limits.unreadBodyBytesMax;
    try {
      this.#response.writeHead(status, definedHeaders(headers, source.sizeBytes, closes));
      const bodiless = this.method === 'HEAD' || bodilessStatuses.has(status);
      const whole = bodiless ? noBytes : source.inMemory;
      if (whole !== undefined && remaining === 0) {
        await this.#end(whole); // one write with the headers, and one wait
        return;
      }
      if (bodiless) this.#response.flushHeaders();
      else await this.#send(source);
      if (remaining > 0) await this.#discard(closes);
      await this.#end(noBytes);
    } catch (error) {
      // A part of the body is out, so the only honest end is one that the client takes for broken.
      this.#response.destroy();
      throw error;
    } finally {
      this.#answer = 'done';
    }
  }

  #holdBody(bytes: number): void {
    if (this.#isServed) this.#heldBody.set(bytes); // a consumer may go on after the answer, when all is dropped
  }

  /** Bytes of the request that are still to come; Infinity when nobody knows how many. */
  #unreadBytes(): number {
    if (this.#bodyEnded || this.#request.readableEnded) return 0;
    // A client that waits for 100 may or may not send its body after a refusal (RFC 9110 §10.1.1).
    if (this.#continueOwed || this.contentLength === undefined) return Infinity;
    return this.contentLength - this.#bodyBytes;
  }

  async #send(source: ByteSource): Promise<void> {
    const bytes = source.inMemory;
    if (bytes !== undefined) {
      if (bytes.byteLength > 0 && !this.#response.write(bytes)) await this.#drained();
      return;
    }
    for await (const chunk of source) {
      if (this.#gone) return;
      if (!this.#response.write(chunk)) await this.#drained();
    }
  }

  /** Resolves when the socket takes more, or is gone. */
  async #drained(): Promise<void> {
    this.#waitsForClient = true;
    this.#heldAnswer.set(this.#response.writableLength);
    await this.#until((done) => this.#response.once('drain', done));
    this.#heldAnswer.set(0);
    this.#waitsForClient = false;
  }

  async #end(last: Uint8Array): Promise<void> {
    this.#waitsForClient = true;
    await this.#until((done) => {
      if (last.byteLength === 0) this.#response.end(done);
      else this.#response.end(last, done);
      this.#heldAnswer.set(this.#response.writableLength);
    });
    this.#heldAnswer.set(0);
    this.#waitsForClient = false;
  }

  /**
   * Reads what is left of the request. When the connection closes afterwards, within a bound: closing at once
   * would reset it, and the client would never see the answer that was sent (RFC 9112 §9.6).
   */
  async #discard(closes: boolean): Promise<void> {
    if (closes && this.#continueOwed) return;
    // A consumer that left without ending the iteration would keep the request from flowing.
    if (!this.#waitsForClient) await this.#chunks?.return?.();
    this.#holdBody(0);
    let bytesLeft = closes ? this.#limits.unreadBodyBytesMax : Infinity;
    this.#waitsForClient = true;
    const timeout = Promise.withResolvers<void>();
    const timer = setTimeout(() => timeout.resolve(), this.#limits.unreadBodyTimeoutMs);
    const request = this.#request;
    await this.#until((done) => {
      request.on('data', (chunk: Uint8Array) => {
        bytesLeft -= chunk.byteLength;
        if (bytesLeft < 0) done();
      });
      request.once('end', done);
      void timeout.promise.then(() => {
        this.closeAfterwards = true; // the next request would be read from the middle of this one
        done();
      });
      request.resume();
    });
    clearTimeout(timer);
    this.#waitsForClient = false;
  }

  /** Resolves when `start` calls back, or the client goes away. */
  async #until(start: (done: () => void) => void): Promise<void> {
    if (this.#gone) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    start(resolve);
    await promise;
    this.#wake = undefined;
  }
}

function definedHeaders(headers: HttpHeaders, sizeBytes: number, closes: boolean): Record<string, string> {
  const defined: Record<string, string> = { 'content-length': String(sizeBytes) };
  for (const [name, value] of Object.entries(headers)) if (value !== undefined) defined[name] = value;
  if (closes) defined['connection'] = 'close';
  return defined;
}

function headersOf(request: IncomingMessage): HttpHeaders {
  const headers: Record<string, string | undefined> = {};
  for (const [name, value] of Object.entries(request.headers)) headers[name] = Array.isArray(value) ? value.join(', ') : value;
  return headers;
}

/** HTTP/1.1 without a length and without chunks means no body (RFC 9112 §6.3); node:http has checked the digits. */
function contentLengthOf(request: IncomingMessage): number | undefined {
  if (request.headers['transfer-encoding'] !== undefined) return undefined;
  return Number(request.headers['content-length'] ?? '0');
}
