// The connections of a server, whatever they speak: from being accepted to the end of the last call on them.
import type { ConnectionCredentials } from '../base/authorizer.ts';
import type { ByteBudget } from '../base/byte-budget.ts';
import type { MonotonicClock, Timers } from '../base/clock.ts';
import type { HttpHandler } from '../base/http-exchange.ts';
import type { Log } from '../base/log.ts';
import { lookIntervalMs } from '../base/progress-watch.ts';
import type { ConnectionEvents } from '../h2/connection-events.ts';
import type { Http2Limits } from '../h2/limits.ts';
import { prefaceRefusal } from '../h2/preface-refusal.ts';
import { serveHttp2 } from '../h2/session.ts';
import type { Http2Session } from '../h2/session.ts';
import type { StreamAcceptor } from '../h2/stream.ts';
import { credentialsOf } from '../platform/client-certificate.ts';
import type { AcceptedConnection, ProtocolHandlers } from '../platform/listener.ts';
import { createHttp1Server } from '../platform/node-http.ts';
import type { Http1Limits, Http1Parts, Http1Server } from '../platform/node-http.ts';
import { nodeSocket } from '../platform/node-socket.ts';
import { repeat } from './repeat.ts';

export interface ConnectionParts {
  /** What HTTP/1.1 exchanges are handed to. */
  readonly exchanges: HttpHandler;
  readonly clock: MonotonicClock;
  readonly timers: Timers;
  readonly log: Log;
  /** Of what connections keep. */
  readonly budget: ByteBudget;
  /** Told of what goes wrong on HTTP/2 connections. */
  readonly events?: ConnectionEvents | undefined;
  /** Told of what HTTP/1.1 refuses by itself. */
  readonly http1Events?: Pick<Http1Parts, 'onRefused' | 'onIdle'>;
  /** Whether somebody waits for what calls hold that make no progress. */
  readonly isBusy?: () => boolean;
  readonly limits: ProtocolLimits;
}

/** Of connections, by what they speak. */
export interface ProtocolLimits {
  readonly http1: Http1Limits;
  readonly http2: Http2Limits;
}

/** How the calls of a drain ended. */
export interface DrainedCalls {
  /** Answered, or left by their clients. */
  readonly finishedCalls: number;
  readonly cutOffCalls: number;
}

/**
 * How long an HTTP/2 client may take to say that it has seen the first GOAWAY. Calls that it had sent by then are
 * served; a client that does not answer, or heeds neither, gets the last word after this.
 */
const goawayAnswerMs = 5_000;

/** How long clients may take to receive the last answers to calls that were cut off. */
const lastAnswersMs = 500;

/** What the HTTP/2 streams of a connection are handed to, given what it shows of its client. */
export type StreamAcceptors = (credentials: ConnectionCredentials) => StreamAcceptor;

export class Connections {
  readonly #parts: ConnectionParts;
  readonly #http1: Http1Server;
  /** Bounded by the listeners' limit on connections. */
  readonly #http2 = new Set<Http2Session>();
  #http2Limits: Http2Limits;
  #looks: Disposable | undefined;
  #draining = false;
  #openedStreams = 0;

  constructor(parts: ConnectionParts) {
    this.#parts = parts;
    this.#http2Limits = parts.limits.http2;
    this.#http1 = createHttp1Server(parts.exchanges, parts.limits.http1, { log: parts.log, budget: parts.budget, foreignAnswer: prefaceRefusal(), isBusy: parts.isBusy, ...parts.http1Events });
  }

