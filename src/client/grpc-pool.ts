// The connections of one channel and the calls that wait for one. Connects when a call needs it, opens another connection
// when all are full, and after a failure only when a wait is over.
import { assert } from '../base/assert.ts';
import type { Timers } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import { fullJitterMs } from './full-jitter.ts';
import { GrpcConnection } from './grpc-connection.ts';
import type { ConnectionOwner } from './grpc-connection.ts';
import { asGrpcError, localFailure } from './grpc-error.ts';
import type { GrpcError } from './grpc-error.ts';
import type { GrpcChannelLimits } from './grpc-limits.ts';
import type { OpenSession } from './grpc-session.ts';

/** A call that needs a stream. One of the two is called, once, perhaps from within `request`. */
export interface StreamWaiter {
  /** Waits also while the server cannot be reached, instead of failing then. */
  readonly waitsForReady: boolean;
  /** The caller opens its stream at once: the place is free now and may not be later. */
  onConnection(connection: GrpcConnection): void;
  /** `final`: another try would do no good. */
  onRefused(failure: GrpcError, final: boolean): void;
}

export interface PoolPorts {
  readonly timers: Timers;
  readonly random: Random;
  readonly log: Log;
}

/**
 * What servers of gRPC allow by default between two questions for a sign of life. One that complains takes the calls of
 * its connection along, so there is no finding out in small steps what it would bear.
 */
const keepaliveMsAllowed = 300_000;
const closedText = 'the channel was closed';
/** How soon a call that found too many waiting may come again. */
const busyRetryMs = 250;

/**
 *   quiet ── call ──▶ connecting ── stands ──▶ some connections ── all full, calls wait ──▶ connecting …
 *                        └── failed ──▶ backing off ── the wait is over, calls wait ──▶ connecting
 */
export class GrpcPool implements ConnectionOwner {
  readonly #serverName: string;
  readonly #openSession: OpenSession;
  readonly #ports: PoolPorts;
  readonly #limits: GrpcChannelLimits;
  /** Oldest first: calls go to the oldest that has room, so that the others can become idle. */
  readonly #connections = new Set<GrpcConnection>();
  /** Of connections that are lost, until their sockets are closed. */
  readonly #closing = new Set<Promise<void>>();
  readonly #waiters = new Set<StreamWaiter>();
  /** Those that will ask again, and what makes them. */
  readonly #resting = new Map<StreamWaiter, Disposable>();
  readonly #ended = new AbortController();
  #keepaliveMs: number;
  #connecting: Promise<void> | undefined;
  #failures = 0;
  #lastFailure: GrpcError | undefined;
  #backoff: Disposable | undefined;
  #serving = false;
  /** Why no call is taken any more. */
  #closed: GrpcError | undefined;

  constructor(serverName: string, openSession: OpenSession, ports: PoolPorts, limits: GrpcChannelLimits) {
    assert(limits.connectionsMax >= 1 && limits.keepaliveMs > 0, 'a channel has a connection, and some patience');
    this.#serverName = serverName;
    this.#openSession = openSession;
    this.#ports = ports;
    this.#limits = limits;
    this.#keepaliveMs = limits.keepaliveMs;
  }

  get keepaliveMs(): number {
    return this.#keepaliveMs;
  }

  /** Connections that stand, those that end their last calls included. */
  get connectionCount(): number {
    return this.#connections.size;
  }

  get waitingCount(): number {
    return this.#waiters.size;
  }

