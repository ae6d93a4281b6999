// One request of node:http that we make, and its answer. Watches the server: whoever waits for it too long, breaks off.
import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { CacheError } from '../base/cache-error.ts';
import type { HttpReply, HttpRequestBody } from '../base/http-client.ts';
import type { HttpHeaders } from '../base/http-exchange.ts';
import { errorCodeOf } from './error-code-of.ts';

export interface OutgoingLimits {
  /** The longest wait for a sign of life: a connection, an answer, more bytes, or room for more. Milliseconds. */
  readonly silenceTimeoutMs: number;
  /** How long the server's consent to a body is waited for; some never give it (RFC 9110 §10.1.1). Milliseconds. */
  readonly continueTimeoutMs: number;
}

export interface OutgoingContext {
  readonly serverName: string;
  readonly limits: OutgoingLimits;
  readonly signal: AbortSignal | undefined;
}

/** Handed over at a time. Room for more is a sign of life, which a chunk of any length would show at its end only. */
const pieceBytesMax = 128 * 1024;

export class OutgoingExchange {
  readonly #request: ClientRequest;
  readonly #context: OutgoingContext;
  #connected = false;
  #continued = false;
  #response: IncomingMessage | undefined;
  /** Why nothing more will come: what broke, or why we broke it off. */
  #failure: unknown;
  #failed = false;
  /** Wakes whoever waits for the server in `#until`; one at a time does. */
  #wake: (() => void) | undefined;
  readonly #cancel = (): void => this.#fail(new CacheError('cancelled', `the call to ${this.#context.serverName} was cancelled`));

