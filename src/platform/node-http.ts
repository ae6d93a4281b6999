// HTTP/1.1 by node:http for sockets that somebody else has accepted. It speaks the protocol and bounds what a peer
// can do; what is answered is the handler's.
import { METHODS, createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { ConnectionCredentials } from '../base/authorizer.ts';
import type { HttpHandler } from '../base/http-exchange.ts';
import type { Log } from '../base/log.ts';
import { NodeHttpExchange } from './node-http-exchange.ts';
import type { NodeHttpExchangeLimits } from './node-http-exchange.ts';

export interface Http1Limits extends NodeHttpExchangeLimits {
  /** Request line and headers together, bytes. More gets 431. */
  readonly headerBytesMax: number;
  /** From the first byte of a request, or of a connection, to the end of its headers. */
  readonly headersTimeoutMs: number;
  /** An unused connection is closed after this. Longer than the pools of clients, which would else meet the close. */
  readonly keepAliveTimeoutMs: number;
  /** How long a client may neither send the body it announced nor take the answer. */
  readonly stallTimeoutMs: number;
  /** Requests that one connection may send ahead of their answers; beyond it the connection is closed. */
  readonly pipelinedRequestsMax: number;
}

export const http1Limits: Http1Limits = {
  headerBytesMax: 32 * 1024,
  headersTimeoutMs: 30_000,
  keepAliveTimeoutMs: 120_000,
  stallTimeoutMs: 120_000,
  pipelinedRequestsMax: 32,
  unreadBodyBytesMax: 1024 * 1024,
  unreadBodyTimeoutMs: 5_000,
};

export interface Http1Server {
  /**
   * Serves an accepted connection, and owns it. It must allow half-open ends; bytes read from it before must have
   * been given back by `unshift`. `credentials` is what it shows of its client.
   */
  adopt(socket: Socket, credentials?: ConnectionCredentials): void;
  /** Connections that are open. */
  readonly connectionCount: number;
  /** Exchanges that are not complete. */
  readonly exchangeCount: number;
  /** Exchanges that have begun since the start. */
  readonly openedExchanges: number;
  /** Closes idle connections, lets running exchanges finish; resolves when the last connection is gone. */
  drain(): Promise<void>;
  /** Closes everything at once. */
  close(): void;
}

/** How often node:http looks for requests whose headers are late. */
const lateHeadersCheckMs = 5_000;
/** How long a client may take to close its side after we have closed ours. */
const lastWordsLingerMs = 1_000;

/** What an HTTP/1.1 server needs besides its limits. */
export interface Http1Parts {
  readonly log: Log;
  /**
   * The last words to a peer whose first line is complete and claims no HTTP version: it speaks neither HTTP/1.1 nor,
   * by its preface, HTTP/2, and which protocol's refusal it gets is not for HTTP/1.1 to decide.
   */
  readonly foreignAnswer: Uint8Array;
}

export function createHttp1Server(handler: HttpHandler, limits: Http1Limits, parts: Http1Parts): Http1Server {
  return new AdoptingServer(handler, limits, parts);
}

/** One connection. Its exchanges run one after the other, whatever was pipelined. */
interface Connection {
  readonly socket: Socket;
  readonly credentials: ConnectionCredentials | undefined;
  readonly waiting: NodeHttpExchange[];
  active: NodeHttpExchange | undefined;
  /** The answer to something malformed, to be sent after the exchange that is active. */
  refusal: string | Uint8Array | undefined;
}

class AdoptingServer implements Http1Server {
  readonly #server: Server;
  readonly #handler: HttpHandler;
  readonly #limits: Http1Limits;
  readonly #log: Log;
  readonly #foreignAnswer: Uint8Array;
  readonly #connections = new Map<Socket, Connection>();
  #draining: PromiseWithResolvers<void> | undefined;
  #openedExchanges = 0;

  constructor(handler: HttpHandler, limits: Http1Limits, { log, foreignAnswer }: Http1Parts) {
    this.#handler = handler;
    this.#limits = limits;
    this.#log = log;
    this.#foreignAnswer = foreignAnswer;
    const server = createServer({
      maxHeaderSize: limits.headerBytesMax,
      headersTimeout: limits.headersTimeoutMs,
      // A large upload over a slow line may take its time as long as bytes come: stallTimeoutMs watches that.
      requestTimeout: 0,
      keepAliveTimeout: limits.keepAliveTimeoutMs,
      connectionsCheckingInterval: Math.min(lateHeadersCheckMs, limits.headersTimeoutMs),
      requireHostHeader: false, // refused below, with a text
    });
    // A client may end its side after the request and wait for the answer. Not in the documentation of node:http,
    // but in its code since the beginning; node-http.test.ts notices if it goes.
    Object.assign(server, { httpAllowHalfOpen: true });
    server.timeout = limits.stallTimeoutMs;
    server.on('request', (request, response) => this.#accept(request, response, false));
    server.on('checkContinue', (request, response) => this.#accept(request, response, true));
    server.on('checkExpectation', (request, response) => this.#accept(request, response, true));
    server.on('clientError', (error, socket) => this.#refuse(socket as Socket, error));
    server.on('connect', (_request, socket) => endWith(socket as Socket, rawAnswer(501, 'Not Implemented', 'this is no proxy')));
    server.on('timeout', (socket) => this.#onTimeout(socket));
    // node:http starts to watch for late headers when it listens, and this server never does.
    server.emit('listening');
    this.#server = server;
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  get exchangeCount(): number {
    let count = 0;
    for (const { active } of this.#connections.values()) if (active !== undefined) count += 1;
    return count;
  }

  get openedExchanges(): number {
    return this.#openedExchanges;
  }

  adopt(socket: Socket, credentials?: ConnectionCredentials): void {
    if (this.#draining !== undefined) {
      socket.destroy();
      return;
    }
    const connection: Connection = { socket, credentials, waiting: [], active: undefined, refusal: undefined };
    this.#connections.set(socket, connection);
    socket.once('close', () => {
      connection.waiting.length = 0;
      connection.active?.abort();
      this.#connections.delete(socket);
      if (this.#connections.size === 0) this.#draining?.resolve();
    });
    this.#server.emit('connection', socket);
  }

  async drain(): Promise<void> {
    if (this.#draining === undefined) {
      this.#draining = Promise.withResolvers();
      for (const connection of this.#connections.values()) {
        if (connection.active === undefined) connection.socket.destroy();
        else connection.active.closeAfterwards = true;
      }
      if (this.#connections.size === 0) this.#draining.resolve();
    }
    await this.#draining.promise;
    this.#stopWatching();
  }

  close(): void {
    this.#draining ??= Promise.withResolvers();
    for (const { socket } of this.#connections.values()) socket.destroy();
    if (this.#connections.size === 0) this.#draining.resolve();
    this.#stopWatching();
  }

  /** Ends the watch for late headers; node:http reports that it did not listen, which is no news. */
  #stopWatching(): void {
    this.#server.close(() => {});
  }

  #accept(request: IncomingMessage, response: ServerResponse, expects: boolean): void {
    const connection = this.#connections.get(request.socket);
    if (connection === undefined) return;
    if (connection.waiting.length >= this.#limits.pipelinedRequestsMax) {
      connection.socket.destroy();
      return;
    }
    const exchange = new NodeHttpExchange(request, response, expects, this.#limits);
    exchange.credentials = connection.credentials;
    connection.waiting.push(exchange);
    if (connection.active === undefined) void this.#serveWaiting(connection);
  }

  /** Never rejects. */
  async #serveWaiting(connection: Connection): Promise<void> {
    for (let next = connection.waiting.shift(); next !== undefined; next = connection.waiting.shift()) {
      connection.active = next;
      this.#openedExchanges += 1;
      next.closeAfterwards = this.#draining !== undefined;
      await this.#serve(next);
      connection.active = undefined;
      if (connection.refusal === undefined && !next.closeAfterwards && this.#draining === undefined) continue;
      connection.waiting.length = 0;
      if (connection.refusal !== undefined) endWith(connection.socket, connection.refusal);
      // A client that pools connections may not notice for hours that this one has ended; its answer comes first.
      else connection.socket.end(() => cutOffSoon(connection.socket));
    }
  }

  async #serve(exchange: NodeHttpExchange): Promise<void> {
    try {
      const problem = unservable(exchange);
      if (problem === undefined) await this.#handler(exchange);
      else await exchange.respond(problem.status, textHeaders, Buffer.from(`${problem.text}\n`));
      if (!exchange.answerStarted) throw new Error(`no answer to ${exchange.method} ${exchange.target.slice(0, 200)}`);
    } catch (error) {
      // Handlers answer their own failures; what comes here is a bug, or a body that broke off.
      if (!exchange.clientGone) this.#log.error('an HTTP exchange failed', error, { method: exchange.method });
      if (!exchange.answerStarted) await exchange.respond(500, textHeaders, Buffer.from('internal error\n')).catch(() => {});
    }
  }

  /** What node:http could not parse. The client is told in the order of its requests. */
  #refuse(socket: Socket, error: NodeJS.ErrnoException): void {
    const connection = this.#connections.get(socket);
    if (connection === undefined || connection.refusal !== undefined || socket.destroyed) return;
    if (!socket.writable || error.code === 'ECONNRESET' || error.code === 'EPIPE') {
      socket.destroy();
      return;
    }
    connection.refusal = isForeign(socket, error) ? this.#foreignAnswer : answerTo(error, this.#limits);
    const { active } = connection;
    if (active === undefined || (!active.requestComplete && !active.answerStarted)) endWith(socket, connection.refusal);
    else if (!active.requestComplete) socket.destroy();
  }

  #onTimeout(socket: Socket): void {
    const active = this.#connections.get(socket)?.active;
    if (active === undefined || active.waitsForClient) socket.destroy();
    else socket.setTimeout(this.#limits.stallTimeoutMs); // we are the slow ones; look again later
  }
}

const textHeaders = { 'content-type': 'text/plain; charset=utf-8' };

/** What the protocol forbids although it can be parsed. */
function unservable({ headers, httpVersion }: NodeHttpExchange): { status: number; text: string } | undefined {
  // RFC 9112 §3.2
  if (httpVersion === '1.1' && headers['host'] === undefined) return { status: 400, text: 'a request of HTTP/1.1 has a Host header' };
  const expectation = headers['expect'];
  if (expectation !== undefined && expectation.toLowerCase() !== '100-continue') {
    return { status: 417, text: 'only the expectation 100-continue is met here' };
  }
  return undefined;
}

/** What node:http adds to an error of its parser. */
type ParserError = NodeJS.ErrnoException & { readonly rawPacket?: Buffer };

/** True when the connection begins with a line that has neither a method nor a version of HTTP in it. */
function isForeign(socket: Socket, { code, rawPacket }: ParserError): boolean {
  if (code !== 'HPE_INVALID_METHOD' || rawPacket === undefined || socket.bytesRead > rawPacket.byteLength) return false;
  const [line, ...rest] = rawPacket.toString('latin1').split('\n', 2);
  if (line === undefined || rest.length === 0 || line.includes(' HTTP/')) return false;
  return !METHODS.includes(line.trimEnd().split(' ', 1)[0] ?? '');
}

function answerTo(error: NodeJS.ErrnoException, limits: Http1Limits): string {
  if (error.code === 'HPE_HEADER_OVERFLOW') {
    return rawAnswer(431, 'Request Header Fields Too Large', `URL and headers take more than ${limits.headerBytesMax} bytes`);
  }
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return rawAnswer(408, 'Request Timeout', `the headers did not come within ${limits.headersTimeoutMs} ms`);
  }
  if (error.code === 'HPE_INVALID_EOF_STATE') return rawAnswer(400, 'Bad Request', 'the request ended before it was complete');
  return rawAnswer(400, 'Bad Request', 'this is not HTTP/1.1, nor HTTP/2 with prior knowledge');
}

function rawAnswer(status: number, reason: string, text: string): string {
  return (
    `HTTP/1.1 ${status} ${reason}\r\ncontent-type: text/plain; charset=utf-8\r\nconnection: close\r\n` +
    `content-length: ${Buffer.byteLength(text) + 1}\r\n\r\n${text}\n`
  );
}

/** Sends the last words and closes our side; a peer that does not close its own is cut off. */
function endWith(socket: Socket, answer: string | Uint8Array): void {
  socket.end(answer);
  cutOffSoon(socket);
}

function cutOffSoon(socket: Socket): void {
  setTimeout(() => socket.destroy(), lastWordsLingerMs).unref();
}
