// One HTTP/2 connection in the server role as a pure state machine (RFC 9113): bytes in; calls to the layer above and
// bytes out. Knows no sockets and no timers; time enters as a clock that only the flood guard asks.
import { assert } from '../base/assert.ts';
import type { MonotonicClock } from '../base/clock.ts';
import { ClosedStreams } from './closed-streams.ts';
import { ConnectionError, errorCode } from './error-code.ts';
import { FloodGuard } from './flood-guard.ts';
import { ReceiveWindow } from './flow-control.ts';
import { FrameReader, readUint31, readUint32 } from './frame-reader.ts';
import type { FrameSink } from './frame-reader.ts';
import { clientPreface, flag, frameType, settingId, windowBytesDefault, windowBytesLimit } from './frames.ts';
import type { FrameHeader } from './frames.ts';
import { trailersProblem } from './header-block.ts';
import type { DecodedBlock } from './header-block.ts';
import { HeaderReceiver } from './header-receiver.ts';
import type { Http2Limits } from './limits.ts';
import { Outlet } from './outlet.ts';
import { parseSettings } from './peer-settings.ts';
import { RequestStream } from './request-stream.ts';
import type { StreamOwner } from './request-stream.ts';
import { StreamTable } from './stream-table.ts';
import type { StreamAcceptor } from './stream.ts';

/** What goes wrong on connections, for statistics. Must be cheap and must not throw. */
export interface ConnectionEvents {
  /** A stream was reset, by us or by the peer. `code` is the peer's word in the second case. */
  onReset(code: number, byPeer: boolean): void;
  /** A connection was ended for a fault. `flood` names the frames there were too many of, if that was it. */
  onFault(code: number, flood: string | undefined): void;
}

/** What a connection is given. */
export interface ConnectionParts {
  readonly acceptor: StreamAcceptor;
  readonly limits: Http2Limits;
  readonly clock: MonotonicClock;
  /** Told of what goes wrong. */
  readonly events?: ConnectionEvents | undefined;
  /** There is output that nobody has announced to take; called once until it was taken. */
  readonly wake: () => void;
}

/** Payload of the PING whose answer tells that the peer has seen our first GOAWAY. */
const drainPing: Uint8Array = Buffer.from('draining', 'latin1');

/**
 * The server's end of one connection. A peer that breaks the protocol gets GOAWAY and the connection is over. What a
 * handler throws passes through; the caller logs it and calls `fail`.
 */
export class Http2Connection implements FrameSink, StreamOwner {
  readonly outlet: Outlet;
  readonly #acceptor: StreamAcceptor;
  readonly #limits: Http2Limits;
  readonly #events: ConnectionEvents | undefined;
  readonly #guard: FloodGuard;
  readonly #reader: FrameReader;
  readonly #headers: HeaderReceiver;
  readonly #window: ReceiveWindow;
  readonly #streams: StreamTable<RequestStream>;
  readonly #closed = new ClosedStreams();
  /** Octets of the client preface seen. */
  #prefaceBytes = 0;
  #sawSettings = false;
  #sawSettingsAck = false;
  #lastStreamId = 0;
  #peerInitialWindowBytes = windowBytesDefault;
  /** `announced`: the first GOAWAY is out. `final`: the second, with the last stream that is served. */
  #drain: 'serving' | 'announced' | 'final' = 'serving';
  /** Streams above this came after the final GOAWAY and are refused. */
  #servedStreamIdMax = windowBytesLimit;
  /** The DATA frame at hand: its stream, or undefined when its content is dropped, and whether it ends the stream. */
  #dataStream: RequestStream | undefined = undefined;
  #dataEndsStream = false;
  #over = false;

  constructor(parts: ConnectionParts) {
    const { limits } = parts;
    assert(limits.connectionWindowBytes >= windowBytesDefault, 'a connection window cannot be smaller than it starts');
    this.#acceptor = parts.acceptor;
    this.#limits = limits;
    this.#events = parts.events;
    this.#guard = new FloodGuard(parts.clock, limits);
    this.#headers = new HeaderReceiver(limits);
    this.#reader = new FrameReader(this, limits.frameBytesMax);
    this.#streams = new StreamTable(limits.concurrentStreamsMax);
    this.#window = new ReceiveWindow(limits.connectionWindowBytes);
    this.outlet = new Outlet(limits.outputBytesMax, parts.wake);
    this.outlet.expectTaker(); // the maker takes our preface
    this.#writePreface();
  }

  /** Nothing more is read or begun: write what is left, then close. */
  get isOver(): boolean {
    return this.#over;
  }

