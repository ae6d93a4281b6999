// The seam between the HTTP/2 engine and what is spoken on it (gRPC, HTTP exchanges): one stream, seen from
// both sides. Calls down go to the engine and only fill its output batch; calls up come from `receive`.
import type { LentMemory } from '../base/reused-memory.ts';
import type { RoomShare } from '../base/room-share.ts';

/**
 * A decoded header block. Blocks that repeat byte by byte are decoded once and give the same object again, so
 * whoever derives something from one (a route, parsed metadata) may keep it in `memo`.
 */
export interface HeaderBlock {
  /** Names and values alternating, in the order sent; names lower-case, pseudo-headers first. */
  readonly fields: readonly string[];
  /** First value with that name, or undefined. */
  get(name: string): string | undefined;
  /** Free for the layer above; starts undefined. Must depend on `fields` only. */
  memo: unknown;
}

/** Headers to send: names lower-case, pseudo-headers first. */
export type OutgoingHeaders = readonly (readonly [name: string, value: string])[];

/** A header block encoded once, without any reference to connection state; made by `prepareHeaders` (header-encoder.ts). */
export interface PreparedHeaders {
  readonly block: Uint8Array;
}

/** What stands around the content of an answer that goes out whole: at most some hundred bytes. */
export interface WholeAnswerEnds {
  readonly headers: PreparedHeaders;
  readonly trailers: PreparedHeaders;
}

/** Writes the content of answers where they leave from. It sends nothing itself. */
export interface ContentWriter {
  /** The content is no longer. */
  bytesMax(content: unknown): number;
  /** Writes to `into` from `at`, where there is room for `bytesMax`, and returns where it ended; -1 if it cannot. */
  write(content: unknown, into: Buffer, at: number): number;
}

/** Headers that many requests begin with, encoded once; made by `prepareRequest` (header-encoder.ts). */
export interface PreparedRequest extends PreparedHeaders {
  readonly fields: OutgoingHeaders;
}

/** Headers of one request: those that it shares with others, and its own behind them, without pseudo-headers. */
export interface RequestHeaders {
  readonly shared: PreparedRequest;
  readonly own: OutgoingHeaders;
}

/** Why a stream ended early. `code` is an RFC 9113 §7 error code; `byPeer` tells whether the peer sent it. */
export interface StreamReset {
  readonly code: number;
  readonly byPeer: boolean;
}

/**
 * What the engine tells about one stream, in this order: data, then end or reset. Called synchronously, and never
 * before `onStream` has returned the handler. A throw out of a handler is a bug and ends the whole connection.
 */
export interface StreamHandler {
  /**
   * A piece of DATA without its padding. The view is valid during the call only. Flow control is the
   * receiver's: nothing more than the window comes until `ServerStream.consumed` returns credit.
   */
  onData(bytes: Uint8Array): void;
  /**
   * The peer has sent END_STREAM, with trailers if there were any. Called exactly once for each complete request,
   * also for one without a body (right after `onStream` with `endStream`).
   */
  onEnd(trailers: HeaderBlock | undefined): void;
  /**
   * The stream is gone: reset by either side (also by `ServerStream.reset`, from within that call), or the connection
   * ended. Last call; not after a regular end of both sides.
   */
  onReset(reset: StreamReset): void;
  /**
   * What `sendData` had to queue has all been handed to the output, and the end that was queued behind it. Never called from within `sendData`, and not when
   * nothing had to be queued: whoever sends asks `queuedBytes` after each `sendData` and waits only while it is not 0.
   */
  onDrained(): void;
  /**
   * The connection is about to be ended by this side: the last moment to send an answer, which goes out if the windows
   * let it. A stream whose answer is not complete then is reset as one that may be tried again.
   */
  onCutOff?(): void;
  /** It keeps a part of the request and can do nothing with it until more comes. */
  readonly awaitsPeer?: boolean;
  /**
   * Others wait for memory that this stream has held for long while nothing moved: the last moment to send an answer. A
   * stream that has queued DATA after it is reset.
   */
  onEvicted?(): void;
  /** Nothing goes on before more of the request comes. False for a conversation that may rest. */
  readonly awaitsRequest?: boolean;
  /**
   * The peer has sent, or taken, too little for too long; `reason` says what and how long. The last moment to send an
   * answer: a stream that has queued DATA after it, or goes on to await the request, is reset.
   */
  onStalled?(reason: string): void;
}

