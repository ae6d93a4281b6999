// One HTTP/2 connection being served over a socket.
import type { ByteBudget } from '../base/byte-budget.ts';
import { assertNever } from '../base/assert.ts';
import type { MonotonicClock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Socket, SocketTraffic } from '../base/socket.ts';
import type { ConnectionEvents } from './connection-events.ts';
import type { Http2Limits } from './limits.ts';
import { errorCode } from './error-code.ts';
import { ServerConnection } from './server-connection.ts';
import { SessionWatch } from './session-watch.ts';
import type { SessionVerdict } from './session-watch.ts';
import { SocketDriver } from './socket-driver.ts';
import type { StreamAcceptor } from './stream.ts';

/** What a session needs of the world. */
export interface Http2Ports {
  readonly clock: MonotonicClock;
  readonly log: Log;
  readonly events?: ConnectionEvents | undefined;
  /** Of what connections keep; without a bound, if left out. */
  readonly budget?: ByteBudget | undefined;
}

/** One connection being served. */
export interface Http2Session {
  /** Resolves when the socket has closed, whoever closed it. */
  readonly closed: Promise<void>;
  /** Streams in progress. */
  readonly streamCount: number;
  /** GOAWAY, then the end after the last stream; resolves like `closed`. The caller bounds the wait with `close`. */
  drain(): Promise<void>;
  /** In a drain: from now on new streams are refused, whether or not the client has answered the GOAWAY. */
  refuseNew(): void;
  /** Ends the connection with a last answer for every stream in progress; who does not take it is left to `close`. */
  cutOff(): void;
  /**
   * To be called from time to time while others wait for memory: ends the connection or the streams that hold some and
   * where nothing has moved since the last call, until there is enough. Returns how many that were.
   */
  evictStalled(isEnough: () => boolean): number;
  /**
   * To be called from time to time: ends calls and connections whose peer is idle, gone, or too slow. `isBusy`: others
   * wait for what such calls hold, so they get less time.
   */
  look(nowMs: number, isBusy: boolean): void;
  /** Ends the connection at once; streams in progress are reset. */
  close(): void;
}

/** Serves HTTP/2 with prior knowledge (RFC 9113 §3.3) on a fresh connection, from its first byte on. */
export function serveHttp2(socket: Socket, acceptor: StreamAcceptor, limits: Http2Limits, ports: Http2Ports): Http2Session {
  return new ServerSession(socket, acceptor, limits, ports);
}

class ServerSession implements Http2Session {
  readonly #driver: SocketDriver<ServerConnection>;
  readonly #socket: Socket;
  readonly #limits: Http2Limits;
  readonly #events: ConnectionEvents | undefined;
  readonly #watch: SessionWatch;

  constructor(socket: Socket, acceptor: StreamAcceptor, limits: Http2Limits, ports: Http2Ports) {
    const { budget } = ports;
    this.#socket = socket;
    this.#limits = limits;
    this.#events = ports.events;
    this.#watch = new SessionWatch(limits, ports.clock.nowMs());
    const parts = { log: ports.log, outputBytesMax: limits.outputBytesMax, budget };
    this.#driver = new SocketDriver(socket, parts, (wake) => new ServerConnection({ acceptor, limits, clock: ports.clock, events: ports.events, budget, wake }));
    this.#driver.start();
  }

  get closed(): Promise<void> {
    return this.#driver.closed;
  }

  get streamCount(): number {
    return this.#driver.connection.streamCount;
  }

  drain(): Promise<void> {
    this.#driver.connection.drain();
    return this.closed;
  }

  refuseNew(): void {
    this.#driver.connection.refuseNew();
  }

  cutOff(): void {
    this.#driver.guarded(() => this.#driver.connection.cutOff());
    this.#driver.flush();
  }

  evictStalled(isEnough: () => boolean): number {
    let evicted = 0;
    if (this.#driver.hasStalled() && !isEnough()) {
      this.close();
      return 1;
    }
    this.#driver.guarded(() => (evicted = this.#driver.connection.evictStalled(isEnough)));
    this.#driver.flush();
    return evicted;
  }

  look(nowMs: number, isBusy: boolean): void {
    const { traffic } = this.#socket;
    if (traffic === undefined || this.#driver.connection.isOver) return;
    const stallMs = isBusy ? this.#limits.busyStallTimeoutMs : this.#limits.stallTimeoutMs;
    this.#driver.guarded(() => this.#obey(this.#verdict(traffic, nowMs, stallMs))); // what it sends is written in a turn of its own
    if (this.streamCount === 0) return this.#driver.rest();
    this.#driver.guarded(() => this.#driver.connection.endStalled({ nowMs, stallMs, bytesMin: this.#limits.stallBytesMin }, this.#driver.isReading));
  }

  #verdict({ receivedBytes, sentBytes }: SocketTraffic, nowMs: number, stallMs: number): SessionVerdict {
    const { streamCount, lastStreamId, sawSettings, acknowledgedSettings, openBlockStreamId } = this.#driver.connection;
    const { isReading } = this.#driver;
    const { queuedBytes } = this.#socket;
    return this.#watch.look({ streamCount, lastStreamId, sawSettings, acknowledgedSettings, openBlockStreamId, isReading, receivedBytes, sentBytes, queuedBytes }, nowMs, stallMs);
  }

  #obey(verdict: SessionVerdict): void {
    const { connection } = this.#driver;
    switch (verdict) {
      case 'fine': return;
      case 'ping': return connection.ping();
      case 'drain':
        this.#events?.onEnded?.('idle');
        return connection.drain();
      case 'refuse_new': return connection.refuseNew();
      case 'silent': return connection.failSlow(errorCode.settingsTimeout, 'no SETTINGS came in time');
      case 'unacknowledged': return connection.failSlow(errorCode.settingsTimeout, 'SETTINGS were not acknowledged in time');
      case 'slow_headers': return connection.failSlow(errorCode.enhanceYourCalm, 'a header block did not come to its end in time');
      case 'dead':
      case 'stalled':
        this.#events?.onEnded?.(verdict);
        return this.close();
      default: return assertNever(verdict);
    }
  }

  close(): void {
    this.#driver.guarded(() => this.#driver.connection.abort());
    this.#driver.destroy();
  }
}
