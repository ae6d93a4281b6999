// One connection of a pool: takes calls, asks a silent server for a sign of life, and gives up on one that gives none.
import type { Timers } from '../base/clock.ts';
import { errorCode } from '../h2/error-code.ts';
import type { ClientStream, RequestHeaders, ResponseHandler } from '../h2/stream.ts';
import { farewellOf } from './farewell.ts';
import type { GrpcChannelLimits } from './grpc-limits.ts';
import type { GrpcSession } from './grpc-session.ts';

/** What a server says to clients that ask for signs of life more often than it likes (gRPC keepalive, A8). */
const tooManyPings = 'too_many_pings';
/** The watch looks this often within the silence that it allows, so it acts at most that part of it too late. */
const looksPerSilence = 2;
/** A connection that has stood for so many looks was a good one, whatever came of it. */
const goodLooks = 10;

/**
 * What the pool is told. How long the server may be silent is the channel's, since a server that finds it too short
 * says so by ending the connection.
 */
export interface ConnectionOwner {
  readonly keepaliveMs: number;
  onTooManyPings(): void;
}

/**
 *   watching ── no call open ──▶ resting ── idleMs ──▶ drained
 *      │   ◀───── call ──────────┘
 *      └── silent ──▶ asked ── heard ──▶ watching
 *                       └── silent for keepaliveTimeoutMs ──▶ dead
 */
export class GrpcConnection implements Disposable {
  readonly #session: GrpcSession;
  readonly #owner: ConnectionOwner;
  readonly #timers: Timers;
  readonly #limits: GrpcChannelLimits;
  #timer: Disposable | undefined;
  #watching = false;
  #looks = 0;
  /** Looks in a row at which there was no sign of life; negative while a call has just begun, which is no silence. */
  #silentLooks = 0;
  #askedMs: number | undefined;
  #answered = false;
  #drained = false;
  #death: string | undefined;

  constructor(session: GrpcSession, owner: ConnectionOwner, timers: Timers, limits: GrpcChannelLimits) {
    this.#session = session;
    this.#owner = owner;
    this.#timers = timers;
    this.#limits = limits;
    this.#rest();
  }

  /** Calls that may be opened now. */
  get freeStreams(): number {
    return this.#session.http2.freeStreams;
  }

  get streamCount(): number {
    return this.#session.http2.streamCount;
  }

  /** Takes no calls any more; those that run may still come to their end. */
  get isEnding(): boolean {
    return this.#session.http2.ending !== undefined || this.loss !== undefined;
  }

  /** Why it is gone, with what the server gave as its reason; undefined while calls can come to their end on it. */
  get loss(): string | undefined {
    const loss = this.#death ?? this.#session.loss;
    return loss === undefined || this.farewell === undefined ? loss : `${loss}; ${this.farewell}`;
  }

  /** What the server said when it ended the connection; undefined when it did not, or gave no reason. */
  get farewell(): string | undefined {
    return farewellOf(this.#session.http2.ending);
  }

  get closed(): Promise<void> {
    return this.#session.http2.closed;
  }

  /** It was of use: a server answered on it, or it stood for a while. Or it is we who ended it. */
  get wasGood(): boolean {
    return this.#answered || this.#looks >= goodLooks || this.#drained;
  }

  /** Only while `freeStreams` is above 0. */
  open(headers: RequestHeaders, handler: ResponseHandler): ClientStream {
    const stream = this.#session.http2.open(headers, false, handler);
    if (!this.#watching) this.#watch();
    return stream;
  }

  /** A call was answered. */
  onAnswer(): void {
    this.#answered = true;
  }

  /** Takes no new calls, and closes after the last. */
  async drain(): Promise<void> {
    this.#drained = true;
    await this.#session.http2.drain();
  }

  /** Closes at once, and breaks off the calls. */
  close(reason: string): void {
    this.#death ??= reason;
    this.#session.http2.close();
  }

  /** Ends the watch; for a connection that is gone. */
  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
    const { ending } = this.#session.http2;
    if (ending?.byGoaway === true && ending.code === errorCode.enhanceYourCalm && ending.reason === tooManyPings) this.#owner.onTooManyPings();
  }

  #watch(): void {
    this.#timer?.[Symbol.dispose]();
    this.#watching = true;
    this.#silentLooks = -1;
    this.#session.takeSignOfLife(); // those until now do not count
    this.#lookAfter(this.#lookMs());
  }

  /** Also a connection that asks nobody has to see that its last call is over. */
  #lookMs(): number {
    const { keepaliveMs } = this.#owner;
    return keepaliveMs === Infinity ? this.#limits.idleMs : keepaliveMs / looksPerSilence;
  }

  #lookAfter(lookMs: number): void {
    this.#timer = this.#timers.after(lookMs, () => this.#look(lookMs));
  }

  #rest(): void {
    this.#timer?.[Symbol.dispose]();
    this.#watching = false;
    this.#askedMs = undefined;
    this.#timer = this.#limits.keepaliveWithoutCalls ? undefined : this.#timers.after(this.#limits.idleMs, () => void this.drain());
    if (this.#limits.keepaliveWithoutCalls) this.#watch();
  }

  #look(lookMs: number): void {
    if (this.isEnding && this.streamCount === 0) return;
    this.#looks += 1;
    if (this.streamCount === 0 && !this.#limits.keepaliveWithoutCalls) {
      this.#rest();
      return;
    }
    if (this.#session.takeSignOfLife()) {
      this.#silentLooks = 0;
      this.#askedMs = undefined;
    } else if (this.#askedMs === undefined) {
      this.#silentLooks += 1;
      if (this.#silentLooks >= looksPerSilence - 1 && this.#owner.keepaliveMs !== Infinity) this.#ask();
    } else {
      this.#askedMs += lookMs;
      if (this.#askedMs >= this.#limits.keepaliveTimeoutMs) {
        this.close(`the server gave no sign of life for ${Math.round(this.#askedMs + lookMs)} ms`);
        return;
      }
    }
    // By what holds now: another connection may have been told to ask less. Who was asked is still waited for as before.
    this.#lookAfter(this.#askedMs === undefined ? this.#lookMs() : lookMs);
  }

  #ask(): void {
    this.#askedMs = 0;
    this.#silentLooks = 0;
    this.#session.http2.ping().catch(() => {}); // what it tells is heard by the socket; a failure ends the connection
  }
}
