// HTTP/1.1 by node:http for sockets that somebody else has accepted. It speaks the protocol and bounds what a peer
// can do; what is answered is the handler's.
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { ConnectionCredentials } from '../base/authorizer.ts';
import { unboundedByteBudget } from '../base/byte-budget.ts';
import type { ByteBudget, InputGate } from '../base/byte-budget.ts';
import type { HttpHandler } from '../base/http-exchange.ts';
import type { Log } from '../base/log.ts';
import { lookIntervalMs, ProgressWatch } from '../base/progress-watch.ts';
import type { StallLimits } from '../base/progress-watch.ts';
import { monotonicClock } from './clocks.ts';
import { lastWordsTo, rawAnswer, unservable } from './http1-refusals.ts';
import type { Http1Refusal, ParserError, UnservableRequest } from './http1-refusals.ts';
import { NodeHttpExchange } from './node-http-exchange.ts';
import type { NodeHttpExchangeLimits } from './node-http-exchange.ts';
import { nodeHttp } from './node-http-module.ts';
import { sentBytes } from './sent-bytes.ts';

/** Stalls count while a body is waited for that a client has announced, or while it has to take an answer. */
export interface Http1Limits extends NodeHttpExchangeLimits, StallLimits {
  /** Request line and headers together, bytes. More gets 431. */
  readonly headerBytesMax: number;
  /** From the first byte of a request, or of a connection, to the end of its headers. */
  readonly headersTimeoutMs: number;
  /** An unused connection is closed after this. Longer than the pools of clients, which would else meet the close. */
  readonly keepAliveTimeoutMs: number;
  /** Requests that one connection may send ahead of their answers; beyond it the connection is closed. */
  readonly pipelinedRequestsMax: number;
}

export const http1Limits: Http1Limits = {
  headerBytesMax: 32 * 1024,
  headersTimeoutMs: 30_000,
  keepAliveTimeoutMs: 120_000,
  stallTimeoutMs: 120_000,
  busyStallTimeoutMs: 10_000,
  stallBytesMin: 4_096,
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
  /** Bounds connections and requests from now on anew; exchanges that run keep what they have. */
  limit(limits: Http1Limits): void;
  /** Connections that are open. */
  readonly connectionCount: number;
  /** Exchanges that are not complete. */
  readonly exchangeCount: number;
  /** Exchanges that have begun since the start. */
  readonly openedExchanges: number;
  /** Closes idle connections, lets running exchanges finish; resolves when the last connection is gone. */
  drain(): Promise<void>;
  /**
   * To be called from time to time while others wait for memory: closes connections whose exchange holds some and waits for
   * its client, if nothing has moved since the last call, until there is enough. Returns how many.
   */
  evictStalled(isEnough: () => boolean): number;
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
  /** Of what waits between connections and handlers; without a bound, if left out. */
  readonly budget?: ByteBudget | undefined;
  /** Told of what no handler learns. Must not throw. */
  readonly onRefused?: ((reason: Http1Refusal) => void) | undefined;
  /** Told that an unused connection was closed. Must not throw. */
  readonly onIdle?: (() => void) | undefined;
  /** Whether somebody waits for what calls hold that make no progress. */
  readonly isBusy?: (() => boolean) | undefined;
}

export function createHttp1Server(handler: HttpHandler, limits: Http1Limits, parts: Http1Parts): Http1Server {
  return new AdoptingServer(handler, limits, parts);
}

/** An exchange, and why it is not handed on, if so. */
interface Turn {
  readonly exchange: NodeHttpExchange;
  readonly problem: UnservableRequest | undefined;
}

/** One connection. Its exchanges run one after the other, whatever was pipelined. */
interface Connection {
  readonly socket: Socket;
  readonly credentials: ConnectionCredentials | undefined;
  readonly waiting: Turn[];
  /** Of the exchange that is active. */
  readonly progress: ProgressWatch;
  /** What had come and gone when it was last asked whether it has stalled. */
  lastMovedBytes: number;
  active: NodeHttpExchange | undefined;
  /** The answer to something malformed, to be sent after the exchange that is active. */
  refusal: string | Uint8Array | undefined;
}

class AdoptingServer implements Http1Server, InputGate {
  readonly #server: Server;
  readonly #handler: HttpHandler;
  #limits: Http1Limits;
  readonly #parts: Http1Parts;
  readonly #budget: ByteBudget;
  readonly #gate: Disposable;
  /** Not read until there is memory; a part of `#connections`. */
  readonly #stopped = new Set<Socket>();
  readonly #connections = new Map<Socket, Connection>();
  #draining: PromiseWithResolvers<void> | undefined;
  #openedExchanges = 0;
  /** Runs while there are connections. */
  #looks: NodeJS.Timeout | undefined;