  /** Bounds connections from now on anew, and requests of HTTP/1.1; HTTP/2 connections that are open keep what they have. */
  limit({ http1, http2 }: ProtocolLimits): void {
    this.#http1.limit(http1);
    this.#http2Limits = http2;
    if (this.#looks === undefined) return;
    this.#looks[Symbol.dispose]();
    this.#looks = this.#lookFromTimeToTime();
  }

  /** For connections of one kind; those of all kinds are counted and ended together. */
  handlers(acceptors: StreamAcceptors): ProtocolHandlers {
    return {
      http2: (socket, head) => this.#serveHttp2(socket, head, this.#counted(acceptors(credentialsOf(socket)))),
      other: (socket) => this.#http1.adopt(socket, credentialsOf(socket)),
    };
  }

  #counted(streams: StreamAcceptor): StreamAcceptor {
    return {
      onStream: (stream, headers, endStream) => {
        this.#openedStreams += 1;
        return streams.onStream(stream, headers, endStream);
      },
    };
  }

  #serveHttp2(socket: AcceptedConnection, head: Uint8Array, streams: StreamAcceptor): void {
    if (this.#draining) {
      socket.destroy();
      return;
    }
    const session = serveHttp2(nodeSocket(socket, head), streams, this.#http2Limits, this.#parts);
    this.#http2.add(session);
    this.#looks ??= this.#lookFromTimeToTime();
    void session.closed.then(() => this.#onClosed(session));
  }

  /** See `Http2Session.evictStalled`. */
  evictStalled(isEnough: () => boolean): number {
    let evicted = this.#http1.evictStalled(isEnough);
    for (const session of this.#http2) evicted += session.evictStalled(isEnough);
    return evicted;
  }

  #onClosed(session: Http2Session): void {
    this.#http2.delete(session);
    if (this.#http2.size > 0) return;
    this.#looks?.[Symbol.dispose]();
    this.#looks = undefined;
  }

  /** One timer for all connections, while there are any. */
  #lookFromTimeToTime(): Disposable {
    const { clock, timers, isBusy } = this.#parts;
    const { handshakeTimeoutMs, idleTimeoutMs, pingIntervalMs, pingTimeoutMs, busyStallTimeoutMs } = this.#http2Limits;
    const look = (): void => {
      const nowMs = clock.nowMs();
      const busy = isBusy?.() === true;
      for (const session of this.#http2) session.look(nowMs, busy);
    };
    return repeat(lookIntervalMs(handshakeTimeoutMs, idleTimeoutMs, pingIntervalMs, pingTimeoutMs, busyStallTimeoutMs), look, timers);
  }

  get http1Count(): number {
    return this.#http1.connectionCount;
  }

  get http2Count(): number {
    return this.#http2.size;
  }

  /** Of HTTP/2. */
  get streamCount(): number {
    let streams = 0;
    for (const session of this.#http2) streams += session.streamCount;
    return streams;
  }

  /** Connections of either protocol that have shown which one they speak. */
  get size(): number {
    return this.#http2.size + this.#http1.connectionCount;
  }

  /** Calls and exchanges that are not complete: being received, at work, or being sent. */
  get runningCalls(): number {
    return this.#http1.exchangeCount + this.streamCount;
  }

  /**
   * Takes no new calls and waits for those that run; what is left after `timeoutMs` is cut off.
   * Resolves when every connection has ended.
   */
  async drain(timeoutMs: number): Promise<DrainedCalls> {
    this.#draining = true;
    const { timers } = this.#parts;
    const openedBefore = this.#openedCalls;
    const runningBefore = this.runningCalls;
    let cutOffCalls = 0;
    using _cut = timers.after(timeoutMs, () => {
      cutOffCalls = this.runningCalls;
      for (const session of this.#http2) session.cutOff();
      this.#http1.close();
    });
    using _end = timers.after(timeoutMs + lastAnswersMs, () => {
      for (const session of this.#http2) session.close();
    });
    const ended = [this.#http1.drain(), ...Array.from(this.#http2, (session) => session.drain())];
    using _lastWord = timers.after(goawayAnswerMs, () => {
      for (const session of this.#http2) session.refuseNew();
    });
    await Promise.all(ended);
    return { finishedCalls: runningBefore + this.#openedCalls - openedBefore - cutOffCalls, cutOffCalls };
  }

  get #openedCalls(): number {
    return this.#openedStreams + this.#http1.openedExchanges;
  }
}