  get streamCount(): number {
    return this.#streams.size;
  }

  /** Reads a chunk and runs handlers; the caller takes the output afterwards. `bytes` may be reused after it. */
  receive(bytes: Uint8Array): void {
    if (this.#over) return;
    this.outlet.expectTaker();
    try {
      const from = this.#prefaceBytes < clientPreface.length ? this.#readPreface(bytes) : 0;
      this.#reader.push(bytes, from);
    } catch (thrown) {
      if (!(thrown instanceof ConnectionError)) throw thrown;
      this.#fail(thrown.code, thrown.message, thrown.flood);
    }
  }

  /** Ends the connection for a bug of ours: a handler threw, and nobody knows what state things are in. */
  fail(): void {
    this.#fail(errorCode.internalError, 'internal error');
  }

  /** Takes no new streams and is over when the last one has ended (RFC 9113 §6.8). */
  drain(): void {
    if (this.#over || this.#drain !== 'serving') return;
    this.#drain = 'announced';
    // First a warning, so that requests on their way are still served; the answer to the PING comes after them.
    this.outlet.frames.goaway(windowBytesLimit, errorCode.noError, '');
    this.outlet.frames.ping(drainPing, false);
    this.outlet.touch();
  }

  /** The second step of a drain, also for a peer that does not answer the PING of the first. */
  refuseNew(): void {
    if (this.#over || this.#drain !== 'announced') return;
    this.#drain = 'final';
    this.#servedStreamIdMax = this.#lastStreamId;
    this.outlet.frames.goaway(this.#lastStreamId, errorCode.noError, '');
    this.outlet.touch();
    this.#endWhenDrained();
  }

  /** Ends the connection, with a last answer for every stream in progress. */
  cutOff(): void {
    if (this.#over) return;
    for (const stream of this.#streams.all()) stream.cutOff();
    if (this.#drain !== 'final') {
      this.outlet.frames.goaway(this.#lastStreamId, errorCode.noError, '');
      this.outlet.touch();
    }
    this.#end(errorCode.cancel, false);
  }

  /** The peer is gone. Every stream still open is told. */
  abort(): void {
    this.#end(errorCode.cancel, true);
  }

  onStreamClosed(stream: RequestStream, how: 'ended' | 'reset'): void {
    this.#streams.remove(stream);
    this.#closed.add(stream.id, how);
    this.#endWhenDrained();
  }

  writeReset(streamId: number, code: number): void {
    this.#events?.onReset(code, false);
    this.outlet.frames.rstStream(streamId, code);
    this.outlet.touch();
  }

  returnCredit(bytes: number): void {
    const increment = this.#window.give(bytes);
    if (increment === 0 || this.#over) return;
    this.outlet.frames.windowUpdate(0, increment);
    this.outlet.touch();
  }

  onFrame(frame: FrameHeader, bytes: Uint8Array, from: number, end: number): void {
    this.#checkOrder(frame);
    switch (frame.type) {
      case frameType.headers:
        return this.#onHeaders(frame, bytes, from, end);
      case frameType.continuation:
        return this.#onContinuation(frame, bytes, from, end);
      case frameType.windowUpdate:
        return this.#onWindowUpdate(frame.streamId, bytes, from, end);
      case frameType.settings:
        return this.#onSettings(frame, bytes, from, end);
      case frameType.ping:
        return this.#onPing(frame, bytes, from, end);
      case frameType.rstStream:
        return this.#onRstStream(frame.streamId, bytes, from, end);
      case frameType.priority:
        return this.#onPriority(frame, bytes, from);
      case frameType.goaway:
        return this.#onGoaway(frame);
      case frameType.pushPromise:
        throw new ConnectionError(errorCode.protocolError, 'PUSH_PROMISE from a client');
      default:
        this.#guard.spend('of an unknown type'); // RFC 9113 §5.5: ignored
    }
  }

  onDataBegin(frame: FrameHeader, contentBytes: number): void {
    this.#checkOrder(frame);
    this.#dataStream = undefined;
    if (!this.#window.take(frame.length)) throw new ConnectionError(errorCode.flowControlError, 'more DATA than the connection window');
    const endsStream = (frame.flags & flag.endStream) !== 0;
    if (contentBytes === 0 && !endsStream) this.#guard.spend('empty DATA');
    const stream = this.#streams.get(frame.streamId);
    if (stream === undefined || !stream.receives) {
      this.returnCredit(frame.length);
      this.#refuseOnClosed(frame.streamId, stream, 'DATA');
      return;
    }
    this.#dataEndsStream = endsStream;
    if (stream.beginData(frame.length, contentBytes)) this.#dataStream = stream;
    else this.#guard.spend('DATA against the rules');
  }

  onDataPiece(bytes: Uint8Array): void {
    this.#dataStream?.deliver(bytes);
  }

  onDataEnd(): void {
    const stream = this.#dataStream;
    if (stream === undefined) return;
    this.#dataStream = undefined;
    if (this.#dataEndsStream && !stream.closed) this.#endRemote(stream, undefined);
  }

  /** A body shorter than its content-length makes us reset the stream, which frees its place: not for free. */
  #endRemote(stream: RequestStream, trailers: DecodedBlock | undefined): void {
    if (!stream.endRemote(trailers)) this.#guard.spend('a body shorter than its content-length');
  }

  #writePreface(): void {
    const { frames } = this.outlet;
    const limits = this.#limits;
    frames.settings([
      [settingId.headerTableSize, limits.headerTableBytesMax],
      [settingId.maxConcurrentStreams, limits.concurrentStreamsMax],
      [settingId.initialWindowSize, limits.streamWindowBytes],
      [settingId.maxFrameSize, limits.frameBytesMax],
      [settingId.maxHeaderListSize, limits.headerListBytesMax],
    ]);
    if (limits.connectionWindowBytes > windowBytesDefault) frames.windowUpdate(0, limits.connectionWindowBytes - windowBytesDefault);
  }

  #readPreface(bytes: Uint8Array): number {
    let at = 0;
    while (at < bytes.length && this.#prefaceBytes < clientPreface.length) {
      if (bytes[at++] !== clientPreface[this.#prefaceBytes++]) throw new ConnectionError(errorCode.protocolError, 'not the HTTP/2 preface');
    }
    return at;
  }

  /** Rules about which frame may follow which (RFC 9113 §3.4, §6.10) and which need a stream. */
  #checkOrder(frame: FrameHeader): void {
    if (!this.#sawSettings) {
      const isSettings = frame.type === frameType.settings && (frame.flags & flag.ack) === 0;
      if (!isSettings) throw new ConnectionError(errorCode.protocolError, 'the first frame is not SETTINGS');
      this.#sawSettings = true;
    }
    if (this.#headers.isOpen && (frame.type !== frameType.continuation || frame.streamId !== this.#headers.streamId)) {
      throw new ConnectionError(errorCode.protocolError, 'a header block is interrupted by another frame');
    }
  }

  #onHeaders(frame: FrameHeader, bytes: Uint8Array, from: number, end: number): void {
    const id = frame.streamId;
    if (id % 2 === 0) throw new ConnectionError(errorCode.protocolError, 'HEADERS on a stream that no client may open');
    if (id <= this.#lastStreamId && this.#streams.get(id) === undefined) this.#checkHeadersOnClosed(id);
    const block = this.#headers.onHeaders(frame, bytes, from, end);
    if (block !== undefined) this.#onBlock(block);
  }

  #checkHeadersOnClosed(id: number): void {
    const how = this.#closed.find(id);
    if (how === 'reset') return; // on its way when we reset the stream
    if (how === 'ended') throw new ConnectionError(errorCode.streamClosed, 'HEADERS on a closed stream');
    throw new ConnectionError(errorCode.protocolError, 'HEADERS on a stream below the highest one');
  }

  #onContinuation(frame: FrameHeader, bytes: Uint8Array, from: number, end: number): void {
    if (!this.#headers.isOpen) throw new ConnectionError(errorCode.protocolError, 'CONTINUATION without HEADERS');
    const block = this.#headers.onContinuation(frame, bytes, from, end);
    if (block !== undefined) this.#onBlock(block);
  }

  #onBlock(block: DecodedBlock): void {
    const id = this.#headers.streamId;
    if (id > this.#lastStreamId) {
      this.#onRequest(id, block);
      return;
    }
    const stream = this.#streams.get(id);
    if (stream !== undefined) this.#onTrailers(stream, block);
  }

  #onRequest(id: number, block: DecodedBlock): void {
    this.#lastStreamId = id;
    if (id > this.#servedStreamIdMax) {
      // The final GOAWAY has told that it is not processed (RFC 9113 §6.8). A client that did not heed the first one
      // may not heed this one either and would wait for the end of the drain; every client knows this code as retryable.
      this.#resetUnopened(id, errorCode.refusedStream, 'a request after GOAWAY');
      return;
    }
    const { endStream } = this.#headers;
    const refusal = this.#refusalOf(block, endStream);
    if (refusal !== undefined) {
      this.#resetUnopened(id, refusal, 'a refused request');
      return;
    }
    const stream = new RequestStream(id, this, {
      // Until our SETTINGS are acknowledged, the peer may believe in the default.
      receiveWindowBytes: this.#sawSettingsAck ? this.#limits.streamWindowBytes : Math.max(this.#limits.streamWindowBytes, windowBytesDefault),
      sendWindowBytes: this.#peerInitialWindowBytes,
      contentLength: block.requestCheck.contentLength,
    });
    this.#streams.add(stream);
    stream.attach(this.#acceptor.onStream(stream, block, endStream));
    if (endStream && !stream.closed) stream.endRemote(undefined);
  }

  /** The error code to refuse a request with, or undefined when it is to be served. */
  #refusalOf(block: DecodedBlock, endStream: boolean): number | undefined {
    if (block.tooLong) return errorCode.enhanceYourCalm;
    const { problem, contentLength } = block.requestCheck;
    if (problem !== undefined || this.#headers.dependsOnItself) return errorCode.protocolError;
    if (endStream && contentLength !== undefined && contentLength > 0) return errorCode.protocolError;
    return this.#streams.size >= this.#limits.concurrentStreamsMax ? errorCode.refusedStream : undefined;
  }

  #onTrailers(stream: RequestStream, block: DecodedBlock): void {
    if (!stream.receives) {
      this.#guard.spend('HEADERS after the end of a request');
      stream.reset(errorCode.streamClosed);
    } else if (!this.#headers.endStream || this.#headers.dependsOnItself || block.tooLong || trailersProblem(block.fields) !== undefined) {
      this.#guard.spend('malformed trailers');
      stream.reset(block.tooLong ? errorCode.enhanceYourCalm : errorCode.protocolError);
    } else {
      this.#endRemote(stream, block);
    }
  }

  #onWindowUpdate(id: number, bytes: Uint8Array, from: number, end: number): void {
    if (end - from !== 4) throw new ConnectionError(errorCode.frameSizeError, 'WINDOW_UPDATE has 4 bytes');
    const increment = readUint31(bytes, from);
    if (id === 0) {
      if (increment === 0) throw new ConnectionError(errorCode.protocolError, 'WINDOW_UPDATE by 0');
      if (!this.outlet.openWindow(increment)) throw new ConnectionError(errorCode.flowControlError, 'connection window above 2^31-1');
      return;
    }
    this.#checkNotIdle(id, 'WINDOW_UPDATE');
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    if (increment === 0) stream.reset(errorCode.protocolError);
    if (stream.closed || !stream.openSendWindow(increment)) this.#guard.spend('WINDOW_UPDATE against the rules');
  }

  #onSettings(frame: FrameHeader, bytes: Uint8Array, from: number, end: number): void {
    if (frame.streamId !== 0) throw new ConnectionError(errorCode.protocolError, 'SETTINGS on a stream');
    if (frame.flags & flag.ack) {
      if (end !== from) throw new ConnectionError(errorCode.frameSizeError, 'SETTINGS with ACK and a payload');
      this.#onSettingsAck();
      return;
    }
    this.#guard.spend('SETTINGS');
    const change = parseSettings(bytes, from, end);
    if (change.headerTableBytes !== undefined) this.outlet.setPeerHeaderTableBytes(change.headerTableBytes);
    if (change.frameBytesMax !== undefined) this.outlet.setPeerFrameBytesMax(change.frameBytesMax);
    this.outlet.frames.settingsAck(); // before DATA that the new windows let out
    this.outlet.touch();
    if (change.initialWindowBytes !== undefined) this.#setPeerInitialWindow(change.initialWindowBytes);
  }

  #setPeerInitialWindow(bytes: number): void {
    const difference = bytes - this.#peerInitialWindowBytes;
    this.#peerInitialWindowBytes = bytes;
    for (const stream of this.#streams.all()) {
      if (stream.sendWindowBytes + difference > windowBytesLimit) throw new ConnectionError(errorCode.flowControlError, 'stream window above 2^31-1');
      stream.openSendWindow(difference);
    }
  }

  #onSettingsAck(): void {
    if (this.#sawSettingsAck) {
      this.#guard.spend('SETTINGS with ACK');
      return;
    }
    this.#sawSettingsAck = true;
    this.#headers.onSettingsAck();
    for (const stream of this.#streams.all()) stream.resizeReceiveWindow(this.#limits.streamWindowBytes);
  }

  #onPing(frame: FrameHeader, bytes: Uint8Array, from: number, end: number): void {
    if (frame.streamId !== 0) throw new ConnectionError(errorCode.protocolError, 'PING on a stream');
    if (end - from !== 8) throw new ConnectionError(errorCode.frameSizeError, 'PING has 8 bytes');
    // Clients measure the path by a PING for what they receive, each round trip; only a PING without that is idle (HT-2).
    if (!this.outlet.takeHasAnswered()) this.#guard.spend('PING', 'too_many_pings'); // gRPC clients know this text and ping less (gRPC keepalive, A8)
    const payload = bytes.subarray(from, end);
    if ((frame.flags & flag.ack) === 0) {
      this.outlet.frames.ping(payload, true);
      this.outlet.touch();
    } else if (this.#drain === 'announced' && drainPing.every((octet, index) => octet === payload[index])) {
      this.refuseNew();
    }
  }

  #onRstStream(id: number, bytes: Uint8Array, from: number, end: number): void {
    if (end - from !== 4) throw new ConnectionError(errorCode.frameSizeError, 'RST_STREAM has 4 bytes');
    this.#checkNotIdle(id, 'RST_STREAM');
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    // A reset after our whole answer cost nobody anything: clients do it when an upload turns out to be needless.
    if (stream.sends) this.#guard.spend('RST_STREAM');
    const code = readUint32(bytes, from);
    this.#events?.onReset(code, true);
    stream.abort(code, true);
  }