  /** Calls in progress. */
  get streamCount(): number {
    let count = 0;
    for (const connection of this.#connections) count += connection.streamCount;
    return count;
  }

  /** Why the last attempt to connect failed; undefined once one has succeeded. */
  get lastFailure(): GrpcError | undefined {
    return this.#lastFailure;
  }

  /** Why no call is taken any more. */
  get closed(): GrpcError | undefined {
    return this.#closed;
  }

  /** Asks for a stream. */
  request(waiter: StreamWaiter): void {
    if (this.#closed !== undefined) return waiter.onRefused(this.#closed, true);
    const free = this.#waiters.size === 0 ? this.#free() : undefined;
    if (free !== undefined) return this.#give(free, waiter);
    if (this.#waiters.size >= this.#limits.waitingCallsMax) {
      const text = `${this.#waiters.size} calls to ${this.#serverName} wait for a connection already; start fewer at a time`;
      return waiter.onRefused(localFailure('busy', text, { details: [{ kind: 'retry_after', delayMs: busyRetryMs }] }), true);
    }
    this.#waiters.add(waiter);
    this.#serve();
  }

  /** Asks for a stream after a wait, which the end of the channel cuts short. */
  requestAfter(delayMs: number, waiter: StreamWaiter): void {
    const rest = this.#ports.timers.after(delayMs, () => {
      this.#resting.delete(waiter);
      this.request(waiter);
    });
    this.#resting.set(waiter, rest);
  }

  /** The call needs no stream any more. */
  withdraw(waiter: StreamWaiter): void {
    this.#waiters.delete(waiter);
    this.#resting.get(waiter)?.[Symbol.dispose]();
    this.#resting.delete(waiter);
  }

  onTooManyPings(): void {
    this.#keepaliveMs = Math.max(keepaliveMsAllowed, this.#keepaliveMs * 2);
    this.#ports.log.warn('the server ended a connection since it was asked for signs of life too often; it is asked less from now on', { server: this.#serverName, keepaliveMs: this.#keepaliveMs });
  }