/** What both roles do with a stream of theirs. Calls after the stream ended do nothing. */
export interface OpenStream {
  readonly id: number;
  /** DATA bytes accepted by `sendData` and held back by flow control or by a socket that backs up. */
  readonly queuedBytes: number;
  /** True once both sides are done or the stream was reset. */
  readonly closed: boolean;
  /**
   * Slices in order; not copied, so they must not change any more. Queues what the windows do not let out. `lent`: what all of
   * them stand in, none of them empty. It is given back once they are written, and left to the collector if they never are.
   */
  sendData(slices: readonly Uint8Array[], endStream: boolean, lent?: LentMemory): void;
  /** Ends our side with trailers, after all queued data. A server has sent its headers before. */
  sendTrailers(headers: OutgoingHeaders | PreparedHeaders): void;
  /** Ends the stream at once with RST_STREAM; queued data is dropped. */
  reset(code: number): void;
  /**
   * Returns flow-control credit for `bytes` that came by `onData` (stream and connection windows). What was never
   * returned when the stream ends, the engine returns to the connection itself.
   */
  consumed(bytes: number): void;
}

/** One stream as the server role sees it. */
export interface ServerStream extends OpenStream {
  /** What its connection may have of the byte budget for large messages; all of it, where there is none. */
  readonly requestShare?: RoomShare | undefined;
  /**
   * Returns the credit for `bytes` to the connection, and not to the stream before they are consumed: they are kept, and
   * what others send on the connection shall not wait for that.
   */
  setAside?(bytes: number): void;
  /** Response headers, 1xx or final; with `endStream` they are all of the answer (gRPC trailers-only). */
  sendHeaders(headers: OutgoingHeaders | PreparedHeaders, endStream: boolean): void;
  /**
   * Headers, content in one DATA frame and trailers at once, if the answer is small and nothing keeps it from going out
   * now. Returns the length of the content; -1 when nothing was sent.
   */
  trySendWhole?(ends: WholeAnswerEnds, writer: ContentWriter, content: unknown): number;
}

/** One stream as the client role sees it; its headers went out when it was opened. */
export type ClientStream = OpenStream;

/** Why a stream of ours ended early. */
export interface ResponseReset extends StreamReset {
  /**
   * The server has not begun with the request, and it may be sent again whatever it does: it was refused
   * (REFUSED_STREAM), or is above the last stream of a GOAWAY, or never left (RFC 9113 §6.8, §8.7).
   */
  readonly unprocessed: boolean;
  /** What was wrong, in words for people: why this side reset the stream, or how the connection ended. */
  readonly reason?: string | undefined;
}

/** What the engine tells about a stream that we opened: headers, data, then end or reset. A throw is a bug and ends the connection. */
export interface ResponseHandler {
  /** An interim answer (1xx); any number of them, before `onHeaders`. */
  onInformation?(headers: HeaderBlock): void;
  /** The final headers, exactly once unless a reset comes first. `onEnd` follows at once if there is nothing else. */
  onHeaders(headers: HeaderBlock): void;
  /** As `StreamHandler.onData`. */
  onData(bytes: Uint8Array): void;
  /**
   * The server has sent END_STREAM, with trailers if there were any. A request that is not sent to its end is still open
   * then: whoever does not want to go on with it resets the stream.
   */
  onEnd(trailers: HeaderBlock | undefined): void;
  /** The stream is gone. Last call; not after a regular end of both sides. */
  onReset(reset: ResponseReset): void;
  /** As `StreamHandler.onDrained`. */
  onDrained(): void;
}

/** Accepts streams. Called synchronously while input is read, once per well-formed request. */
export interface StreamAcceptor {
  /** `endStream`: the request has no body; `onEnd` follows at once. */
  onStream(stream: ServerStream, headers: HeaderBlock, endStream: boolean): StreamHandler;
}