  #onPriority(frame: FrameHeader, bytes: Uint8Array, from: number): void {
    if (frame.streamId === 0) throw new ConnectionError(errorCode.protocolError, 'PRIORITY without a stream');
    this.#guard.spend('PRIORITY');
    if (frame.length !== 5) this.#resetAny(frame.streamId, errorCode.frameSizeError);
    else if (readUint31(bytes, from) === frame.streamId) this.#resetAny(frame.streamId, errorCode.protocolError);
  }

  #onGoaway(frame: FrameHeader): void {
    if (frame.streamId !== 0) throw new ConnectionError(errorCode.protocolError, 'GOAWAY on a stream');
    if (frame.length < 8) throw new ConnectionError(errorCode.frameSizeError, 'GOAWAY has at least 8 bytes');
    this.#guard.spend('GOAWAY'); // it limits streams of ours, and a server has none
  }

  #checkNotIdle(id: number, what: string): void {
    if (id === 0) throw new ConnectionError(errorCode.protocolError, `${what} without a stream`);
    if (id > this.#lastStreamId || id % 2 === 0) throw new ConnectionError(errorCode.protocolError, `${what} on an idle stream`);
  }

  /** DATA for a stream that receives nothing any more. */
  #refuseOnClosed(id: number, stream: RequestStream | undefined, what: string): void {
    this.#checkNotIdle(id, what);
    if (id > this.#servedStreamIdMax) return;
    if (stream === undefined && this.#closed.find(id) === 'reset') return; // on its way when we reset the stream
    this.#guard.spend(`${what} on a closed stream`);
    if (stream === undefined) this.writeReset(id, errorCode.streamClosed);
    else stream.reset(errorCode.streamClosed);
  }

  /** A stream error on a stream in any state (RFC 9113 §5.4.2); an idle one can only be answered by an end of all. */
  #resetAny(id: number, code: number): void {
    const stream = this.#streams.get(id);
    if (stream !== undefined) stream.reset(code);
    else if (id > this.#lastStreamId) throw new ConnectionError(code, 'a frame against the rules on an idle stream');
    else this.writeReset(id, code);
  }

  #resetUnopened(id: number, code: number, what: string): void {
    this.#guard.spend(what);
    this.#closed.add(id, 'reset');
    this.writeReset(id, code);
  }

  #endWhenDrained(): void {
    if (this.#drain === 'final' && this.#streams.size === 0) this.#over = true;
  }

  #fail(code: number, message: string, flood?: string): void {
    if (this.#over) return;
    this.#events?.onFault(code, flood);
    // Never above what an earlier GOAWAY named: those requests were not processed (RFC 9113 §6.8).
    this.outlet.frames.goaway(Math.min(this.#lastStreamId, this.#servedStreamIdMax), code, message);
    this.outlet.touch();
    this.#end(code, false);
  }

  #end(code: number, byPeer: boolean): void {
    if (this.#over && this.#streams.size === 0) return;
    this.#over = true;
    this.#reader.stop();
    using aborts = new DisposableStack(); // every handler is told, whatever another one throws
    for (const stream of this.#streams.all()) aborts.defer(() => stream.abort(code, byPeer));
  }
}