  /** Takes over `request`, whose headers are set and whose body is not begun. */
  constructor(request: ClientRequest, context: OutgoingContext) {
    this.#request = request;
    this.#context = context;
    request.on('socket', (socket) => this.#onSocket(socket));
    request.on('continue', () => {
      this.#continued = true;
      this.#wake?.();
    });
    request.on('drain', () => this.#wake?.());
    request.on('response', (response) => {
      this.#response = response;
      this.#wake?.();
    });
    request.on('error', (error) => this.#fail(this.#broken(error)));
    // The last event in any case; after an answer its body tells by itself whether it is whole.
    request.on('close', () => {
      if (this.#response === undefined) this.#fail(this.#broken(undefined));
    });
  }

  /** The answer's head, once all of the body is handed over or the answer makes the rest useless. */
  async run(body: HttpRequestBody | undefined): Promise<HttpReply> {
    const { signal } = this.#context;
    if (signal?.aborted === true) this.#cancel();
    else signal?.addEventListener('abort', this.#cancel, { once: true });
    try {
      if (body === undefined) this.#request.end();
      else await this.#sendBody(body);
      return this.#reply(await this.#answer());
    } catch (thrown) {
      this.#fail(thrown);
      this.#forgetSignal();
      throw thrown;
    }
  }

  async #sendBody(body: HttpRequestBody): Promise<void> {
    this.#request.flushHeaders();
    // Untouched until there is somebody to send it to: a caller may then offer the same bytes again.
    await this.#until(() => this.#connected);
    if (body.expectContinue === true) await this.#until(() => this.#continued, { atMostMs: this.#context.limits.continueTimeoutMs });
    if (this.#response !== undefined) return;
    for await (const chunk of this.#whileWanted(body.bytes)) {
      for (let from = 0; from < chunk.byteLength && this.#response === undefined; from += pieceBytesMax) {
        if (!this.#request.write(chunk.subarray(from, from + pieceBytesMax))) await this.#until(() => !this.#request.writableNeedDrain);
      }
    }
    if (this.#failed) throw this.#failure;
    if (this.#response === undefined) this.#request.end();
  }

  /** `bytes`, until the request breaks or is answered, which is not put off by a source that gives nothing. */
  async *#whileWanted(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
    const source = bytes[Symbol.asyncIterator]();
    let isAsked = false;
    try {
      while (!this.#failed && this.#response === undefined) {
        const { promise, resolve, reject } = Promise.withResolvers<IteratorResult<Uint8Array> | undefined>();
        this.#wake = () => {
          if (this.#failed || this.#response !== undefined) resolve(undefined);
        };
        isAsked = true;
        source.next().then(resolve, reject);
        const next = await promise;
        this.#wake = undefined;
        if (next === undefined) return;
        isAsked = false;
        if (next.done === true) return;
        yield next.value;
      }
    } finally {
      // A source that still owes an answer is ended after it, should that ever come.
      const ended = source.return?.();
      if (isAsked) ended?.catch(() => {});
      else await ended;
    }
  }

  async #answer(): Promise<IncomingMessage> {
    await this.#until(() => this.#response !== undefined);
    if (this.#response === undefined) throw this.#failure;
    return this.#response;
  }

  #onSocket(socket: Socket): void {
    const connected = (): void => {
      this.#connected = true;
      this.#wake?.();
    };
    if (socket.connecting) socket.once('connect', connected);
    else connected();
  }

  /** Waits for the server until `isSo`, until it has answered, or for `atMostMs`. @throws what broke the request. */
  async #until(isSo: () => boolean, { atMostMs = Infinity }: { readonly atMostMs?: number } = {}): Promise<void> {
    let over = false;
    const { silenceTimeoutMs } = this.#context.limits;
    const timer = setTimeout(() => {
      if (atMostMs > silenceTimeoutMs) this.#fail(this.#silence());
      over = true;
      this.#wake?.();
    }, Math.min(silenceTimeoutMs, atMostMs));
    while (!over && !this.#failed && !isSo() && this.#response === undefined) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
      this.#wake = undefined;
    }
    clearTimeout(timer);
    if (this.#failed) throw this.#failure;
  }

  #reply(response: IncomingMessage): HttpReply {
    const length = response.headers['content-length'];
    const finish = (): Promise<void> => this.#finish(response);
    const chunks = this.#chunks(response);
    return {
      status: response.statusCode ?? 0,
      headers: headersOf(response),
      contentLength: length === undefined ? undefined : Number(length),
      body: { [Symbol.asyncIterator]: () => chunks },
      [Symbol.asyncDispose]: finish,
    };
  }

  async *#chunks(response: IncomingMessage): AsyncGenerator<Uint8Array, void, undefined> {
    const iterator = response[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
    try {
      for (;;) {
        const next = await this.#nextOf(iterator);
        if (next.done === true) break;
        yield next.value;
      }
      if (!response.complete) throw this.#broken(undefined);
    } finally {
      await this.#finish(response);
    }
  }

  async #nextOf(iterator: AsyncIterator<Uint8Array>): Promise<IteratorResult<Uint8Array>> {
    const timer = setTimeout(() => this.#fail(this.#silence()), this.#context.limits.silenceTimeoutMs);
    try {
      return await iterator.next();
    } catch (thrown) {
      throw this.#broken(thrown);
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * Nobody reads on. The connection is kept if nothing of this exchange is still under way on it, and is free for the
   * next one when this resolves.
   */
  async #finish(response: IncomingMessage): Promise<void> {
    this.#forgetSignal();
    if (this.#request.writableFinished && (response.complete || this.#isBodiless(response))) {
      if (response.readableEnded || response.destroyed) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      response.once('end', resolve).once('close', resolve).resume();
      // A reader that left in the middle still keeps resume() from taking what is left, all of which has come.
      while (response.read() !== null);
      await promise;
    } else this.#request.destroy();
  }

  /** The end of an answer without a body may not have been seen yet when its head is. */
  #isBodiless({ statusCode, headers }: IncomingMessage): boolean {
    return this.#request.method === 'HEAD' || statusCode === 204 || statusCode === 304 || headers['content-length'] === '0';
  }

  /** The first reason counts. */
  #fail(reason: unknown): void {
    if (!this.#failed) {
      this.#failed = true;
      this.#failure = reason;
      this.#request.destroy();
    }
    this.#wake?.();
  }

  #forgetSignal(): void {
    this.#context.signal?.removeEventListener('abort', this.#cancel);
  }

  #silence(): CacheError {
    const { serverName, limits } = this.#context;
    return new CacheError('deadline_exceeded', `${serverName} let nothing be heard for ${limits.silenceTimeoutMs} ms`);
  }

  /** What a broken connection means: the reason why we broke it, if we did. */
  #broken(cause: unknown): unknown {
    if (this.#failed) return this.#failure;
    const code = errorCodeOf(cause);
    const what = this.#connected ? 'lost the connection to' : 'cannot connect to';
    return new CacheError('unavailable', `${what} ${this.#context.serverName}${code === 'unknown' ? '' : ` (${code})`}`, { cause });
  }
}

function headersOf({ headers }: IncomingMessage): HttpHeaders {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : value]));
}
