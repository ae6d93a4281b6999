// The server's end of one HTTP/2 connection (RFC 9113): streams that the client opens are handed to an acceptor, and a
// drain in two steps. What both ends do alike is connection-core.ts.
import { ProgressWatch } from '../base/progress-watch.ts';
import type { ProgressAt } from '../base/progress-watch.ts';
import type { ConnectionEvents, StalledSide } from './connection-events.ts';
import { ConnectionCore } from './connection-core.ts';
import type { BlockHead, ConnectionRole, CoreParts } from './connection-role.ts';
import { ConnectionError, errorCode } from './error-code.ts';
import { clientPreface, settingId, windowBytesLimit } from './frames.ts';
import { trailersProblem } from './header-block.ts';
import type { DecodedBlock } from './header-block.ts';
import type { Http2Limits } from './limits.ts';
import type { Outlet } from './outlet.ts';
import { RequestStream } from './request-stream.ts';
import type { StreamAcceptor } from './stream.ts';

/** What a connection is given. */
export interface ServerConnectionParts extends CoreParts {
  readonly acceptor: StreamAcceptor;
}

/** Payload of the PING whose answer tells that the peer has seen our first GOAWAY. */
const drainPing: Uint8Array = Buffer.from('draining', 'latin1');

/** Payload of the PING that only asks whether the peer is there; any sign of life answers it. */
const alivePing: Uint8Array = Buffer.from('alive?  ', 'latin1');

/** A list of headers that is too long costs as much to decode as so many idle frames. */
const longListCost = 20;

/** See `ConnectionCore` for what becomes of faults and of handlers that throw. */
export class ServerConnection implements ConnectionRole {
  readonly resetsCost = true;
  /** It may as well have never been: ids can be left out. */
  readonly forgotten = undefined;
  readonly #core: ConnectionCore<RequestStream>;
  readonly #acceptor: StreamAcceptor;
  readonly #limits: Http2Limits;
  readonly #events: ConnectionEvents | undefined;
  /** Of what waits for the window of the connection, or for the system. */
  readonly #outletProgress = new ProgressWatch();
  #lastStreamId = 0;
  /** `announced`: the first GOAWAY is out. `final`: the second, with the last stream that is served. */
  #drain: 'serving' | 'announced' | 'final' = 'serving';
  /** Streams above this came after the final GOAWAY and are refused. */
  #servedStreamIdMax = windowBytesLimit;

  constructor(parts: ServerConnectionParts) {
    this.#acceptor = parts.acceptor;
    this.#limits = parts.limits;
    this.#events = parts.events;
    this.#core = new ConnectionCore(this, parts, clientPreface);
    this.#core.settings.write([[settingId.maxConcurrentStreams, parts.limits.concurrentStreamsMax]]);
  }

  get outlet(): Outlet {
    return this.#core.outlet;
  }

  /** Nothing more is read or begun: write what is left, then close. */
  get isOver(): boolean {
    return this.#core.isOver;
  }

  get gatheredBytes(): number {
    return this.#core.gatheredBytes;
  }

  get streamCount(): number {
    return this.#core.streams.size;
  }

  /** Of the stream that the peer opened last; 0 before the first. */
  get lastStreamId(): number {
    return this.#lastStreamId;
  }

  get sawSettings(): boolean {
    return this.#core.sawSettings;
  }

  get acknowledgedSettings(): boolean {
    return this.#core.settings.isAcknowledged;
  }

  /** See `ConnectionCore.openBlockStreamId`. */
  get openBlockStreamId(): number {
    return this.#core.openBlockStreamId;
  }

