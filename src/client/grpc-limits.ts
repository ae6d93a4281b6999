// What a channel may take, hold and wait for. Every bound of it is here.
import { http2Limits } from '../h2/limits.ts';
import type { Http2Limits } from '../h2/limits.ts';

/** Bounds of one channel. Durations in milliseconds. */
export interface GrpcChannelLimits {
  /** Connections that take calls. As many again may be open for a while, to end the calls of a server that goes away. */
  readonly connectionsMax: number;
  /** Calls that wait for a connection; one more is refused. */
  readonly waitingCallsMax: number;
  /**
   * Bytes of the requests of all calls that have one message, from their beginning to that of their answer; at most a
   * quarter of the budget. A call that finds no room is refused.
   */
  readonly requestBytesMax: number;
  /** Of the budget that a channel makes for itself when it is given none, and how many answers may wait for room in it. */
  readonly budgetBytesMax: number;
  readonly budgetWaitersMax: number;
  /** For a connection to stand, TLS and the first answer of HTTP/2 included. */
  readonly connectTimeoutMs: number;
  /** Upper end of the wait after the first failure to connect; doubled for each further one, up to `reconnectDelayMsMax`. */
  readonly reconnectDelayMs: number;
  readonly reconnectDelayMsMax: number;
  /** A connection without calls is closed after this. */
  readonly idleMs: number;
  /** Silence of the server while calls wait for it, after which it is asked for a sign of life. Infinity: it never is. */
  readonly keepaliveMs: number;
  /** How long that is waited for before the connection counts as dead. */
  readonly keepaliveTimeoutMs: number;
  /** Asks also while no call is open. Many servers take that for abuse. */
  readonly keepaliveWithoutCalls: boolean;
  /** Largest message of an answer, decompressed. */
  readonly messageBytesMax: number;
  /** Messages of one answer that are cut out before the caller takes them. */
  readonly laneMessagesMax: number;
  /** Bytes of one request that wait for flow control before its source is asked for more. */
  readonly sendQueueBytesMax: number;
  /** Bytes of one request stream that are kept so that it can be sent again. Beyond it the call has one try. */
  readonly replayBytesMax: number;
  /** Tries of one call, the first one included. A call that the server has not begun with is sent again besides. */
  readonly attemptsMax: number;
  /** Upper end of the wait before the second try; doubled for each further one. */
  readonly retryDelayMs: number;
  /** The longest wait. A server that asks for more is asked again after this. */
  readonly retryDelayMsMax: number;
  /** Retries stop when this many calls more have failed than could be made good, and begin again at half of it (gRFC A6). */
  readonly retryTokensMax: number;
  /** What a call that goes well makes good. */
  readonly retryTokensPerSuccess: number;
  readonly http2: Http2Limits;
}

export const grpcChannelLimits: GrpcChannelLimits = {
  connectionsMax: 4,
  waitingCallsMax: 10_000,
  requestBytesMax: 64 * 1024 * 1024,
  budgetBytesMax: 256 * 1024 * 1024,
  budgetWaitersMax: 10_000,
  connectTimeoutMs: 10_000,
  reconnectDelayMs: 200,
  reconnectDelayMsMax: 10_000,
  idleMs: 300_000,
  // A dead peer is known within 2 + 3 s, and the steps of the watch.
  keepaliveMs: 2_000,
  keepaliveTimeoutMs: 3_000,
  keepaliveWithoutCalls: false,
  // The largest batch of a server, and some: a client that asks for less knows its own bound.
  messageBytesMax: 16 * 1024 * 1024,
  laneMessagesMax: 64,
  sendQueueBytesMax: 256 * 1024,
  replayBytesMax: 256 * 1024,
  attemptsMax: 4,
  retryDelayMs: 100,
  retryDelayMsMax: 10_000,
  retryTokensMax: 100,
  retryTokensPerSuccess: 0.1,
  http2: http2Limits,
};