  constructor(handler: HttpHandler, limits: Http1Limits, parts: Http1Parts) {
    this.#handler = handler;
    this.#limits = limits;
    this.#parts = parts;
    this.#budget = parts.budget ?? unboundedByteBudget();
    const server = nodeHttp.createServer({
      // A large upload over a slow line may take its time as long as bytes come, which is watched here.
      requestTimeout: 0,
      requireHostHeader: false, // refused below, with a text
    });
    // A client may end its side after the request and wait for the answer. Not in the documentation of node:http,
    // but in its code since the beginning; node-http.test.ts notices if it goes.
    Object.assign(server, { httpAllowHalfOpen: true });
    // By default node:http drops what comes after 2000 headers, silently; their bytes are bounded already.
    server.maxHeadersCount = 0;
    server.on('request', (request, response) => this.#accept(request, response, false));
    server.on('checkContinue', (request, response) => this.#accept(request, response, true));
    server.on('checkExpectation', (request, response) => this.#accept(request, response, true));
    server.on('clientError', (error, socket) => this.#refuse(socket as Socket, error));
    server.on('connect', (_request, socket) => {
      parts.onRefused?.('proxy');
      endWith(socket as Socket, rawAnswer(501, 'Not Implemented', 'this is no proxy'));
    });
    // Of connections between two requests.
    server.on('timeout', (socket) => {
      parts.onIdle?.();
      socket.destroy();
    });
    this.#server = server;
    this.#gate = this.#budget.watch(this);
    this.limit(limits);
  }

  limit(limits: Http1Limits): void {
    this.#limits = limits;
    const { headerBytesMax: maxHeaderSize, headersTimeoutMs: headersTimeout, keepAliveTimeoutMs: keepAliveTimeout } = limits;
    const connectionsCheckingInterval = Math.min(lateHeadersCheckMs, headersTimeout);
    // Options by their documentation, properties that are read for each connection by the code; node-http.test.ts notices.
    Object.assign(this.#server, { maxHeaderSize, headersTimeout, keepAliveTimeout, connectionsCheckingInterval });
    // node:http starts to watch for late headers when it listens, and this server never does. It ends the watch of before.
    this.#server.emit('listening');
    if (this.#looks !== undefined) this.#lookFromTimeToTime();
  }

  #lookFromTimeToTime(): void {
    clearInterval(this.#looks);
    this.#looks = setInterval(() => this.#look(), lookIntervalMs(this.#limits.stallTimeoutMs, this.#limits.busyStallTimeoutMs)).unref();
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
    const connection: Connection = { socket, credentials, waiting: [], progress: new ProgressWatch(), lastMovedBytes: -1, active: undefined, refusal: undefined };
    this.#connections.set(socket, connection);
    if (this.#looks === undefined) this.#lookFromTimeToTime();
    socket.once('close', () => {
      connection.waiting.length = 0;
      connection.active?.abort();
      this.#connections.delete(socket);
      this.#stopped.delete(socket);
      if (this.#connections.size > 0) return;
      clearInterval(this.#looks);
      this.#looks = undefined;
      this.#draining?.resolve();
    });
    this.#server.emit('connection', socket);
  }

  onExhausted(): void {
    for (const { socket } of this.#connections.values()) {
      if (socket.isPaused()) continue; // by node:http, which goes on when it has reason to
      this.#stopped.add(socket);
      socket.pause();
    }
  }

  onRelief(): void {
    for (const socket of this.#stopped) socket.resume();
    this.#stopped.clear();
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

  evictStalled(isEnough: () => boolean): number {
    let evicted = 0;
    for (const connection of this.#connections.values()) {
      const { socket, active, lastMovedBytes } = connection;
      connection.lastMovedBytes = socket.bytesRead + sentBytes(socket);
      const stalled = active !== undefined && active.waitsForClient && active.heldBytes > 0 && connection.lastMovedBytes === lastMovedBytes;
      if (!stalled || isEnough()) continue;
      socket.destroy();
      active.end();
      evicted += 1;
    }
    return evicted;
  }

  /** Ends the watch for late headers; node:http reports that it did not listen, which is no news. */
  #stopWatching(): void {
    this.#gate[Symbol.dispose]();
    this.#server.close(() => {});
  }

  #accept(request: IncomingMessage, response: ServerResponse, expects: boolean): void {
    const connection = this.#connections.get(request.socket);
    if (connection === undefined) return;
    if (connection.waiting.length >= this.#limits.pipelinedRequestsMax) {
      this.#parts.onRefused?.('pipelined');
      stopParsing(request.socket);
      connection.socket.destroy();
      return;
    }
    const exchange = new NodeHttpExchange(request, response, expects, { limits: this.#limits, budget: this.#budget });
    exchange.credentials = connection.credentials;
    connection.waiting.push({ exchange, problem: unservable(request) });
    if (connection.active === undefined) void this.#serveWaiting(connection);
  }

  /** Never rejects. */
  async #serveWaiting(connection: Connection): Promise<void> {
    for (let next = connection.waiting.shift(); next !== undefined; next = connection.waiting.shift()) {
      const { exchange } = next;
      connection.active = exchange;
      connection.progress.restart();
      this.#openedExchanges += 1;
      exchange.closeAfterwards = this.#draining !== undefined;
      await this.#serve(next);
      connection.active = undefined;
      if (connection.refusal === undefined && !exchange.closeAfterwards && this.#draining === undefined) continue;
      connection.waiting.length = 0;
      if (connection.refusal !== undefined) endWith(connection.socket, connection.refusal);
      // A client that pools connections may not notice for hours that this one has ended; its answer comes first.
      else connection.socket.end(() => cutOffSoon(connection.socket));
    }
  }

  async #serve({ exchange, problem }: Turn): Promise<void> {
    try {
      if (this.#budget.isExhausted) await this.#budget.relief();
      exchange.begin();
      if (problem === undefined) await this.#handler(exchange);
      else await this.#answerProblem(exchange, problem);
      if (!exchange.answerStarted) throw new Error(`no answer to ${exchange.method} ${exchange.target.slice(0, 200)}`);
    } catch (error) {
      // Handlers answer their own failures; what comes here is a bug, or a body that broke off.
      if (!exchange.clientGone) this.#parts.log.error('an HTTP exchange failed', error, { method: exchange.method });
      if (!exchange.answerStarted) await exchange.respond(500, textHeaders, Buffer.from('internal error\n')).catch(() => {});
    } finally {
      exchange.end();
    }
  }

  async #answerProblem(exchange: NodeHttpExchange, { reason, status, text }: UnservableRequest): Promise<void> {
    this.#parts.onRefused?.(reason);
    await exchange.respond(status, textHeaders, Buffer.from(`${text}\n`));
  }

  /** What node:http could not parse. The client is told in the order of its requests. */
  #refuse(socket: Socket, error: ParserError): void {
    const connection = this.#connections.get(socket);
    if (connection === undefined || connection.refusal !== undefined || socket.destroyed) return;
    if (!socket.writable || error.code === 'ECONNRESET' || error.code === 'EPIPE') {
      socket.destroy();
      return;
    }
    const { reason, answer } = lastWordsTo(error, { socket, limits: this.#limits, foreignAnswer: this.#parts.foreignAnswer });
    this.#parts.onRefused?.(reason);
    connection.refusal = answer;
    const { active } = connection;
    if (active === undefined || (!active.requestComplete && !active.answerStarted)) endWith(socket, connection.refusal);
    else if (!active.requestComplete) socket.destroy();
  }

  /** Closes connections whose client sends or takes too little of the exchange that is active. */
  #look(): void {
    const { stallTimeoutMs, busyStallTimeoutMs, stallBytesMin: bytesMin } = this.#limits;
    const stallMs = this.#parts.isBusy?.() === true ? busyStallTimeoutMs : stallTimeoutMs;
    const nowMs = monotonicClock.nowMs();
    for (const { socket, active, progress } of this.#connections.values()) {
      if (!progress.isStalled(active?.waitsForClient === true, socket.bytesRead + sentBytes(socket), { nowMs, stallMs, bytesMin })) continue;
      this.#parts.onRefused?.('stall');
      socket.destroy();
    }
  }
}

const textHeaders = { 'content-type': 'text/plain; charset=utf-8' };

/** Sends the last words and closes our side; a peer that does not close its own is cut off. */
function endWith(socket: Socket, answer: string | Uint8Array): void {
  socket.end(answer);
  cutOffSoon(socket);
}

/**
 * Leaves what else has come unread: node:http would make a request of each, and an error with its stack when the socket is
 * gone (9 ms for 200 of them, and 2.5 with this). Its parser stops behind headers that are answered so, as it does
 * for an upgrade. Not in the documentation of node:http; node-http.test.ts notices if it goes.
 */
function stopParsing(socket: Socket): void {
  const { parser } = socket as Socket & { readonly parser?: { onIncoming?: unknown } | null };
  if (typeof parser?.onIncoming === 'function') parser.onIncoming = () => skipAsUpgrade;
}

/** What the parser is told of headers behind which no more HTTP follows. */
const skipAsUpgrade = 2;

function cutOffSoon(socket: Socket): void {
  setTimeout(() => socket.destroy(), lastWordsLingerMs).unref();
}