  /** Takes no new calls; resolves when those that run have ended and all sockets are closed. */
  async drain(): Promise<void> {
    this.#end('is being closed');
    for (const connection of this.#connections) void connection.drain();
    await this.#allClosed();
  }

  /** Ends everything at once; resolves when all sockets are closed. */
  async close(): Promise<void> {
    this.#end('was closed');
    for (const connection of this.#connections) connection.close(closedText);
    await this.#allClosed();
  }

  async #allClosed(): Promise<void> {
    await this.#connecting; // one that stands too late is closed there
    await Promise.all([...this.#closing, ...[...this.#connections].map(({ closed }) => closed)]);
  }

  #end(what: string): void {
    this.#closed ??= localFailure('cancelled', `the channel to ${this.#serverName} ${what}`);
    this.#ended.abort();
    this.#backoff?.[Symbol.dispose]();
    this.#refuseWaiters(this.#closed, () => true);
    for (const waiter of [...this.#resting.keys()]) {
      this.withdraw(waiter);
      waiter.onRefused(this.#closed, true);
    }
  }

  #free(): GrpcConnection | undefined {
    for (const connection of this.#connections) if (connection.freeStreams > 0) return connection;
    return undefined;
  }

  /** Gives streams to those that wait, as far as there are any, and sees to more. */
  #serve(): void {
    if (this.#serving || this.#closed !== undefined) return; // what is called here may come back
    this.#serving = true;
    try {
      for (const waiter of this.#waiters) {
        const free = this.#free();
        if (free === undefined) break;
        this.#waiters.delete(waiter);
        this.#give(free, waiter);
      }
    } finally {
      this.#serving = false;
    }
    if (this.#waiters.size > 0) this.#connectIfUseful();
  }

  /** A call that throws is over: others wait for a connection as well, and here nobody is left to be told. */
  #give(connection: GrpcConnection, waiter: StreamWaiter): void {
    try {
      waiter.onConnection(connection);
    } catch (thrown) {
      waiter.onRefused(asGrpcError(thrown), true);
    }
  }

  #connectIfUseful(): void {
    for (const connection of this.#connections) if (connection.loss !== undefined) this.#onLost(connection, connection.loss);
    if (this.#connecting !== undefined || !this.#hasRoom()) return;
    if (this.#backoff === undefined) this.#connecting = this.#connect();
    else this.#onUnreachable();
  }

  #hasRoom(): boolean {
    let taking = 0;
    for (const { isEnding } of this.#connections) if (!isEnding) taking += 1;
    // A server that ends one connection after the other, and no call on them, must not make us keep them all.
    return taking < this.#limits.connectionsMax && this.#connections.size < 2 * this.#limits.connectionsMax;
  }

  async #connect(): Promise<void> {
    try {
      const session = await this.#openSession({ signal: this.#ended.signal, timeoutMs: this.#limits.connectTimeoutMs, onChange: () => this.#serve() });
      const connection = new GrpcConnection(session, this, this.#ports.timers, this.#limits);
      this.#connections.add(connection);
      void connection.closed.then(() => this.#onGone(connection));
      if (this.#closed !== undefined) {
        connection.close(closedText);
        await connection.closed;
        return;
      }
      if (this.#lastFailure === undefined) this.#ports.log.debug('connected', { server: this.#serverName });
      else this.#ports.log.info('connected again', { server: this.#serverName });
      this.#lastFailure = undefined;
    } catch (thrown) {
      if (this.#closed === undefined) this.#onConnectFailed(thrown);
    } finally {
      this.#connecting = undefined;
    }
    this.#serve();
  }

  #onConnectFailed(thrown: unknown): void {
    this.#lastFailure = asGrpcError(thrown);
    this.#backOff();
    this.#ports.log.warn('cannot connect', { server: this.#serverName, reason: this.#lastFailure.message, failuresInARow: this.#failures });
    this.#onUnreachable();
  }

  /** After a failure, until the next attempt. */
  #onUnreachable(): void {
    const failure = this.#lastFailure;
    if (failure === undefined || this.#free() !== undefined || this.#hasUsefulConnection()) return;
    // What somebody has to change does not change by waiting.
    const isFinal = failure.code !== 'unavailable';
    this.#refuseWaiters(failure, ({ waitsForReady }) => isFinal || !waitsForReady, isFinal);
  }

  /** All full: their calls come to an end. */
  #hasUsefulConnection(): boolean {
    for (const { isEnding } of this.#connections) if (!isEnding) return true;
    return false;
  }

  /** The other side is gone, and the socket is there for a moment yet. */
  #onLost(connection: GrpcConnection, loss: string): void {
    connection.close(loss);
    const closed = connection.closed.finally(() => this.#closing.delete(closed));
    this.#closing.add(closed);
    this.#onGone(connection);
  }

  #onGone(connection: GrpcConnection): void {
    if (!this.#connections.delete(connection)) return;
    connection[Symbol.dispose]();
    if (connection.wasGood) this.#failures = 0;
    else if (this.#closed === undefined) {
      // It stood and was of no use: without a wait, a server that closes at once would be connected to in a circle.
      this.#lastFailure = localFailure('unavailable', `lost the connection to ${this.#serverName}: ${connection.loss ?? 'it was closed'}`);
      this.#backOff();
    }
    this.#serve();
  }

  #backOff(): void {
    this.#failures += 1;
    const { reconnectDelayMs, reconnectDelayMsMax } = this.#limits;
    const delayMs = fullJitterMs(this.#ports.random, this.#failures, { firstDelayMs: reconnectDelayMs, delayMsMax: reconnectDelayMsMax });
    this.#backoff?.[Symbol.dispose]();
    this.#backoff = this.#ports.timers.after(delayMs, () => {
      this.#backoff = undefined;
      this.#serve();
    });
  }

  #refuseWaiters(failure: GrpcError, chosen: (waiter: StreamWaiter) => boolean, isFinal = true): void {
    for (const waiter of [...this.#waiters]) {
      if (!chosen(waiter) || !this.#waiters.delete(waiter)) continue;
      waiter.onRefused(failure, isFinal);
    }
  }
}