  /** Never above what an earlier GOAWAY named: those requests were not processed (RFC 9113 §6.8). */
  get servedStreamId(): number {
    return Math.min(this.#lastStreamId, this.#servedStreamIdMax);
  }

  /** Reads a chunk and runs handlers; the caller takes the output afterwards. `bytes` may be reused after it. */
  receive(bytes: Uint8Array): void {
    this.#core.receive(bytes);
  }

  /** Ends the connection for a bug of ours: a handler threw, and nobody knows what state things are in. */
  fail(): void {
    this.#core.fail(errorCode.internalError, 'internal error');
  }

  /** Ends the connection of a peer that has been too slow to say what it wants. */
  failSlow(code: number, message: string): void {
    this.#core.fail(code, message);
  }

  /** Whatever comes next from the peer is the answer. */
  ping(): void {
    if (this.isOver) return;
    this.outlet.frames.ping(alivePing, false);
    this.outlet.touch();
  }

  /** Takes no new streams and is over when the last one has ended (RFC 9113 §6.8). */
  drain(): void {
    if (this.isOver || this.#drain !== 'serving') return;
    this.#drain = 'announced';
    // First a warning, so that requests on their way are still served; the answer to the PING comes after them.
    this.#core.writeGoaway(windowBytesLimit, errorCode.noError, '');
    this.outlet.frames.ping(drainPing, false);
  }

  /** The second step of a drain, also for a peer that does not answer the PING of the first. */
  refuseNew(): void {
    if (this.isOver || this.#drain !== 'announced') return;
    this.#drain = 'final';
    this.#servedStreamIdMax = this.#lastStreamId;
    this.#core.writeGoaway(this.#lastStreamId, errorCode.noError, '');
    this.onStreamClosed();
  }

  /** Ends the connection, with a last answer for every stream in progress. */
  cutOff(): void {
    if (this.isOver) return;
    for (const stream of this.#core.streams.all()) stream.cutOff();
    if (this.#drain !== 'final') this.#core.writeGoaway(this.#lastStreamId, errorCode.noError, '');
    this.#core.end({ code: errorCode.cancel, byPeer: false, unprocessed: false });
  }

  /** Ends streams that have stalled until there is enough; all are asked. Returns how many were ended. */
  evictStalled(isEnough: () => boolean): number {
    let evicted = 0;
    for (const stream of this.#core.streams.all()) {
      if (!stream.hasStalled() || isEnough()) continue;
      stream.evict();
      evicted += 1;
    }
    return evicted;
  }

  /** Ends streams whose peer sends, or takes, too little. To be called from time to time. `isRead`: what it sends comes in. */
  endStalled(at: ProgressAt, isRead: boolean): void {
    const { outlet } = this;
    const ready = outlet.readyCount;
    // What only the connection holds back is one stream of bytes, which all that wait share.
    const isOutletStuck = this.#outletProgress.isStalled(ready > 0, outlet.sentFromQueuesBytes, { ...at, bytesMin: at.bytesMin * Math.max(1, ready) });
    for (const stream of this.#core.streams.all()) {
      const side = stream.stalledSide(at, { isOutletStuck, isRead });
      if (side === undefined) continue;
      this.#events?.onStalled?.(side);
      stream.endStalled(reasonOf(side, at));
    }
  }

  /** The peer is gone. Every stream still open is told. */
  abort(): void {
    this.#core.end({ code: errorCode.cancel, byPeer: true, unprocessed: false });
  }

  isIdle(streamId: number): boolean {
    return streamId > this.#lastStreamId || streamId % 2 === 0;
  }

  ignores(streamId: number): boolean {
    return streamId > this.#servedStreamIdMax;
  }

  onHeaders(streamId: number): void {
    if (streamId % 2 === 0) throw new ConnectionError(errorCode.protocolError, 'HEADERS on a stream that no client may open');
    if (streamId <= this.#lastStreamId && this.#core.streams.get(streamId) === undefined) this.#core.onHeadersOnClosed(streamId);
  }

  onBlock(block: DecodedBlock, head: BlockHead): void {
    if (head.streamId > this.#lastStreamId) {
      this.#onRequest(block, head);
      return;
    }
    const stream = this.#core.streams.get(head.streamId);
    if (stream !== undefined) this.#onTrailers(stream, block, head);
  }

  /** They concern what a server does not send, and headers longer than ours ever are. */
  onSettings(): void {}

  onPingAnswer(payload: Uint8Array): boolean {
    const answersDrain = this.#drain === 'announced' && drainPing.every((octet, index) => octet === payload[index]);
    if (answersDrain) this.refuseNew();
    return answersDrain;
  }

  /** It limits streams that we would open, and a server opens none. */
  onGoaway(): void {}

  onFault(): void {}

  onStreamClosed(): void {
    if (this.#drain === 'final' && this.#core.streams.size === 0) this.#core.endQuietly();
  }

  #onRequest(block: DecodedBlock, head: BlockHead): void {
    const id = head.streamId;
    this.#lastStreamId = id;
    if (id > this.#servedStreamIdMax) {
      // The final GOAWAY has told that it is not processed (RFC 9113 §6.8). A client that did not heed the first one
      // may not heed this one either and would wait for the end of the drain; every client knows this code as retryable.
      this.#core.resetUnopened(id, errorCode.refusedStream, 'a request after GOAWAY');
      return;
    }
    const refusal = this.#refusalOf(block, head);
    if (refusal !== undefined) {
      if (block.tooLong) this.#core.resetUnopened(id, refusal, 'headers above the limit', longListCost);
      else this.#core.resetUnopened(id, refusal, 'a refused request');
      return;
    }
    const stream = new RequestStream(id, this.#core, {
      receiveWindowBytes: this.#core.settings.receiveWindowBytes,
      sendWindowBytes: this.#core.settings.peerInitialWindowBytes,
      contentLength: block.requestCheck.contentLength,
    });
    this.#core.streams.add(stream);
    stream.attach(this.#acceptor.onStream(stream, block, head.endStream));
    if (head.endStream && !stream.closed) stream.endRemote(undefined);
  }

  /** The error code to refuse a request with, or undefined when it is to be served. */
  #refusalOf(block: DecodedBlock, head: BlockHead): number | undefined {
    if (block.tooLong) return errorCode.enhanceYourCalm;
    const { problem, contentLength } = block.requestCheck;
    if (problem !== undefined || head.dependsOnItself) return errorCode.protocolError;
    if (head.endStream && contentLength !== undefined && contentLength > 0) return errorCode.protocolError;
    return this.#core.streams.size >= this.#limits.concurrentStreamsMax ? errorCode.refusedStream : undefined;
  }

  #onTrailers(stream: RequestStream, block: DecodedBlock, head: BlockHead): void {
    if (!stream.receives) {
      this.#core.guard.spend('HEADERS after the end of a request');
      stream.reset(errorCode.streamClosed);
    } else if (!head.endStream || head.dependsOnItself || block.tooLong || trailersProblem(block.fields) !== undefined) {
      this.#core.guard.spend('malformed trailers');
      stream.reset(block.tooLong ? errorCode.enhanceYourCalm : errorCode.protocolError);
    } else {
      this.#core.endRemote(stream, block);
    }
  }
}

function reasonOf(side: StalledSide, { stallMs, bytesMin }: ProgressAt): string {
  const what = side === 'request' ? 'of the request came' : 'of the answer were taken';
  return `less than ${bytesMin} bytes ${what} within ${stallMs} ms`;
}
